"""Violations by hour of the day: when each policy fails on each link."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from twin.account.block import AccountBlock, blocks
from twin.account.summary import ALL
from twin.core import clock
from twin.core.arrays import Floats, Ints
from twin.engine.recording import Recording

if TYPE_CHECKING:
    import pandas as pd


HOURS = 24
COUNTED = ("intervals", "violated_intervals", "violation_minutes", "unmet_mbit")
"""What is counted of each hour; `intervals` without missing ones."""


def by_hour(
    recording: Recording, starts: datetime | None, timezone: str | None = None
) -> pd.DataFrame:
    """Return a row for each policy, link and hour of 24, with all links pooled as the last link.

    Columns are `policy, link, hour` and :data:`COUNTED`. The hour is that in which an interval
    begins: of the day where `starts`, the time of the first interval, is known, as clocks in
    `timezone` show it if that is stated; else since the start of the replay, modulo 24.
    """
    import pandas as pd

    hour = hours(recording.intervals, recording.tick_s, starts, timezone)
    runs = np.flatnonzero(np.diff(hour, prepend=-1))
    counts = []
    for lane in recording.lanes:
        account = blocks(recording, lane)
        links = np.concatenate(
            [_counts(block, recording.tick_s, runs, hour[runs]) for block in account]
        )
        counts += [links, links.sum(axis=0, keepdims=True)]
    names = [*recording.links, ALL]
    table = pd.DataFrame(
        {
            "policy": np.repeat([lane.name for lane in recording.lanes], len(names) * HOURS),
            "link": np.tile(np.repeat(names, HOURS), len(recording.lanes)),
            "hour": np.tile(np.arange(HOURS), len(names) * len(recording.lanes)),
        }
    )
    table[list(COUNTED)] = np.concatenate(counts).reshape(-1, len(COUNTED))
    return table.astype(dict.fromkeys(COUNTED[:2], np.int64))


def hours(
    intervals: int, tick_s: int, starts: datetime | None, timezone: str | None = None
) -> Ints:
    """Return the hour of the day in which each interval begins, else hours since the start."""
    since = np.arange(intervals) * tick_s
    return since // 3600 % HOURS if starts is None else clock.hours(starts, since, timezone)


def _counts(block: AccountBlock, tick_s: int, runs: Ints, hour: Ints) -> Floats:
    """Return what is counted, [links, hours, columns].

    `runs` are the first intervals of stretches within one hour, which is `hour`.
    """
    metrics = block.metrics
    known = ~np.isnan(block.demand)
    values = (
        known,
        metrics.violation_s > 0,
        metrics.violation_s / 60,
        np.where(known, metrics.unmet, 0.0) * tick_s,
    )
    summed = np.zeros((HOURS, len(block.links), len(COUNTED)))
    for column, value in enumerate(values):
        stretches = np.add.reduceat(value, runs, axis=1, dtype=np.float64)
        np.add.at(summed[:, :, column], hour, stretches.T)
    return summed.transpose(1, 0, 2)
