"""Several files as one trace: a file for each link, or one after the other in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from twin.core.errors import InputError, Problem
from twin.core.units import counted
from twin.demand.columns import natural
from twin.demand.dates import Times
from twin.demand.locations import Location
from twin.demand.rows import UNNAMED, Rows


def joined(parts: Sequence[Rows], files: Sequence[Path]) -> Rows:
    """Return the rows of several files as those of one.

    A link that its file does not name has the file's name; so has, before its own name, one that
    files name alike for the same times. Files that follow each other in time continue each other.
    Raises InputError where some have dates and others have not.
    """
    if len(parts) == 1:
        return parts[0]
    parts, notes = _named(parts, files)
    times = _times(parts, files)
    links = sorted({link for part in parts for link in part.links}, key=natural)
    place = {link: code for code, link in enumerate(links)}
    code = np.concatenate(
        [np.array([place[link] for link in part.links], np.int32)[part.code] for part in parts]
    )
    kpis = {
        name: np.concatenate([part.kpis.get(name, _nothing(part)) for part in parts])
        for name in dict.fromkeys(name for part in parts for name in part.kpis)
    }
    counts = {
        name: np.concatenate([part.counts.get(name, _no_count(part)) for part in parts])
        for name in dict.fromkeys(name for part in parts for name in part.counts)
    }
    first = np.cumsum([0] + [len(part.code) for part in parts])

    def locate(row: int) -> Location:
        part = int(np.searchsorted(first, row, side="right")) - 1
        return parts[part].locate(row - int(first[part]))

    lines = {part.per_line for part in parts}
    done = dict.fromkeys(note for part in parts for note in part.notes)
    return Rows(
        times, code, tuple(links), kpis, parts[0].names, locate, lines.pop() if len(lines) == 1
        else 1, counts, (*notes, *done),
    )  # fmt: skip


def _nothing(part: Rows) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.full(len(part.code), np.nan)


def _no_count(part: Rows) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.zeros(len(part.code), np.uint64)


def _named(parts: Sequence[Rows], files: Sequence[Path]) -> tuple[list[Rows], tuple[str, ...]]:
    """Return parts whose links have the names that they are to have, and what was done."""
    stems = [file.name.partition(".")[0] for file in files]
    if len(set(stems)) < len(stems):
        stems = [str(file.with_suffix("")) for file in files]
    read = f"{len(parts)} files read"
    if _follow(parts):
        return list(parts), (f"{read}, which follow each other in time",)
    if all(part.links == (UNNAMED,) for part in parts):
        named = [replace(part, links=(stem,)) for part, stem in zip(parts, stems, strict=True)]
        return named, (f"{read}, one for each link, which has its name",)
    used = Counter(link for part in parts for link in part.links)
    again = {link for link, count in used.items() if count > 1}
    named = [
        replace(part, links=tuple(f"{stem}:{x}" if x in again else x for x in part.links))
        for part, stem in zip(parts, stems, strict=True)
    ]
    if not again:
        return named, (read,)
    return named, (f"{read}; {counted(len(again), 'link')} named alike have the file's name too",)


def _follow(parts: Sequence[Rows]) -> bool:
    """Return whether all files have the same links, and none overlaps another in time."""
    if len({frozenset(part.links) for part in parts}) > 1:
        return False
    spans = sorted(
        tuple(float(end) / part.times.per_second for end in (ticks.min(), ticks.max()))
        for part in parts
        for ticks in (part.times.ticks,)
    )
    return all(before[1] < after[0] for before, after in pairwise(spans))


def _times(parts: Sequence[Rows], files: Sequence[Path]) -> Times:
    epoch = parts[0].times.epoch
    for part, file in zip(parts, files, strict=True):
        if part.times.epoch != epoch:
            words = ["no dates" if e is None else "dates in UTC" if e.tzinfo else "local dates"
                     for e in (part.times.epoch, epoch)]  # fmt: skip
            what = f"has {words[0]}, but {files[0].name} has {words[1]}"
            remedy = "write all times alike, or state 'timezone'"
            raise InputError(Problem(what, part.names["time"], file, None, remedy))
    finest = max(part.times.per_second for part in parts)
    return Times(np.concatenate([part.times.at(finest) for part in parts]), finest, epoch)
