"""A trace that goes on: its last weeks, repeated and grown, where nothing is measured yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem
from twin.core.units import DAY_S, counted, format_duration
from twin.demand.growth import growth_of, growths_text
from twin.demand.spec import DemandSpec, ExtendSpec
from twin.demand.trace import Trace

BUSY: Final = 95
"""Percentile of the repeated weeks that an amount of growth is added to."""

_AFTER: Final = timedelta(days=2)
"""Room after the last time, as after a trace that is read."""


def extended(trace: Trace, demand: DemandSpec) -> Trace:
    """Return a trace with what `demand.extend` adds after its end; without that, the trace.

    A sample that is added is the sample one or more whole repeats before it, grown over that time:
    so a trace that grows as stated goes on as it was. Samples that are missing are missing again.
    Raises InputError for what cannot be repeated, and for more values than `demand.max_values`.
    """
    if demand.extend is None or trace.measured is not None:
        return trace
    repeat = _repeat(trace, demand.extend)
    added = _added(trace, demand)
    place = np.arange(added)
    elapsed = np.asarray((place // repeat + 1.0) * repeat * trace.tick_s, dtype=np.float64)
    factors = _factors(trace, demand, repeat, elapsed)
    kpis = {}
    for name, values in trace.kpis.items():
        longer = np.empty((trace.samples + added, len(trace.links)))
        longer[: trace.samples] = values
        last = values[trace.samples - repeat :]
        np.multiply(last[place % repeat], factors, out=longer[trace.samples :])
        kpis[name] = longer
    return replace(trace, kpis=kpis, measured=trace.samples)


def _repeat(trace: Trace, extend: ExtendSpec) -> int:
    """Return how many samples are repeated."""
    where = ("demand", "extend", "repeat")
    samples, rest = divmod(extend.repeat, trace.tick_s)
    if rest or extend.repeat % DAY_S:
        what = "must be a whole number of days, so that the hours of the day come round"
        raise InputError(Problem(what, where))
    if samples > trace.samples:
        length = format_duration(trace.samples * trace.tick_s)
        weeks, days = divmod(trace.samples * trace.tick_s // DAY_S, 7)
        shorter = f"{weeks}w" if weeks else f"{days}d"
        remedy = f"write 'repeat: {shorter}'" if weeks or days else "it needs a day at least"
        what = f"{format_duration(extend.repeat)} is longer than the trace, {length}"
        raise InputError(Problem(what, where, suggestion=remedy))
    return int(samples)


def _added(trace: Trace, demand: DemandSpec) -> int:
    """Return how many samples are added."""
    assert demand.extend is not None
    where = ("demand", "extend", "for")
    length = trace.samples * trace.tick_s
    end = None if trace.starts is None else trace.starts + timedelta(seconds=length)
    try:
        ahead = demand.extend.ahead.seconds(end)
        if end is not None:
            end + timedelta(seconds=ahead) + _AFTER
    except OverflowError:
        raise InputError(Problem("ends after the year 9999", where)) from None
    added = int(ahead // trace.tick_s)
    if added < 1:
        raise InputError(Problem("is shorter than a tick", where))
    values = (trace.samples + added) * len(trace.links) * len(trace.kpis)
    if values > demand.max_values:
        what = f"makes {values:,} values, more than 'max_values', {demand.max_values:,}"
        raise InputError(Problem(what, where, suggestion="make it shorter, or the tick longer"))
    return added


def _factors(trace: Trace, demand: DemandSpec, repeat: int, elapsed: Floats) -> Floats:
    """Return what each added sample is multiplied by, [samples, links or 1]."""
    rates = growth_of(demand.growth or {}, trace.links)
    if len(set(rates)) == 1 and (rates[0] is None or not rates[0].linear):
        rate = rates[0]
        return (np.ones_like(elapsed) if rate is None else rate.factor(elapsed, 1.0))[:, None]
    factors = np.ones((len(elapsed), len(rates)))
    for link, rate in enumerate(rates):
        if rate is not None:
            weeks = trace.demand_mbps[trace.samples - repeat :, link]
            known = weeks[~np.isnan(weeks)]
            busy = float(np.percentile(known, BUSY)) if len(known) else 0.0
            factors[:, link] = rate.factor(elapsed, busy)
    return factors


def extension_note(trace: Trace, demand: DemandSpec, first: int, stop: int) -> str:
    """Return what is not measured of a replay of samples first <= i < stop; else no text."""
    if trace.measured is None or demand.extend is None or stop <= trace.measured:
        return ""
    when = format_duration(max(trace.measured - first, 0) * trace.tick_s)
    if trace.starts is not None:
        date = trace.starts + timedelta(seconds=trace.measured * trace.tick_s)
        when += f" ({date.isoformat(sep=' ', timespec='minutes')})"
    grown = "without growth"
    if demand.growth:
        stated = growths_text(demand.growth)
        many = counted(len(demand.growth), "rate")
        grown = f"grown by {stated}" if isinstance(stated, str) else f"grown by {many} for links"
    repeat = format_duration(demand.extend.repeat)
    note = f"from {when} on demand is not measured: the last {repeat} of it repeated, {grown}"
    weekly = demand.extend.repeat % (7 * DAY_S) == 0
    return note if weekly else f"{note}; days of the week do not come round"
