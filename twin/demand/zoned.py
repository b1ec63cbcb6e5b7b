"""Local times of a file as UTC: no gap in spring, and both hours of autumn told apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC

import numpy as np
from numpy.typing import NDArray

from twin.core import clock
from twin.core.arrays import Bools, Ints
from twin.core.errors import InputError
from twin.core.units import counted
from twin.demand.dates import MICROSECONDS, Times
from twin.demand.locations import Locate, problems_at, refuse

_REMEDY = "write times in UTC, or with their offset from it"


def in_utc(
    times: Times, code: NDArray[np.int32], timezone: str | None, name: str, locate: Locate
) -> tuple[Times, tuple[str, ...]]:
    """Return times of rows in UTC, and what was done; times that are no local ones stay.

    `code` is the link of each row. A time that comes twice in autumn is told apart by the order of
    the link's rows. Raises InputError where that does not tell, and for a time that no clock
    shows.
    """
    if timezone is None or times.epoch is None or times.epoch.tzinfo is not None:
        return times, ()
    local = times.at(MICROSECONDS)
    rows = np.flatnonzero(clock.skipped(local, timezone)).tolist()
    what = f"does not exist in {timezone}, where the clock is set forward"
    remedy = f"correct 'timezone', or {_REMEDY}"
    problems = problems_at(
        rows, locate, name, lambda row: (f"{times.show(int(times.ticks[row]))} {what}", remedy)
    )
    refuse(problems)
    shift = clock.offsets(local, timezone, of_local=True)
    twice = clock.twice(local, timezone)
    notes: tuple[str, ...] = ()
    if twice.any():
        second = np.zeros(len(local), bool)
        of_link = np.argsort(code, kind="stable")
        edges = np.searchsorted(code[of_link], np.arange(int(code.max()) + 2))
        for group in _groups(local, code, twice):
            link = int(code[group[0]])
            own = local[of_link[edges[link] : edges[link + 1]]]
            passed = _second_pass(local, own, group)
            if isinstance(passed, int):
                what = f"{times.show(int(times.ticks[passed]))} comes twice in {timezone}"
                what += ", and the order of the rows does not tell which it is"
                raise InputError(locate(passed).problem(name, what, _REMEDY))
            second[passed] = True
        shift[second] = clock.offsets(local[second], timezone, of_local=True, fold=1)
        said = counted(int(twice.sum()), "row")
        notes = (f"{said} in the hour that comes twice in {timezone} told apart by their order",)
    return replace(
        times, ticks=local - shift, per_second=MICROSECONDS, epoch=times.epoch.replace(tzinfo=UTC)
    ), notes


def _groups(local: Ints, code: NDArray[np.int32], twice: Bools) -> Iterator[Ints]:
    """Yield the rows that come twice, in the file's order, of one link in one autumn."""
    rows = np.flatnonzero(twice)
    day = local[rows] // clock.DAY
    order = np.lexsort((rows, day, code[rows]))
    rows, day = rows[order], day[order]
    ends = np.flatnonzero((np.diff(day) != 0) | (np.diff(code[rows]) != 0)) + 1
    yield from np.split(rows, ends)


def _second_pass(local: Ints, own: Ints, rows: Ints) -> Ints | int:
    """Return which of `rows` were taken after the clock was set back; or one that may be either.

    `own` are the local times of all rows of their link, in the file's order.
    """
    steps = np.diff(own)
    if np.median(steps) < 0:
        rows = rows[::-1]
    at = local[rows]
    falls = np.flatnonzero(np.diff(at) <= 0) + 1
    if len(falls) == 1:
        return rows[falls[0] :]
    if len(falls):
        return int(rows[falls[1]])
    steps = np.abs(steps[steps != 0])
    near = 1.5 * float(np.median(steps)) if len(steps) else 0.0
    before = ((own < at[0]) & (own >= at[0] - near)).any()
    after = ((own > at[-1]) & (own <= at[-1] + near)).any()
    if before == after:
        return int(rows[0])
    return rows[:0] if before else rows
