"""What a run leaves behind, as arrays over intervals and links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats
from twin.engine.routes import RouteState


@dataclass(frozen=True, slots=True)
class DividedInterval:
    """An interval inside which something changed: its segments, in order.

    Mbit/s; arrays are [segments, links].
    """

    seconds: Floats
    """Length of each segment, [segments]."""
    demand: Floats
    at_breakpoint: NDArray[np.bool_]
    """Whether the load of the link has a breakpoint where the segment begins."""
    capacity: Floats
    allocated: dict[str, Floats]
    """Of each policy, by name."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One thing that happened in the replay."""

    time_s: float
    kind: str
    name: str
    phase: str
    """Column `phase` of the log: ``start`` or ``end``; of a policy ``failure`` or ``stand-in``."""
    links: tuple[str, ...]
    detail: str = ""
    """What a policy's failure was, and what followed."""


@dataclass(frozen=True, slots=True)
class LaneRecord:
    """What one policy asked for and got, Mbit/s, [intervals, links]."""

    name: str
    requested: Floats
    allocated: Floats
    changes: NDArray[np.int64] | None = None
    """Orders after the first, [links]; None where each change of the allocation is one."""
    fallbacks: int = 0
    """Intervals that the fallback decided."""


@dataclass(frozen=True, slots=True)
class ForecastUse:
    """Which forecasters were run in the replay."""

    windows: Mapping[str, Mapping[str, int]]
    """By policy and model: windows that the model ran for what the policy asked."""
    picks: Mapping[int, Mapping[str, str]]
    """By intervals ahead and link: what `auto` picked; for horizons up to that."""


@dataclass(frozen=True)
class Recording:
    """One demand, and every policy's allocations over it."""

    links: tuple[str, ...]
    tick_s: int
    demand: Floats
    """Mean offered demand, Mbit/s, [intervals, links]; NaN where missing."""
    capacity: tuple[tuple[int, Floats], ...]
    """(first interval, capacity [links]) of each stretch of constant capacity, in order."""
    lanes: tuple[LaneRecord, ...]
    divided: dict[int, DividedInterval]
    events: tuple[LoggedEvent, ...]
    forecasts: ForecastUse = ForecastUse({}, {})
    unrouted: Mapping[str, float] = field(default_factory=dict)
    """By flow: demand that no path was left for, Mbit; only of flows that had any."""
    flow_demand: Floats | None = None
    """Mean offered demand of the flows, Mbit/s, [intervals, flows]; None where flows are links."""
    routes: tuple[RouteState, ...] = ()
    """What routing depended on, from instant to instant; nothing where flows are links."""

    @cached_property
    def demand_by_link(self) -> Floats:
        """The demand transposed, [links, intervals], as the account of every policy reads it."""
        by_link = np.empty(self.demand.shape[::-1])
        for first in range(0, len(by_link), 8):
            # One cache line of each row at a time.
            by_link[first : first + 8] = self.demand[:, first : first + 8].T
        by_link.setflags(write=False)
        return by_link

    def since(self, first: int, before: Recording) -> Recording:
        """Return the part from interval `first` on; `before` is what was recorded until then."""
        earlier = {lane.name: lane for lane in before.lanes}
        lanes = []
        for lane in self.lanes:
            changes, past = lane.changes, earlier[lane.name]
            if changes is not None and past.changes is not None:
                changes = changes - past.changes
            requested, allocated = lane.requested[first:], lane.allocated[first:]
            fallbacks = lane.fallbacks - past.fallbacks
            lanes.append(LaneRecord(lane.name, requested, allocated, changes, fallbacks))
        held = [capacity for start, capacity in self.capacity if start <= first]
        later = ((start - first, each) for start, each in self.capacity if start > first)
        offset = float(first * self.tick_s)
        return Recording(
            self.links,
            self.tick_s,
            self.demand[first:],
            ((0, held[-1]), *later),
            tuple(lanes),
            {k - first: each for k, each in self.divided.items() if k >= first},
            tuple(
                replace(event, time_s=event.time_s - offset)
                for event in self.events
                if event.time_s >= offset
            ),
            self.forecasts,
            {
                flow: mbit - before.unrouted.get(flow, 0.0)
                for flow, mbit in self.unrouted.items()
                if mbit > before.unrouted.get(flow, 0.0)
            },
            None if self.flow_demand is None else self.flow_demand[first:],
            tuple(
                state._replace(time=max(state.time - offset, 0.0))
                for i, state in enumerate(self.routes)
                if i + 1 == len(self.routes) or self.routes[i + 1].time > offset
            ),
        )

    def between(self, first: int, stop: int) -> Recording:
        """Return the intervals first <= k < stop: demand, capacity and allocations, no more."""
        held = [capacity for start, capacity in self.capacity if start <= first]
        later = ((s - first, each) for s, each in self.capacity if first < s < stop)
        lanes = (
            LaneRecord(each.name, each.requested[first:stop], each.allocated[first:stop])
            for each in self.lanes
        )
        return Recording(
            self.links,
            self.tick_s,
            self.demand[first:stop],
            ((0, held[-1]), *later),
            tuple(lanes),
            {k - first: each for k, each in self.divided.items() if first <= k < stop},
            (),
        )

    @property
    def intervals(self) -> int:
        """Number of replayed intervals."""
        return len(self.demand)

    @property
    def unlimited(self) -> bool:
        """Whether no link ever has a finite capacity."""
        return all(np.isinf(capacity).all() for _, capacity in self.capacity)
