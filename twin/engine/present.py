"""The present of an engine, from which it can go on many times, each time with another future.

A future is known as a whole before it is gone through, so that models forecast many of its samples
at once, as they do in a replay; what is decided is the same to the byte as where it is delivered
sample by sample. All futures are lent the rows of the one past (see :mod:`twin.core.tail`), so that
only one can be in use at a time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Generic, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike

from twin.core.arrays import Bools, Floats
from twin.core.tail import lending
from twin.demand.gaps import Revision
from twin.engine.deciding import ask_all
from twin.engine.engine import Engine
from twin.engine.foretold import Ahead, Listening, Loads, foretellable, foretold, separable
from twin.engine.lane import Lane
from twin.engine.load import OfferedLoad
from twin.engine.services import EngineServices
from twin.engine.shown import observation_of
from twin.events.effects import Distortion, Echo
from twin.policy.base import Observation, Policy
from twin.telemetry.distorted import DistortedFeed
from twin.telemetry.source import LiveSource

E = TypeVar("E", bound=Engine)


class Present(Generic[E]):
    """A copy of an engine that stands where it does, and many futures of it."""

    def __init__(self, engine: E, source: LiveSource | None = None) -> None:
        """Copy `engine`; what it replays is taken from `source` instead, up to now."""
        self.engine: E = engine.fork()
        """To be changed before the first future, and then no more."""
        self.engine.start()
        self._policies = {lane.name: lane.policy for lane in self.engine._lanes}
        self._settings = self.engine._settings
        self.engine._recorder.forget_segments()
        if source is not None:
            _feed_from(self.engine, source)

    @property
    def down(self) -> Bools:
        """Links that are down, [links]."""
        return self.engine._network.down

    def leave_out(self, policies: Collection[str]) -> None:
        """Let the policies that are named decide nothing more: it costs time."""
        for lane in self.engine._lanes:
            if lane.name in policies:
                lane.hand_over(Lane(lane.name, _Idle(), (), None))

    def settle(self) -> None:
        """Let forecasters read the past, once for all futures: they are asked as they will be."""
        self._ask_all(self.engine, self.engine._services)

    @staticmethod
    def _ask_all(engine: Engine, services: EngineServices) -> None:
        """Let copies of all policies decide now."""
        closed = engine.span.first + engine.closed
        seen = observation_of(engine.links, engine.source, engine._network, engine.closed, closed)
        ask_all(copy.deepcopy(engine._lanes), services, seen, engine.now)

    @property
    def _lends(self) -> bool:
        """Whether no future can change what is past, as it does by closing a gap."""
        engine = self.engine
        last = engine.span.first + engine.closed - 1
        rows = [engine.source.rows(kpi, last, last + 1) for kpi in engine.source.kpis]
        return not (np.isnan(rows).any() or engine._telemetry._distortions)

    def ahead(
        self,
        demands: Sequence[Mapping[str, Floats]],
        like: Ahead | None = None,
        at_work: Callable[[], object] | None = None,
    ) -> Ahead:
        """Return what is known of the futures for several demands before any is gone through.

        What policies decide is made out for all futures at once, where it can be. `like` is what
        was known of the same demands by another present of the same engine: links that carry the
        same there and here are decided for once. `at_work` is called now and then.
        """
        engine = self.engine
        if len(demands) < 2 or not self._lends or not foretellable(engine):
            return Ahead()
        loads = [loads_of(engine._load, engine.closed, demand) for demand in demands]
        reset = engine._settings is not self._settings
        changed = [
            lane.name
            for lane in engine._lanes
            if lane.policy is not self._policies[lane.name] or (reset and lane.provisioning)
        ]
        return foretold(
            engine, separable(engine), loads, like or Ahead(), changed, at_work or (lambda: None)
        )

    def futures(
        self, demands: Sequence[Mapping[str, Floats]], ahead: Ahead | None = None
    ) -> Iterator[E]:
        """Yield a future for each of several demands, as :meth:`future` returns it.

        Each is there until the next one is taken.
        `ahead` is what is known of them, by default what :meth:`ahead` says.
        """
        ahead = self.ahead(demands) if ahead is None else ahead
        engine = self.engine
        if ahead.decided:
            engine = self.engine.fork()
            for lane in engine._lanes:
                if lane.name in ahead.decided:
                    lane.policy = _Idle()
            listening = Listening(engine._services)
            self._ask_all(engine, cast("EngineServices", listening))
            if not listening.asked:
                # Nobody needs them any more, and they take long to copy.
                engine._services.forget_forecasts()
        for number, demand in enumerate(demands):
            future = self._future(engine, demand, ahead.loads[number] if ahead.loads else None)
            for lane in future._lanes:
                if lane.name in ahead.decided:
                    lane.policy = ahead.policy(lane.name, number)
            yield future
            # It and its agenda hold each other: all that it has would stay until that is noticed.
            future.__dict__.clear()

    def future(self, demand: Mapping[str, Floats]) -> E:
        """Return the engine with what is to come: KPIs of flows, [intervals, flows] each."""
        return self._future(self.engine, demand)

    def _future(self, engine: E, demand: Mapping[str, Floats], loads: Loads | None = None) -> E:
        memo = lending() if self._lends else {}
        future: E = copy.deepcopy(engine, memo)
        source = future.source
        assert isinstance(source, LiveSource)
        count = len(next(iter(demand.values())))
        for k in range(count):
            source.deliver({kpi: rows[k] for kpi, rows in demand.items()})
        load = future._load
        if not load.echoing:
            loads = loads or loads_of(load, future.closed, demand)
            future._telemetry.look_ahead(KnownFuture(load, loads))
        return future


def loads_of(load: OfferedLoad, interval: int, flows: Mapping[str, Floats]) -> Loads:
    """Return what links carry if flows are so from `interval` on, and events stay what they are.

    [intervals, flows] of each KPI.
    """
    return {
        kpi: np.stack([load.averaged(kpi, interval + k, row) for k, row in enumerate(rows)])
        for kpi, rows in flows.items()
    }


class KnownFuture:
    """The load of links as it closes, and what it will be as long as events stay what they are."""

    def __init__(self, load: OfferedLoad, ahead: Loads) -> None:
        """Take the load so far, and what comes after it."""
        self._load, self._first, self._rows = load, load.ready, ahead
        self.links = load.links

    @property
    def kpis(self) -> tuple[str, ...]:
        """Names of the KPIs."""
        return self._load.kpis

    @property
    def ready(self) -> int:
        """Number of samples that can be asked for."""
        return self._first + len(next(iter(self._rows.values())))

    def rows(self, kpi: str, start: int, stop: int) -> Floats:
        """Return samples start <= i < stop, [samples, links]."""
        first = self._first
        ahead = self._rows[kpi][max(start - first, 0) : max(stop - first, 0)]
        if start >= first:
            return ahead
        past = self._load.rows(kpi, start, min(stop, first))
        return past if stop <= first else np.concatenate([past, ahead])

    def revisions(self, after: int, upto: int) -> list[Revision]:
        """Return what becomes known once more than `after` and at most `upto` samples are seen."""
        return self._load.revisions(after, upto)

    def next_revision(self, after: int) -> int | None:
        """Return the number of samples seen at the first revision after `after`."""
        return self._load.next_revision(after)

    def coming(self, interval: int) -> Floats:
        """Return the mean demand of an interval that has not closed, [links]."""
        return self._load.coming(interval)


class _Idle(Policy):
    """Allocates nothing."""

    def allocate(self, observation: Observation) -> ArrayLike:
        return np.zeros(len(observation.links))


def _feed_from(engine: Engine, source: LiveSource) -> None:
    """Let an engine that replays a trace go on from a live source that holds what has closed."""
    engine._source = source
    engine.span = replace(engine.span, intervals=0, endless=True)
    engine._load = load = OfferedLoad(source, engine.span, engine._load.routing)
    plans = engine._plans
    load.plan(plans.courses, plans.effects(Echo), plans.states())
    for interval in range(engine.closed):
        load.close(interval)
    engine._telemetry = DistortedFeed(load, engine.span.first, engine.tick_s, engine.seed)
    engine._telemetry.distort(plans.effects(Distortion))
    engine._services.follow(engine._telemetry, engine.span)
