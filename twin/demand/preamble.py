"""Where the table is in a text: below titles and comments, in any of the usual separators."""

from __future__ import annotations

import csv
import re
from typing import NamedTuple

from twin.demand.cells import MISSING

SEPARATORS = ",;\t|"
_LOOKED_AT = 80
"""Lines at the top of a file among which the header is looked for."""
_VALUE = re.compile(
    r"[<+-]?\s*\.?[0-9][0-9.,'\s:/eE+-]*(\s?[kKMGTP]?i?(b|bits?|bytes?|B)(/s|ps|/sec)?)?"
    r"|\d{4}-\d{2}-\d{2}[T ].*|\d{1,2}[./ -](\d{1,2}|[A-Za-z]{3})[./ -]\d{2,4}.*"
    r"|([A-Z][a-z]{2},? )?[A-Z][a-z]{2} +\d{1,2},? .*\d\d:\d\d.*",
    re.IGNORECASE,
)
_FETCHED = re.compile(rb"[ \t]*[A-Za-z_][^\n]*\n[ \t]*(\n[ \t]*)?[0-9]{9,11}:[ \t]")
_SUMS = re.compile(
    rb'\n"?(sums?|averages?|total|minimum|maximum|avg|min|max|summen?|durchschnitt)\b[^\n]*\n\Z',
    re.IGNORECASE,
)


class Found(NamedTuple):
    """A text with a table in it."""

    data: bytes
    """The text, line by line where it was; what belongs to no table is blank."""
    start: int
    """Where the header begins."""
    separator: str
    ends: bool = False
    """Whether times are known to mark the end of their interval."""
    notes: tuple[str, ...] = ()


def find(data: bytes) -> Found:
    """Return where the table is in UTF-8 with LF at the end of every line.

    The header is the line above the first that holds two values, with as many cells. Where there
    is no such line, the first one counts as the header.
    """
    start = len(data) - len(data.lstrip())
    first = data[start : data.index(b"\n", start)].decode()
    separator = max(",;\t", key=first.count)
    if not _plain(data, start, separator):
        if _FETCHED.match(data, start):
            return _fetched(data, start)
        place = _header(data)
        if place is not None:
            return _below(data, place[0], place[1], first)
    return _without_sums(Found(data, start, separator))


def _plain(data: bytes, start: int, separator: str) -> bool:
    """Return whether the first line is a header and the second holds values under it."""
    stop = data.index(b"\n", start)
    header = _cells(data[start:stop].decode(), separator)
    second = _cells(data[stop + 1 : data.find(b"\n", stop + 1)].decode(), separator)
    return len(header) == len(second) > 1 and not _values(header) and _values(second) > 1


def _header(data: bytes) -> tuple[int, str] | None:
    """Return where a header is that is not in the first line, and its separator."""
    lines = data.split(b"\n", _LOOKED_AT)[:_LOOKED_AT]
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line) + 1)
    best: tuple[int, int, str] | None = None
    for separator in SEPARATORS:
        rows = [_cells(line.decode(), separator) for line in lines]
        below = next((i for i, cells in enumerate(rows) if _values(cells) > 1), 0)
        above = [i for i in range(below) if len(rows[i]) == len(rows[below])]
        if above and not _values(rows[above[-1]]):
            best = max(best or (0, 0, ""), (len(rows[below]), offsets[above[-1]], separator))
    return None if best is None else (best[1], best[2])


def _below(data: bytes, place: int, separator: str, first: str) -> Found:
    """Return a table that begins below other lines, and may begin again with each series."""
    header = data[place : data.index(b"\n", place) + 1]
    above = data[:place].count(b"\n")
    notes: tuple[str, ...] = ()
    if above:
        notes = (f"{above} line{'s' * (above > 1)} above the header left out ('{first[:40]}')",)
    body = data[place + len(header) :]
    if data.lstrip().startswith(b"#"):
        body = re.sub(rb"(?m)^#.*$", b"", body)
        body = re.sub(rb"(?m)^" + re.escape(header[:-1]) + rb"$", b"", body)
    blank = b"\n" * above
    return _without_sums(Found(blank + header + body, len(blank), separator, False, notes))


def _fetched(data: bytes, start: int) -> Found:
    """Return what ``rrdtool fetch`` prints as a table with commas."""
    stop = data.index(b"\n", start)
    header = b",".join([b"time", *data[start:stop].split()])
    body = re.sub(rb"(?m)^[ \t]*([0-9]{9,11}):[ \t]+", rb"\1,", data[stop:])
    body = re.sub(rb"[ \t]+(?=\n)", b"", body)
    note = "printed by rrdtool fetch: times mark the end of their interval"
    return Found(data[:start] + header + re.sub(rb"[ \t]+", b",", body), start, ",", True, (note,))


def _without_sums(found: Found) -> Found:
    """Return a table without sums and averages below its samples."""
    data, dropped = found.data, 0
    while (match := _SUMS.search(data, max(len(data) - 4096, 0))) is not None:
        data, dropped = data[: match.start() + 1], dropped + 1
    if not dropped:
        return found
    note = f"{dropped} line{'s' * (dropped > 1)} of sums below the samples left out"
    return found._replace(data=data, notes=(*found.notes, note))


def _cells(line: str, separator: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error:
        return []


def _values(cells: list[str]) -> int:
    """Return how many cells hold a number, a date or a word for a missing sample."""
    return sum(1 for cell in cells if cell and (cell.lower() in MISSING or _VALUE.fullmatch(cell)))
