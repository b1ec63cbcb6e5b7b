"""The discrete-event engine.

At every tick, in this order:

1. the interval that ends now is closed and recorded;
2. events that end now end, then events that start now start;
3. telemetry is delivered: observations end with the interval just closed;
4. every policy decides for the coming interval;
5. its allocation takes effect, and so do earlier ones whose lead time ends now.

The order is the priority of the instants in SimPy's queue (:class:`Phase`). Events at other
instants cut the interval into pieces, each recorded on its own. The horizon is half-open: at
its end the last interval is closed and nothing is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import partial
from typing import NamedTuple

import numpy as np
import simpy
from numpy.typing import NDArray
from simpy.events import EventPriority

from twin.core.arrays import Floats
from twin.engine.lane import Lane
from twin.engine.network import Network
from twin.engine.provisioning import Order
from twin.engine.recording import LaneRecord, LoggedEvent, Recording, Split
from twin.engine.surges import SurgedSeries
from twin.events.base import Event
from twin.events.capacity_change import CapacityChange
from twin.events.link_failure import LinkFailure
from twin.events.surge import Surge as SurgeEvent
from twin.policy.base import Observation, Stream

_PROGRESS_EVERY = 16
"""Intervals between two reports of progress."""


class Phase(IntEnum):
    """What happens first among the things that happen at one instant."""

    CLOSE = 10
    END = 20
    START = 30
    DECIDE = 40
    EFFECT = 50


class _At(simpy.Event):
    """An instant at which something is done, in its phase."""

    def __init__(
        self, env: simpy.Environment, time: float, phase: Phase, do: Callable[[], None]
    ) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        self.callbacks.append(lambda _: do())
        env.schedule(self, priority=EventPriority(phase), delay=time - env.now)


class _Piece(NamedTuple):
    """A span of an interval in which nothing changes on any link, under any policy."""

    start: float
    end: float
    capacity: Floats
    allocated: list[Floats]
    """Of each lane."""


class Engine:
    """One replay: links, demand, events and policies on one clock, in seconds."""

    def __init__(
        self,
        stream: Stream,
        demand: SurgedSeries,
        first: int,
        network: Network,
        events: Sequence[tuple[Event, NDArray[np.bool_]]],
        lanes: list[Lane],
    ) -> None:
        """Take the demand of the replay, which begins at sample `first` of the stream.

        `events` come with the links they touch, [links].
        """
        self._stream = stream
        self._demand = demand
        self._first = first
        self._network = network
        self._lanes = lanes
        self._tick_s = stream.tick_s
        self._intervals = len(demand.mean)
        self._interval = 0
        self._cut_at = 0.0
        self._pieces: list[_Piece] = []
        # (first undivided interval, capacity, nominal capacity) of each stretch without a change.
        self._stretches = [(0, network.capacity, network.nominal)]
        self._splits: dict[int, Split] = {}
        self._log: list[LoggedEvent] = []
        self._progress: Callable[[int, int], None] | None = None
        self._env = simpy.Environment()
        for spec, links in events:
            self._plan(spec, links)
        _At(self._env, 0.0, Phase.DECIDE, self._decide)

    def run(self, progress: Callable[[int, int], None] | None = None) -> Recording:
        """Replay to the horizon and return what was recorded."""
        self._progress = progress
        self._env.run()
        return Recording(
            self._stream.links,
            self._tick_s,
            self._demand.mean,
            tuple((first, capacity) for first, capacity, _ in self._stretches),
            tuple(self._record(lane) for lane in self._lanes),
            self._splits,
            tuple(self._log),
        )

    def _record(self, lane: Lane) -> LaneRecord:
        requested = lane.requested
        if lane.provisioning is not None:
            assert lane.allocated is not None
            return LaneRecord(
                lane.name, requested, lane.allocated, lane.provisioning.changes, lane.fallbacks
            )
        if all(np.isinf(nominal).all() for _, _, nominal in self._stretches):
            return LaneRecord(lane.name, requested, requested, None, lane.fallbacks)
        allocated = requested.copy()
        for first, _, nominal in self._stretches:
            np.minimum(requested[first:], nominal, out=allocated[first:])
        return LaneRecord(lane.name, requested, allocated, None, lane.fallbacks)

    # Ticks

    def _decide(self) -> None:
        k = self._interval
        observation = Observation(k, self._network.down, self._stream, self._first + k)
        self._cut_at = self._env.now
        for lane in self._lanes:
            lane.decide(observation)
            for phase, detail, where in lane.told():
                event = LoggedEvent(self._env.now, "fallback", lane.name, phase, where, detail)
                self._log.append(event)
            if lane.provisioning is not None:
                for order in lane.provisioning.request(lane.latest, self._env.now):
                    _At(self._env, order.at, Phase.EFFECT, partial(self._effect, lane, order))
        _At(self._env, (k + 1) * self._tick_s, Phase.CLOSE, self._close)

    def _effect(self, lane: Lane, order: Order) -> None:
        assert lane.provisioning is not None
        self._cut()
        lane.provisioning.apply(order)

    def _close(self) -> None:
        for lane in self._lanes:
            if lane.allocated is not None:
                np.minimum(lane.in_force, self._network.nominal, out=lane.allocated[self._interval])
        if self._pieces:
            self._cut()
            self._splits[self._interval] = self._split()
            self._pieces = []
        self._interval += 1
        if self._progress is not None and self._interval % _PROGRESS_EVERY == 0:
            self._progress(self._interval, self._intervals)
        if self._interval < self._intervals:
            _At(self._env, self._env.now, Phase.DECIDE, self._decide)

    # Events

    def _plan(self, spec: Event, links: NDArray[np.bool_]) -> None:
        horizon = self._intervals * self._tick_s
        end = horizon if spec.duration is None else spec.start + spec.duration
        _At(self._env, spec.start, Phase.START, lambda: self._happen(spec, links, "start"))
        if end < horizon:
            _At(self._env, end, Phase.END, lambda: self._happen(spec, links, "end"))
        ramp = spec.ramp if isinstance(spec, SurgeEvent) else 0.0
        for time in (spec.start + ramp, end - ramp) if ramp else ():
            if time < horizon:
                _At(self._env, time, Phase.START, self._cut)

    def _happen(self, spec: Event, links: NDArray[np.bool_], phase: str) -> None:
        self._cut()
        begins = phase == "start"
        if isinstance(spec, LinkFailure):
            (self._network.fail if begins else self._network.repair)(links)
        elif isinstance(spec, CapacityChange):
            if begins:
                self._network.change(spec, links)
            else:
                self._network.restore(spec)
        if not isinstance(spec, SurgeEvent):
            self._note_capacity()
        names = tuple(np.asarray(self._stream.links)[links])
        self._log.append(LoggedEvent(self._env.now, spec.kind, spec.name or "", phase, names))

    # Pieces

    def _cut(self) -> None:
        """End a piece of the current interval here, with the state it had."""
        now = self._env.now
        if now > self._cut_at and now > self._interval * self._tick_s:
            nominal = self._network.nominal
            allocated = [np.minimum(lane.in_force, nominal) for lane in self._lanes]
            self._pieces.append(_Piece(self._cut_at, now, self._network.capacity, allocated))
            self._cut_at = now

    def _note_capacity(self) -> None:
        """Remember the capacity from the next undivided interval on."""
        first = self._interval + (self._env.now > self._interval * self._tick_s)
        if self._stretches[-1][0] == first:
            self._stretches.pop()
        self._stretches.append((first, self._network.capacity, self._network.nominal))

    def _split(self) -> Split:
        pieces = self._pieces
        seconds = np.array([piece.end - piece.start for piece in pieces])
        demand = np.stack([self._demand.over(piece.start, piece.end) for piece in pieces])
        capacity = np.stack([piece.capacity for piece in pieces])
        allocated = {
            lane.name: np.stack([piece.allocated[i] for piece in pieces])
            for i, lane in enumerate(self._lanes)
        }
        turns = np.stack([self._demand.turns(piece.start) for piece in pieces])
        return Split(seconds, demand, turns, capacity, allocated)
