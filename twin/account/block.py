"""The account of one policy over some of the links, interval by interval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from twin.account.energy import LinkPower
from twin.account.metrics import Metrics, average, measure
from twin.core.arrays import Floats
from twin.engine.recording import DividedInterval, LaneRecord, Recording

LINKS = 8
"""Links in a block: one cache line of each recorded row, and arrays that stay in the cache."""


@dataclass(frozen=True, slots=True)
class AccountBlock:
    """All intervals of some links under one policy.

    Arrays are [links, intervals]; `requested` and `allocated` are [links, 1] where they never
    change.
    """

    links: tuple[str, ...]
    demand: Floats
    """Mbit/s; NaN where missing."""
    requested: Floats
    """Mbit/s"""
    allocated: Floats
    """Mbit/s"""
    capacity: Floats | None
    """Mbit/s; None where unlimited."""
    metrics: Metrics
    watts: Floats | None = None
    """What links draw, where anything is said of their power; NaN on those of which nothing is."""


def blocks(
    recording: Recording,
    lane: LaneRecord,
    link: str | None = None,
    power: LinkPower | None = None,
) -> Iterator[AccountBlock]:
    """Yield the account of a lane, a few links at a time; only those beside `link`, if named.

    Where something changed inside an interval, its metrics are those of its segments,
    averaged by time.
    """
    divided = _DividedIntervals(recording, lane, power)
    for first in range(0, len(recording.links), LINKS):
        part = slice(first, first + LINKS)
        if link is not None and link not in recording.links[part]:
            continue
        demand = recording.demand_by_link[part]
        requested = _rows(lane.requested, part)
        same = lane.allocated is lane.requested
        allocated = requested if same else _rows(lane.allocated, part)
        capacity = _capacity(recording, part)
        metrics = measure(demand, allocated, capacity, float(recording.tick_s))
        watts = None if power is None else power.watts(allocated.T, metrics.served.T, part).T
        if len(divided.intervals):
            allocated = np.broadcast_to(allocated, demand.shape).copy()
            if capacity is None:
                # A failure that is over before the tick leaves no interval of it undivided.
                metrics = replace(metrics, overload_s=np.zeros(demand.shape))
            divided.put(part, allocated, capacity, metrics)
            if watts is not None:
                divided.put_watts(part, watts)
        yield AccountBlock(
            recording.links[part], demand, requested, allocated, capacity, metrics, watts
        )


def _rows(values: Floats, part: slice) -> Floats:
    if values.strides[0] == 0:
        return values[0, part, None]
    return np.ascontiguousarray(values[:, part].T)


def _capacity(recording: Recording, part: slice) -> Floats | None:
    if recording.unlimited:
        return None
    starts = [first for first, _ in recording.capacity] + [recording.intervals]
    lengths = np.diff(np.minimum(starts, recording.intervals))
    stretches = np.stack([capacity[part] for _, capacity in recording.capacity], axis=1)
    return np.repeat(stretches, lengths, axis=1)


class _DividedIntervals:
    """What the divided intervals come to, for all links: arrays are [divided intervals, links]."""

    def __init__(
        self, recording: Recording, lane: LaneRecord, power: LinkPower | None = None
    ) -> None:
        self.intervals = np.array(list(recording.divided), dtype=np.int64)
        allocated, capacity, averages, watts = [], [], [], []
        for interval in recording.divided.values():
            granted, seconds = interval.allocated[lane.name], interval.seconds
            demand = _own_demand(interval, granted)
            segments = measure(demand, granted, interval.capacity, seconds[:, None])
            averages.append(segments.joined(seconds))
            if power is not None:
                watts.append(average(power.watts(granted, segments.served), seconds))
            allocated.append(average(granted, seconds))
            capacity.append(average(interval.capacity, seconds))
        self._allocated = np.array(allocated)
        self._capacity = np.array(capacity)
        self._watts = np.array(watts)
        self._metrics = {
            field.name: np.array([getattr(average, field.name) for average in averages])
            for field in fields(Metrics)
        }

    def put(
        self, part: slice, allocated: Floats, capacity: Floats | None, metrics: Metrics
    ) -> None:
        """Write the values of some links in place of those of undivided intervals."""
        allocated[:, self.intervals] = self._allocated[:, part].T
        if capacity is not None:
            capacity[:, self.intervals] = self._capacity[:, part].T
        for name, values in self._metrics.items():
            getattr(metrics, name)[:, self.intervals] = values[:, part].T

    def put_watts(self, part: slice, watts: Floats) -> None:
        """Write what some links draw in place of that of undivided intervals."""
        watts[:, self.intervals] = self._watts[:, part].T


def _own_demand(interval: DividedInterval, granted: Floats) -> Floats:
    """Return the demand of each segment, its mean between two changes on the link itself.

    What cuts an interval on another link, or under another policy, must not count: a ramp there
    would be averaged over shorter spans than without it.
    """
    demand, capacity = interval.demand, interval.capacity
    same = (granted[1:] == granted[:-1]) & (capacity[1:] == capacity[:-1])
    same &= ~interval.at_breakpoint[1:]
    if not (same & (demand[1:] != demand[:-1])).any():
        return demand
    own, span = demand.copy(), np.zeros(demand.shape, dtype=np.int64)
    span[1:] = np.cumsum(~same, axis=0)
    for number in range(int(span.max()) + 1):
        within = span == number
        seconds = interval.seconds[:, None] * within
        length = seconds.sum(axis=0)
        mean = np.divide(
            np.where(within, seconds * demand, 0).sum(axis=0),
            length,
            out=np.zeros(length.shape),
            where=length > 0,
        )
        low = np.where(within, demand, np.inf).min(axis=0)
        high = np.where(within, demand, -np.inf).max(axis=0)
        own = np.where(within & (low < high), mean, own)
    return own
