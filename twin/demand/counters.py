"""Counters that grow, turned into rates: wraps, resets and gaps of the readings told apart.

Between two readings the rate is known as its mean over the span. On the grid a sample is the mean
of the rate over its step, so that what the counter counted is kept, however irregular the readings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Bools, Floats, Ints
from twin.core.errors import InputError
from twin.core.units import counted, format_duration
from twin.demand.gaps import Gaps
from twin.demand.grid import (
    Grid,
    check_step,
    duplicates,
    most_frequent,
    own_tick_s,
    refuse_far_away,
)
from twin.demand.jitter import SNAP, nominal_s
from twin.demand.repair import LONGEST_S
from twin.demand.rows import Rows
from twin.demand.spec import DemandSpec

_OVER: Final = 1.05
"""How much faster than its capacity a link may seem: clocks of pollers are not exact."""
_FASTER: Final = 2.0
"""How much faster than its fastest growth a link may have been while its counter wrapped."""


@dataclass(slots=True)
class _Tally:
    wraps: int = 0
    resets: int = 0
    spans: int = 0
    """Readings that are so far apart that what is between them is left missing."""
    blind: tuple[str, ...] = ()
    """Links whose counter may wrap twice between two readings, at their capacity."""


class _Series(NamedTuple):
    """Readings of one link in order of time: arrays are [readings]."""

    link: str
    ticks: Ints
    counts: NDArray[np.uint64]


def rates(
    rows: Rows, demand: DemandSpec, tick_s: int | None, capacities: Mapping[str, float]
) -> tuple[Grid, tuple[str, ...]]:
    """Return the rates of counters on a grid, in the unit of `demand`, and warnings.

    `capacities` are in Mbit/s by link, that of `defaults` for others. Raises InputError for
    readings that contradict each other or that are no counter of `demand.bits`.
    """
    bits = demand.bits or (64 if max(int(v.max()) for v in rows.counts.values()) >> 32 else 32)
    _refuse_too_large(rows, bits)
    span = int(rows.times.ticks.max()) - int(rows.times.ticks.min()) + 1
    dropped = duplicates(rows, rows.code * np.int64(span) + rows.times.ticks)
    order = np.lexsort((rows.times.ticks, rows.code))
    step, start, cells = _grid_of(rows, order, tick_s)
    tally = _Tally()
    kpis: dict[str, Floats] = {}
    late: dict[str, Gaps] = {}
    for name, counts in rows.counts.items():
        known = order[~np.isnan(rows.kpis[name][order])]
        kpis[name] = np.full((cells, len(rows.links)), np.nan)
        runs: list[tuple[int, ...]] = []
        for code, series in enumerate(_series(rows, counts, known)):
            limit = _limit(series.link, capacities, demand)
            rate = _rate(series, bits, limit, rows.times.per_second, step, tally)
            kpis[name][:, code] = _on_grid(series.ticks, rate, start, step, cells)
            runs += _late(series.ticks, kpis[name][:, code], code, start, step)
        if runs:
            series_of, begin, end, seen = (np.array([run[k] for run in runs]) for k in range(4))
            late[name] = Gaps.of(series_of, begin, end, seen)
    first, stop = _covered(kpis)
    kpis = {name: np.ascontiguousarray(values[first:stop]) for name, values in kpis.items()}
    late = {name: _shifted(gaps, first, stop) for name, gaps in late.items()}
    notes = [*rows.notes, *_notes(demand, bits, tally, dropped)]
    grid = Grid(kpis, start + first * step, step, rows.times, tuple(notes), late)
    return grid, _warnings(tally, bits)


def _refuse_too_large(rows: Rows, bits: int) -> None:
    for name, counts in rows.counts.items() if bits == 32 else ():
        large = np.flatnonzero(counts >> np.uint64(32))
        if len(large):
            row, remedy = int(large[0]), "write 'bits: 64'"
            what = f"{counts[row]} is more than a counter of 32 bits holds"
            raise InputError(rows.locate(row).problem(rows.column(name, row), what, remedy))


def _grid_of(rows: Rows, order: Ints, tick_s: int | None) -> tuple[int, int, int]:
    """Return step, start and number of samples of the grid that the readings are put on."""
    ticks, code = rows.times.ticks[order], rows.code[order]
    steps = np.diff(ticks)[np.diff(code) == 0]
    steps = steps[steps > 0]
    per_second = rows.times.per_second
    frequent = most_frequent(rows, steps)
    step_s = nominal_s(steps, per_second)
    if step_s is None:
        # Readings at no step of their own have that of the tick: any grid can be integrated to.
        median = float(np.median(steps)) / per_second
        step_s = tick_s or own_tick_s(max(round(median), 1))
        if median > 1.5 * step_s:
            check_step(rows, frequent, tick_s)
    tick_s = own_tick_s(step_s) if tick_s is None else tick_s
    if step_s > tick_s:
        check_step(rows, step_s * per_second, tick_s)
    step = (step_s if tick_s % step_s == 0 else tick_s) * per_second
    remainders, counts = np.unique(ticks % step, return_counts=True)
    phase = int(remainders[counts.argmax()]) if counts.max() > len(ticks) / 2 else 0
    start = int(ticks.min()) - (int(ticks.min()) - phase) % step
    cells = -(-(int(ticks.max()) - start) // step)
    refuse_far_away(rows, cells)
    return step, start, cells


def _series(rows: Rows, counts: NDArray[np.uint64], order: Ints) -> list[_Series]:
    """Return the readings of each link, repeated ones left out."""
    code, ticks = rows.code[order], rows.times.ticks[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (np.diff(code) != 0) | (np.diff(ticks) != 0)
    code, ticks, order = code[fresh], ticks[fresh], order[fresh]
    edges = np.searchsorted(code, np.arange(len(rows.links) + 1))
    return [
        _Series(link, ticks[edges[k] : edges[k + 1]], counts[order[edges[k] : edges[k + 1]]])
        for k, link in enumerate(rows.links)
    ]


def _limit(link: str, capacities: Mapping[str, float], demand: DemandSpec) -> float:
    """Return the fastest a link can be, in the unit of `demand`; infinite where nobody knows."""
    return capacities.get(link, capacities.get("defaults", np.inf)) / demand.unit_mbps * _OVER


def _rate(
    series: _Series, bits: int, limit: float, per_second: int, step: int, tally: _Tally
) -> Floats:
    """Return the mean rate after each reading but the last, NaN where it is not known."""
    seconds = np.diff(series.ticks) / per_second
    # Unsigned differences wrap by themselves: they are right with one wrap, and without.
    grown = series.counts[1:] - series.counts[:-1]
    if bits == 32:
        grown &= np.uint64(0xFFFFFFFF)
    rate: Floats = grown.astype(np.float64) / seconds
    fell: Bools = series.counts[1:] < series.counts[:-1]
    if not np.isfinite(limit):
        limit = _FASTER * float(rate[~fell].max()) if (~fell).any() else np.inf
    elif len(seconds) and limit * float(np.median(seconds)) > 2.0**bits:
        tally.blind += (series.link,)
    reset = fell & (rate > limit)
    # Nobody knows what a rate was within hours without a reading, nor how often it wrapped.
    apart = np.diff(series.ticks) > max(LONGEST_S * per_second, 1.5 * step)
    tally.wraps += int((fell & ~reset & ~apart).sum())
    tally.resets += int((reset & ~apart).sum())
    tally.spans += int(apart.sum())
    rate[reset | apart] = np.nan
    return rate


def _on_grid(ticks: Ints, rate: Floats, start: int, step: int, cells: int) -> Floats:
    """Return the mean of a rate over each step of the grid, [cells].

    `rate` holds from each of `ticks` to the next; NaN where a step is not covered as a whole.
    """
    if len(ticks) < 2:
        return np.full(cells, np.nan)
    edges = start + step * np.arange(cells + 1)
    inner = edges[(edges > ticks[0]) & (edges < ticks[-1])]
    points = np.unique(np.concatenate([ticks, inner]))
    left, length = points[:-1], np.diff(points).astype(np.float64)
    place = (left - start) // step
    held = rate[np.searchsorted(ticks, left, side="right") - 1]
    covered = np.bincount(place, length, cells)
    amount = np.bincount(place, length * held, cells)
    means: Floats = np.divide(
        amount, covered, out=np.full(cells, np.nan), where=covered == float(step)
    )
    return means


def _late(ticks: Ints, values: Floats, code: int, start: int, step: int) -> list[tuple[int, ...]]:
    """Return link, first, end and `seen` of the samples that come with a later reading."""
    if len(ticks) < 2:
        return []
    slack = int(SNAP * step)
    ends = start + step * np.arange(1, len(values) + 1)
    reading = np.searchsorted(ticks, ends - slack).clip(max=len(ticks) - 1)
    seen = -(-(ticks[reading] - slack - start) // step) - 1
    late = np.flatnonzero((seen > np.arange(len(values))) & ~np.isnan(values))
    if not len(late):
        return []
    runs = np.split(late, np.flatnonzero((np.diff(late) > 1) | (np.diff(reading[late]) > 0)) + 1)
    return [(code, int(run[0]), int(run[-1]) + 1, int(seen[run[0]])) for run in runs]


def _covered(kpis: Mapping[str, Floats]) -> tuple[int, int]:
    """Return the first sample that any link has, and the end of the last."""
    some = np.any([~np.isnan(values).all(axis=1) for values in kpis.values()], axis=0)
    known = np.flatnonzero(some)
    return (int(known[0]), int(known[-1]) + 1) if len(known) else (0, len(some))


def _shifted(gaps: Gaps, first: int, stop: int) -> Gaps:
    gaps = replace(gaps, first=gaps.first - first, stop=gaps.stop - first, seen=gaps.seen - first)
    return gaps.before(stop - first)


def _notes(demand: DemandSpec, bits: int, tally: _Tally, dropped: int) -> list[str]:
    found = "" if demand.bits else " (as their readings fit)"
    said = [
        f"counters of {bits} bits{found} turned into rates: {counted(tally.wraps, 'wrap')}, "
        f"{counted(tally.resets, 'reset')} whose intervals are left missing"
    ]
    if tally.spans:
        longest = format_duration(LONGEST_S)
        apart = f"{counted(tally.spans, 'span')} of more than {longest} without a reading"
        said.append(f"{apart} left missing")
    if dropped:
        said.append(f"{counted(dropped, 'duplicate row')} dropped")
    return said


def _warnings(tally: _Tally, bits: int) -> tuple[str, ...]:
    if not tally.blind:
        return ()
    links = ", ".join(tally.blind[:5]) + (" ..." if len(tally.blind) > 5 else "")
    return (
        f"counters of {bits} bits may wrap more than once between two readings at the capacity "
        f"of {links}: such rates read too low; poll counters of 64 bits (ifHCInOctets)",
    )
