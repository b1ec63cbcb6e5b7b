"""From samples on a grid to ticks: units converted, short gaps filled, finer steps averaged."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from twin.core import clock
from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem
from twin.core.units import MBPS, counted, format_duration
from twin.demand.gaps import Gaps
from twin.demand.grid import Grid
from twin.demand.kpis import TRAFFIC_KPIS
from twin.demand.repair import aggregated, averaging_notes, in_ticks, interpolate, with_late
from twin.demand.spec import DemandSpec

_AFTER = timedelta(days=2)
"""Room after a trace: for an offset from UTC, and for the interval that is to come."""


class Ticks(NamedTuple):
    """KPIs at each tick, [ticks, links], and what was done to the samples."""

    kpis: dict[str, Floats]
    gaps: dict[str, Gaps]
    repairs: tuple[str, ...]
    starts: datetime | None


def in_ticks_of(grid: Grid, demand: DemandSpec, tick_s: int) -> Ticks:
    """Return what is on a grid at ticks of `tick_s` seconds, in the units of a trace.

    Raises InputError for a trace of fewer than two ticks, and for a stated start that is not the
    trace's.
    """
    step_s = grid.step / grid.times.per_second
    per_tick = tick_s * grid.times.per_second // grid.step
    samples = len(grid.kpis["internet"])
    if samples // per_tick < 2:
        covered = counted(samples // per_tick, "interval")
        what = f"the trace covers {covered} of {format_duration(tick_s)}"
        raise InputError(Problem(what, "demand", None, None, "at least 2 are needed"))
    repairs = grid.repairs
    kpis, gaps = {}, {}
    for name, raw in grid.kpis.items():
        filled, runs, sentences = interpolate(_in_mbps(name, raw, demand), step_s)
        runs = with_late(runs, grid.late.get(name))
        if len(runs):
            gaps[name] = in_ticks(runs, per_tick)
        kpis[name] = aggregated(filled, per_tick, demand.aggregate) if per_tick > 1 else filled
        if name == "internet":
            repairs += sentences
        else:
            # A collector that fails loses all KPIs at once: that is reported once.
            repairs += tuple(f"{name}: {each}" for each in sentences if each not in repairs)
    repairs += averaging_notes(samples, per_tick, step_s, tick_s, demand.aggregate)
    starts = _starts(demand, grid)
    if starts is None and demand.timezone is not None:
        what = "needs the time of a sample, but the trace has no dates"
        remedy = "state 'starts', or remove it"
        raise InputError(Problem(what, "demand.timezone", None, None, remedy))
    _check_end(starts, samples * step_s)
    return Ticks(kpis, gaps, repairs, starts)


def _check_end(starts: datetime | None, span_s: float) -> None:
    """Raise InputError where the last times of a trace are no dates any more."""
    try:
        if starts is not None:
            starts + timedelta(seconds=span_s) + _AFTER
    except OverflowError:
        what = f"the trace would end {format_duration(span_s)} later, after the year 9999"
        raise InputError(Problem(what, "demand.starts", None, None, "write another time")) from None


def _in_mbps(kpi: str, values: Floats, demand: DemandSpec) -> Floats:
    factor = MBPS[demand.unit] if kpi in TRAFFIC_KPIS else 1.0
    return values if factor == 1 else values * factor


def _starts(demand: DemandSpec, grid: Grid) -> datetime | None:
    stated = demand.starts
    if stated is not None:
        stated = clock.in_utc(stated, demand.timezone)
    if grid.times.epoch is None:
        return stated
    first = grid.times.moment(grid.start)
    if stated is not None and stated.replace(tzinfo=None) != first.replace(tzinfo=None):
        what = f"is {stated.isoformat()}, but the trace starts at {first.isoformat()}"
        remedy = "remove 'starts': the trace has dates"
        raise InputError(Problem(what, "demand.starts", None, None, remedy))
    return first
