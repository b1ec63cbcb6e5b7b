"""Records a simulation as it goes: what changed inside intervals, and what was in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from twin.core.arrays import Floats
from twin.engine.lane import Lane
from twin.engine.load import OfferedLoad
from twin.engine.network import Network
from twin.engine.recording import DividedInterval, ForecastUse, LaneRecord, LoggedEvent, Recording


class Segment(NamedTuple):
    """A span of an interval in which nothing changes on any link, under any policy."""

    start: float
    end: float
    capacity: Floats
    allocated: tuple[Floats, ...]
    """Of each lane."""


class Recorder:
    """What has happened so far, from which a recording is made at any time."""

    def __init__(self, links: tuple[str, ...], tick_s: int, network: Network) -> None:
        self._links, self._tick_s = links, tick_s
        self._interval = 0
        self._segment_start = 0.0
        self._segments: list[Segment] = []
        # (first undivided interval, capacity, nominal capacity) of each stretch without a change.
        self._stretches = [(0, network.capacity, network.nominal)]
        self._divided: dict[int, list[Segment]] = {}
        self.log: list[LoggedEvent] = []
        """Everything that events and failing policies did, in order of time."""

    def begin(self, now: float) -> None:
        """Begin an interval: what was in force before counts no longer."""
        self._segment_start = now

    def forget_segments(self) -> None:
        """Forget what changed inside of closed intervals, where nobody will ask for it."""
        self._divided = {}

    def cut(self, now: float, network: Network, lanes: Sequence[Lane]) -> None:
        """End a segment of the current interval now, with the state that held during it."""
        if now > self._segment_start and now > self._interval * self._tick_s:
            allocated = tuple(np.minimum(lane.in_force, network.nominal) for lane in lanes)
            segment = Segment(self._segment_start, now, network.capacity, allocated)
            self._segments.append(segment)
            self._segment_start = now

    def note_capacity(self, now: float, network: Network) -> None:
        """Remember the capacity from the next undivided interval on."""
        first = self._interval + (now > self._interval * self._tick_s)
        if self._stretches[-1][0] == first:
            self._stretches.pop()
        self._stretches.append((first, network.capacity, network.nominal))

    def close(self, now: float, network: Network, lanes: Sequence[Lane]) -> None:
        """End the current interval."""
        if self._segments:
            self.cut(now, network, lanes)
            self._divided[self._interval] = self._segments
            self._segments = []
        self._interval += 1

    def recording(
        self,
        closed: int,
        lanes: Sequence[Lane],
        load: OfferedLoad,
        forecasts: ForecastUse,
        *,
        early: bool,
    ) -> Recording:
        """Return what was recorded of the first `closed` intervals.

        `early`: the lanes have decided for the interval after those, which does not count yet.
        """
        return Recording(
            self._links,
            self._tick_s,
            load.demand(0, closed),
            tuple((first, capacity) for first, capacity, _ in self._stretches if first <= closed),
            tuple(self._record(lane, closed, early) for lane in lanes),
            {k: self._division(k, each, lanes, load) for k, each in self._divided.items()},
            tuple(event for event in self.log if event.time_s < closed * self._tick_s),
            forecasts,
            load.unrouted(closed),
            load.flow_demand(closed),
            tuple(each for each in load.states if each.time < max(closed * self._tick_s, 1)),
        )

    def latest(self, lanes: Sequence[Lane], load: OfferedLoad) -> Recording:
        """Return what was recorded of the interval that closed last, and nothing else.

        Orders, and what the fallback decided, are not counted.
        """
        k = self._interval - 1
        _, capacity, nominal = [each for each in self._stretches if each[0] <= k][-1]
        records = []
        for lane in lanes:
            requested, granted = lane.requested(k + 1)[k:], lane.granted(k + 1)
            allocated = np.minimum(requested, nominal) if granted is None else granted[k:]
            records.append(LaneRecord(lane.name, requested, allocated))
        segments = self._divided.get(k)
        divided = {} if segments is None else {0: self._division(k, segments, lanes, load)}
        demand, capacities = load.demand(k, k + 1), ((0, capacity),)
        return Recording(self._links, self._tick_s, demand, capacities, tuple(records), divided, ())

    def _record(self, lane: Lane, closed: int, early: bool) -> LaneRecord:
        if not closed:
            nothing = np.empty((0, len(self._links)))
            return LaneRecord(lane.name, nothing, nothing)
        requested, granted = lane.requested(closed), lane.granted(closed)
        fallbacks = lane.fallbacks - (early and lane.fell_back)
        if granted is not None and lane.provisioning is not None:
            changes = lane.provisioning.changes - (lane.provisioning.latest & early)
            return LaneRecord(lane.name, requested, granted, changes, fallbacks)
        return LaneRecord(lane.name, requested, self.granted(lane, closed), None, fallbacks)

    def granted(self, lane: Lane, closed: int) -> Floats:
        """Return what was in force in the first `closed` intervals, [intervals, links].

        For a lane whose requests are in force at once: only the capacity limits them.
        """
        requested = lane.requested(closed)
        if all(np.isinf(nominal).all() for _, _, nominal in self._stretches):
            return requested
        limited = requested.copy()
        for first, _, nominal in self._stretches:
            np.minimum(requested[first:], nominal, out=limited[first:])
        return limited

    def _division(
        self, interval: int, segments: list[Segment], lanes: Sequence[Lane], load: OfferedLoad
    ) -> DividedInterval:
        allocated = {
            lane.name: np.stack([segment.allocated[i] for segment in segments])
            for i, lane in enumerate(lanes)
        }
        return DividedInterval(
            np.array([segment.end - segment.start for segment in segments]),
            np.stack([load.over(interval, each.start, each.end) for each in segments]),
            np.stack([load.at_breakpoint(segment.start) for segment in segments]),
            np.stack([segment.capacity for segment in segments]),
            allocated,
        )
