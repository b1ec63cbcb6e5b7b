"""One regular time grid for all links: finds the step, sorts rows, drops duplicates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.core.errors import InputError, Problem
from twin.core.units import DAY_S, counted, format_duration
from twin.demand.dates import Times
from twin.demand.gaps import Gaps
from twin.demand.jitter import snapped
from twin.demand.locations import SHOWN, not_shown, problems_at, refuse
from twin.demand.rows import Rows

TICK_S = 300
"""The tick where neither the scenario nor the step of its trace asks for another."""
ROOM = 20
"""Most cells of the grid per row of the file; more means a wrong time, far from the others."""
SMALL = 10_000_000
"""Cells of a grid that is accepted however few rows the file has."""


@dataclass(frozen=True, slots=True)
class Grid:
    """KPIs on a regular time grid, in the file's unit; missing samples are NaN."""

    kpis: Mapping[str, Floats]
    """[samples, links] each, C-contiguous."""
    start: int
    """Time of the first sample, in units of `times`: 1 / per_second seconds."""
    step: int
    """Time between two samples, in the same unit."""
    times: Times
    repairs: tuple[str, ...] = ()
    late: Mapping[str, Gaps] = field(default_factory=dict)
    """Samples that become known later than their own time, though they are no repair."""


def grid(rows: Rows, tick_s: int | None, snap_s: float | None = None) -> Grid:
    """Return the rows on the grid whose step is the most frequent one within a link.

    Times that are off the grid by at most `snap_s`, by default a tenth of the step, are moved to
    it. Raises InputError for a step that does not divide `tick_s`, in seconds (None: any tick), for
    times off the grid, and for two rows that contradict each other.
    """
    regular = _regular(rows)
    if regular is not None:
        times, kpis = regular
        steps, disorder = np.diff(times), 0
    else:
        (steps, disorder), times, kpis = _steps(rows), rows.times.ticks, {}
    step = most_frequent(rows, steps)
    start, stop = int(times.min()), int(times.max())
    uneven = bool(((times - start) % step).any())
    if uneven and (moved := snapped(rows, steps, snap_s)) is not None:
        on_grid = grid(moved[0], tick_s, 0.0)
        return replace(on_grid, repairs=(moved[1], *on_grid.repairs))
    repairs = [*rows.notes, *["rows were out of order in time and were sorted"] * disorder]
    check_step(rows, step, tick_s)
    if uneven:
        _refuse_off_grid(rows, step)
    refuse_far_away(rows, (stop - start) // step + 1)
    shape = ((stop - start) // step + 1, len(rows.links))
    index = (times - start) // step
    if regular is None:
        kpis, dropped = _scatter(rows, index, shape)
        if dropped:
            repairs.append(f"{counted(dropped, 'duplicate row')} dropped")
    elif len(index) < shape[0]:
        kpis = {name: _spread(values, index, shape) for name, values in kpis.items()}
    return Grid(kpis, start, step, rows.times, tuple(repairs))


def most_frequent(rows: Rows, steps: Ints) -> int:
    """Return the step that is there most often. Raises InputError where there is none."""
    if not len(steps):
        what = "no link has samples at two times, so there is no step"
        raise InputError(Problem(what, "", rows.locate(0).file, None, "give at least two samples"))
    step = int(steps[0])
    if (steps != step).any():
        sizes, counts = np.unique(steps, return_counts=True)
        step = int(sizes[counts.argmax()])
    return step


def _regular(rows: Rows) -> tuple[Ints, dict[str, Floats]] | None:
    """Return distinct times and KPIs [times, links] where every time has every link, in order.

    Recognising this layout spares large files the sort and the scatter.
    """
    links = len(rows.links)
    samples, rest = divmod(len(rows.code), links)
    if rest:
        return None
    for by_time in (True, False):
        shape = (samples, links) if by_time else (links, samples)
        code, ticks = rows.code.reshape(shape), rows.times.ticks.reshape(shape)
        order, distinct = (code[0], ticks[:, 0]) if by_time else (code[:, 0], ticks[0])
        same_code = code == (order if by_time else order[:, None])
        if not same_code.all() or len(np.unique(order)) < links:
            continue
        same_time = ticks == (distinct[:, None] if by_time else distinct)
        if same_time.all() and (np.diff(distinct) > 0).all():
            place = np.argsort(order)
            kpis = {
                name: _by_link(values.reshape(shape), place, by_time)
                for name, values in rows.kpis.items()
            }
            return distinct, kpis
    return None


def _by_link(values: Floats, place: Ints, by_time: bool) -> Floats:
    in_order = np.array_equal(place, np.arange(len(place)))
    if by_time:
        return values if in_order else np.ascontiguousarray(values[:, place])
    return _transposed(values if in_order else values[place])


def _transposed(values: Floats, tile: int = 64) -> Floats:
    """Return a C-contiguous transpose, copied in tiles that fit the cache."""
    out = np.empty(values.shape[::-1])
    for first in range(0, len(values), tile):
        out[:, first : first + tile] = values[first : first + tile].T
    return out


def _steps(rows: Rows) -> tuple[Ints, int]:
    """Return the positive differences in time within each link, and whether any was negative."""
    code = rows.code.astype(np.uint16) if len(rows.links) <= 2**16 else rows.code
    order = np.argsort(code, kind="stable")
    steps = _within(rows, order)
    disorder = int((steps < 0).any())
    if disorder:
        steps = _sorted(rows)
    return steps[steps > 0], disorder


def _sorted(rows: Rows) -> Ints:
    """Return the differences in time within each link once its times are sorted."""
    since = rows.times.ticks - rows.times.ticks.min()
    span = int(since.max()) + 1
    if len(rows.links) * span >= 2**62:
        return _within(rows, np.lexsort((rows.times.ticks, rows.code)))
    # One key per row, link first: sorting keys is many times faster than sorting indices.
    keys = np.sort(rows.code * np.int64(span) + since)
    link = keys // span
    steps: Ints = np.diff(keys)[link[1:] == link[:-1]]
    return steps


def _within(rows: Rows, order: Ints) -> Ints:
    """Return the differences in time between neighbours of one link, rows taken in `order`."""
    code = rows.code[order]
    steps: Ints = np.diff(rows.times.ticks[order])[code[1:] == code[:-1]]
    return steps


def own_tick_s(step_s: float) -> int:
    """Return the tick of a trace whose scenario states none.

    5 minutes, or the step itself where it is coarser; else the next multiple that divides a day.
    """
    for tick_s in range(TICK_S, DAY_S + 1):
        if DAY_S % tick_s == 0 and tick_s % step_s == 0:
            return tick_s
    return TICK_S


def check_step(rows: Rows, step: int, tick_s: int | None) -> None:
    """Raise InputError unless a step, in units of the times of `rows`, divides the tick."""
    step_s = step / rows.times.per_second
    tick_s = own_tick_s(step_s) if tick_s is None else tick_s
    tick = tick_s * rows.times.per_second
    if tick % step == 0:
        return
    ticks = rows.times.ticks
    found = np.flatnonzero(np.isin(ticks - step, ticks))
    row = int(found[0]) if len(found) else 0
    what = f"the step of {format_duration(step_s)} "
    what += "is coarser than" if step > tick else "does not divide"
    what += f" the tick of {format_duration(tick_s)}"
    raise InputError(rows.time_problem(row, what, _step_remedy(rows, step_s, tick_s)))


def _step_remedy(rows: Rows, step_s: float, tick_s: int) -> str:
    in_seconds = step_s / 1000
    if rows.times.epoch is None and in_seconds == int(in_seconds) and tick_s % in_seconds == 0:
        return "the times look like milliseconds: write seconds"
    if step_s == int(step_s) and 86_400 % step_s == 0 and step_s > tick_s:
        return f"write 'tick: {format_duration(step_s)}', or give a finer trace"
    return f"give a trace whose step divides {format_duration(tick_s)}"


def _refuse_off_grid(rows: Rows, step: int) -> None:
    """Raise InputError for the rows whose time is off the grid of most others."""
    remainder = rows.times.ticks % step
    remainders, counts = np.unique(remainder, return_counts=True)
    lines = np.unique(np.flatnonzero(remainder != remainders[counts.argmax()]) // rows.per_line)
    size = format_duration(step / rows.times.per_second)

    def explain(row: int) -> tuple[str, str]:
        time = rows.times.show(int(rows.times.ticks[row]))
        return f"wrong step: {time} is not on the grid of {size}", "correct the time, or remove it"

    refuse(problems_at((lines * rows.per_line).tolist(), rows.locate, rows.names["time"], explain))


def refuse_far_away(rows: Rows, samples: int) -> None:
    """Raise InputError where a single wrong time makes a grid that is nearly all empty."""
    if samples * len(rows.links) <= max(SMALL, ROOM * len(rows.code)):
        return
    ticks = np.sort(rows.times.ticks)
    far = int(np.diff(ticks).argmax())
    # Of the two sides of the widest gap, the one with fewer times is wrong.
    odd = ticks[far] if far < len(ticks) // 2 else ticks[far + 1]
    row = int(np.flatnonzero(rows.times.ticks == odd)[0])
    what = f"{rows.times.show(int(odd))} is far from the other times"
    remedy = "correct the time, or remove it"
    raise InputError(rows.time_problem(row, what, remedy))


def _spread(values: Floats, index: Ints, shape: tuple[int, int]) -> Floats:
    """Return `values` [times, links] at the samples `index` of a grid of `shape`, NaN between."""
    out = np.full(shape, np.nan)
    out[index] = values
    return out


def _scatter(rows: Rows, index: Ints, shape: tuple[int, int]) -> tuple[dict[str, Floats], int]:
    """Return the KPIs [samples, links], and how many rows of the file were dropped."""
    cell = index * shape[1] + rows.code
    taken = np.zeros(shape[0] * shape[1], bool)
    taken[cell] = True
    dropped = 0
    if np.count_nonzero(taken) < len(cell):
        dropped = duplicates(rows, cell)
    kpis = {}
    for name, values in rows.kpis.items():
        out = np.full(shape, np.nan)
        out.ravel()[cell] = values
        kpis[name] = out
    return kpis, dropped


def duplicates(rows: Rows, cell: Ints) -> int:
    """Return how many rows of the file repeat an earlier one; refuse those that contradict it.

    Rows of one link and time have the same `cell`, [rows].
    """
    order = np.argsort(cell, kind="stable")
    first = np.ones(len(cell), bool)
    first[1:] = cell[order][1:] != cell[order][:-1]
    original = order[np.maximum.accumulate(np.where(first, np.arange(len(cell)), 0))]
    again, earlier = order[~first], original[~first]
    problems: list[Problem] = []
    for name, values in rows.kpis.items():
        ours, theirs = values[again], values[earlier]
        differ = np.flatnonzero((ours != theirs) & ~(np.isnan(ours) & np.isnan(theirs)))
        for k in sorted(differ.tolist(), key=lambda k: int(again[k]))[:SHOWN]:
            row, before = int(again[k]), int(earlier[k])
            what = f"{_value(values[row])}, but {_value(values[before])} in {rows.locate(before)}"
            what += " for the same time and link"
            column = rows.column(name, row)
            remedy = _remedy(rows.times, before, row)
            problems.append(rows.locate(row).problem(column, what, remedy))
        if len(differ):
            problems += not_shown(len(differ), name, rows.locate(0).file)
    refuse(problems)
    return len(np.unique(again // rows.per_line))


def _remedy(times: Times, before: int, row: int) -> str:
    """Return what to do about two rows of one time."""
    local = times.epoch is not None and times.epoch.tzinfo is None
    # Later times between the two: a clock that was set back, rather than a row written twice.
    if local and (times.ticks[before:row] > times.ticks[row]).any():
        return (
            "if the clock was set back here, write times with their offset from UTC; "
            "if not, keep one of the two rows"
        )
    return "keep one of the two rows"


def _value(value: float) -> str:
    return "empty" if np.isnan(value) else f"{value:.15g}"
