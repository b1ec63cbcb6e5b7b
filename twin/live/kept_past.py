"""What days that are over say of earlier epochs, joined to what the present one has recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError
from twin.engine.recording import LaneRecord, Recording
from twin.live.day_file import DayFile, by_interval, kept_before

_MOST_NUMBERS: Final = 40_000_000
"""Numbers of earlier epochs that are held; 8 bytes each."""


def with_past(recording: Recording, folder: Path, first: int, most: int) -> Recording:
    """Return a recording that goes on from `most` intervals before interval `first`, if kept.

    `recording` begins at `first`, counted from when the live began; `folder` is that of days. What
    comes before it goes back without a hole, as long as all policies of the recording decided. An
    interval in which something changed counts by its means.
    """
    names = [lane.name for lane in recording.lanes]
    room = _MOST_NUMBERS // (len(recording.links) * (2 + 2 * len(names)))
    parts, stop = [recording], first
    for file in kept_before(folder, first, names):
        if first - stop >= most or first - file.first > room:
            break
        try:
            part = _read(file, recording, names)
        except InputError:
            break
        if part is None:
            break
        parts.insert(0, part)
        stop = file.first
    return _joined(parts)


def _read(file: DayFile, like: Recording, names: Sequence[str]) -> Recording | None:
    """Return a day of the same links; None where it has others. Raises InputError."""
    intervals, links = file.contents.intervals, len(like.links)
    columns = ["demand_mbps", "requested_mbps", "allocated_mbps", "capacity_mbps"]
    table = file.table(["policy", "link", *columns])
    rows = intervals * links
    there = {table["policy"][at].as_py(): at for at in range(0, table.num_rows, rows)}
    named = table["link"].take(np.arange(0, rows, intervals)).to_pylist()
    if tuple(named) != like.links:
        return None

    def column(name: str, policy: str) -> Floats:
        return by_interval(table, name, there[policy], intervals, links)

    lanes = tuple(
        LaneRecord(name, column("requested_mbps", name), column("allocated_mbps", name))
        for name in names
    )
    capacity = column("capacity_mbps", names[0])
    changes = np.flatnonzero((capacity[1:] != capacity[:-1]).any(axis=1)) + 1
    stretches = tuple((at, capacity[at]) for at in (0, *changes.tolist()))
    demand = column("demand_mbps", names[0])
    return Recording(like.links, like.tick_s, demand, stretches, lanes, {}, ())


def _joined(parts: Sequence[Recording]) -> Recording:
    """Return recordings that follow each other as one: demand, capacity and allocations."""
    last = parts[-1]
    if len(parts) == 1:
        return last
    offsets = np.cumsum([0, *(part.intervals for part in parts)]).tolist()
    lanes = tuple(
        LaneRecord(
            lane.name,
            np.concatenate([part.lanes[i].requested for part in parts]),
            np.concatenate([part.lanes[i].allocated for part in parts]),
        )
        for i, lane in enumerate(last.lanes)
    )
    pairs = list(zip(offsets, parts, strict=False))
    return Recording(
        last.links,
        last.tick_s,
        np.concatenate([part.demand for part in parts]),
        tuple((offset + at, each) for offset, part in pairs for at, each in part.capacity),
        lanes,
        {offset + k: each for offset, part in pairs for k, each in part.divided.items()},
        (),
    )
