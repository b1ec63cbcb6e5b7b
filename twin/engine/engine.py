"""The discrete-event engine: explicit state, advanced one interval at a time.

At every tick, in this order:

1. the interval that ends now is closed and recorded;
2. events that end now end, then events that start now start;
3. telemetry is delivered: observations end with the interval just closed;
4. every policy decides for the coming interval;
5. its allocation takes effect, and so do earlier ones whose lead time ends now.

The order is the priority of the instants in SimPy's queue (:class:`twin.events.base.Phase`). Events
at other instants divide the interval into segments, each recorded on its own. The horizon is
half-open: at its end the last interval is closed and nothing is decided.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem, RunError
from twin.core.units import format_duration
from twin.engine.actions import Close, ClosedInterval, Decide, Effect, Happening, closed_interval
from twin.engine.additions import begun, refuse
from twin.engine.agenda import Agenda
from twin.engine.deciding import Learnt, ask_all, failures, lane_of, learn
from twin.engine.lane import Lane
from twin.engine.links import LinkSpec, capacities
from twin.engine.load import DEMAND, OfferedLoad
from twin.engine.network import Network
from twin.engine.plans import Plans
from twin.engine.provisioning import LinkSettings, Provisioning
from twin.engine.recorder import Recorder
from twin.engine.recording import LoggedEvent, Recording
from twin.engine.services import EngineServices, Models
from twin.engine.shown import Sla, history_of, observation_of
from twin.engine.span import ReplaySpan
from twin.events.base import Change, Event, Phase
from twin.events.effects import Distortion, Echo, Silence
from twin.events.scope import Scope
from twin.policy.base import History
from twin.policy.guard import unchanged_code
from twin.policy.prices import Prices
from twin.routing.table import Routing
from twin.telemetry.distorted import DistortedFeed
from twin.telemetry.source import TelemetrySource
from twin.topology.topology import Topology

_CLOSE, _DECIDE = Close(), Decide()
_PROGRESS_EVERY = 16
"""Intervals between two reports of progress."""


class Engine:
    """A simulation of links under policies on one clock, in seconds.

    Its state is plain data but for SimPy's queue, which is written as the list of what it holds:
    an engine can be pickled, and :meth:`fork` copies it.
    """

    def __init__(
        self,
        source: TelemetrySource,
        span: ReplaySpan,
        lanes: Sequence[Lane],
        settings: Sequence[LinkSpec],
        models: Models,
        *,
        events: Iterable[Event] = (),
        routing: Routing | None = None,
        topology: Topology | None = None,
        detection_delay: float = 0.0,
        sla_target: float = 0.01,
        sla_period_s: float | None = None,
        prices: Prices | None = None,
        seed: int = 1,
    ) -> None:
        """Take what is stated of each link in `settings`; nothing runs yet.

        Traffic moves `detection_delay` seconds after what is down has changed.
        """
        self.span, self.seed, self._sla = span, seed, Sla(sla_target, sla_period_s, prices)
        self._settings = LinkSettings.of(settings)
        self._source, self._topology = source, topology
        self._load = OfferedLoad(source, span, routing)
        self.links = self._load.links
        self.tick_s = source.tick_s
        self._network = Network(capacities(settings))
        self._lanes = list(lanes)
        self._telemetry = DistortedFeed(self._load, span.first, source.tick_s, seed)
        self._services = EngineServices(self._telemetry, span, models, source.tick_s)
        self._plans = Plans(len(self.links), detection_delay)
        self._interval = self._decided = 0
        self._started = False
        self._failure: str | None = None
        self._timed_out: Collection[str] | None = None
        self._watched = False
        self._latest: ClosedInterval | None = None
        self._recorder = Recorder(self.links, self.tick_s, self._network)
        self._agenda = Agenda(self._do)
        self.add(*events)
        self._agenda.plan(0.0, Phase.DECIDE, _DECIDE)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_agenda": (self._agenda.now, self._agenda.planned)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._agenda = Agenda(self._do, *state["_agenda"])

    def fork(self) -> Self:
        """Return an independent copy, which goes on exactly as this one would."""
        return copy.deepcopy(self)

    @property
    def learnt(self) -> Learnt:
        """What its policies know, which change it when they decide."""
        return Learnt(self._lanes, self._services.picks)

    @property
    def source(self) -> TelemetrySource:
        """What its demand comes from."""
        return self._source

    # The clock

    @property
    def now(self) -> float:
        """Seconds from the start of the replay."""
        return float(self._agenda.now)

    @property
    def closed(self) -> int:
        """Number of intervals that have closed."""
        return self._interval

    @property
    def finished(self) -> bool:
        """Whether the end of the replay has been reached."""
        return self._interval == self.span.length

    def start(self, timed_out: Collection[str] | None = None) -> None:
        """Let the policies fit and decide for the first interval, unless they have; as `step`."""
        with self._at_work():
            if not self._decided:
                self._timed_out = timed_out
            self._fit()
            while self._agenda.peek() <= 0:
                self._agenda.step()

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Remember an error: what stopped halfway does not go on as if nothing had happened."""
        if self._failure is not None:
            raise RunError(self._failure)
        try:
            yield
        except BaseException as error:
            self._failure = str(error) or type(error).__name__
            raise

    def step(self, timed_out: Collection[str] | None = None) -> ClosedInterval:
        """Close one interval, let the policies decide for the next, and return the closed one.

        Where this was decided before, `timed_out` are the policies that ran into their time limit
        then, and no others do now. Raises RunError where a policy fails, InputError where it asks
        for a model that cannot be used, and RuntimeError at the end of the replay.
        """
        if self.finished:
            raise RuntimeError("the replay has ended")
        self.start()
        if self.waiting:
            tick = self._interval + 1
            raise RunError(f"tick {tick}: no telemetry of interval {tick - 1} has come")
        closing = self._interval
        self._watched, self._timed_out = True, timed_out
        with self._at_work():
            while self._interval == closing:
                self._agenda.step()
            # Whatever else happens at this tick, such as the decision for the next interval.
            while self._agenda.peek() <= self.now:
                self._agenda.step()
        self._watched = False
        assert self._latest is not None
        return self._latest

    def advance(
        self, until: float | None = None, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Let everything happen before the instant `until`, by default all that there is.

        An interval that ends just then is closed; what else is to happen at that very instant is
        still to come. `progress` is called now and then with the intervals done and their number.
        Raises as :meth:`step` does.
        """
        # Orders that would take effect after the end never do.
        horizon = self.span.horizon(self.tick_s)
        end = horizon if until is None else min(until, horizon)
        with self._at_work(), unchanged_code(Lane, EngineServices, OfferedLoad):
            self._fit()
            self._work(end, progress)

    def _work(self, end: float, progress: Callable[[int, int], None] | None) -> None:
        reported = self._interval
        while self._agenda.is_due(end) and not self._waits_for_telemetry:
            self._agenda.step()
            if progress is not None and self._interval >= reported + _PROGRESS_EVERY:
                reported = self._interval
                progress(reported, self.span.intervals)
        if np.isfinite(end) and not self._waits_for_telemetry:
            self._agenda.wait(end)

    @property
    def waiting(self) -> bool:
        """Whether the next interval to close has not been delivered."""
        return self._source.ready <= self.span.first + self._interval

    @property
    def _waits_for_telemetry(self) -> bool:
        """Whether the interval that ends next has not been delivered; a replay has it anyway."""
        ends = self._agenda.peek() >= (self._interval + 1) * self.tick_s
        return ends and not self._source.ahead and self.waiting and not self.finished

    def fit(self, learnt: Learnt | None = None) -> None:
        """Let the policies learn, or know what was `learnt` elsewhere from the same history."""
        with self._at_work():
            self._fit(learnt)

    def _fit(self, learnt: Learnt | None = None) -> None:
        if self._started:
            return
        learn(self._lanes, self._services, self._history(), learnt)
        self._services.closed = self.span.first
        self._started = True

    def _history(self) -> History:
        return history_of(self.links, self._source, self.span, self._sla, self._settings)

    @property
    def timed_out(self) -> tuple[str, ...]:
        """Policies that ran into their time limit at the latest decision."""
        return tuple(lane.name for lane in self._lanes if lane.timed_out)

    def observations_intact(self) -> bool:
        """Return whether no policy has changed what all of them observe."""
        return self._services.intact()

    # Changes from outside
    def add(self, *events: Event) -> None:
        """Let events happen. Raises InputError, before any does, for one that cannot."""
        added = begun(events, self.now, self._source, self.span)
        refuse(added, self._plans.events, self.now, self._scope())
        for event in added:
            number = len(self._plans.events)
            for change in self._plans.take(event, self._scope(number)):
                self._agenda.plan(change.time, change.phase, Happening(number, change))
        self._replan()

    def cancel(self, number: int) -> None:
        """Call off the event that was added as number `number`.

        Raises InputError for one that has begun.
        """
        event = self._plans.events[number]
        if not self._agenda.is_to_come(number, event.begins):
            what = f"has begun at {format_duration(event.begins)}, and it is "
            where = event.name or type(event).__name__
            raise InputError(Problem(what + format_duration(self.now), where))
        self._agenda = Agenda(self._do, self._agenda.now, self._agenda.without(number))
        self._plans.drop(number)
        self._replan()

    def _replan(self) -> None:
        """Let what is to come follow from the events that there are."""
        plans = self._plans
        changed = self._load.plan(plans.courses, plans.effects(Echo), plans.states())
        changed |= self._telemetry.distort(plans.effects(Distortion))
        changed |= self._services.silence(plans.effects(Silence))
        if changed:
            self._services.forget_forecasts()

    def _touched(self, event: Event, change: Change) -> tuple[str, ...]:
        """Return the links that a change touches, those that carry its flows among them."""
        links = event.touched(self._scope()) if change.links is None else change.links
        if change.links is None and event.acts_on == "flows":
            links = self._load.carriers(links, self.now)
        return tuple(np.asarray(self.links)[links].tolist())

    def _scope(self, number: int = 0) -> Scope:
        flows, horizon = self._source.flows, self.span.horizon(self.tick_s)
        return Scope(
            self.links, flows, horizon, self.seed, f"event {number}", self._topology,
            self._network.built, tuple(lane.name for lane in self._lanes),
        )  # fmt: skip

    def change_links(self, settings: Sequence[LinkSpec]) -> None:
        """Replace the capacities and settings of the links from now on."""
        self._recorder.cut(self.now, self._network, self._lanes)
        self._network.rebase(capacities(settings))
        self._recorder.note_capacity(self.now, self._network)
        stated = self._settings = LinkSettings.of(settings)
        for lane in self._lanes:
            if lane.provisioning is not None:
                lane.provisioning.change(stated)
            elif not stated.trivial:
                provisioning = Provisioning(stated, self.links, self.seed)
                granted = self._recorder.granted(lane, self._interval)
                lane.begin_provisioning(provisioning, granted)

    def hand_over(self, name: str, successor: Lane) -> None:
        """Let the policy of `successor` take over from that of the lane called `name`."""
        lane = lane_of(self._lanes, name)
        with self._at_work():
            self._fit()
        # Where the successor fails, the simulation can still go on without it.
        learn([successor], self._services, self._history())
        lane.hand_over(successor)

    # What happens

    def _do(self, action: Close | Decide | Effect | Happening) -> None:
        if isinstance(action, Decide):
            self._decide()
        elif isinstance(action, Close):
            self._close()
        elif isinstance(action, Effect):
            self._recorder.cut(self.now, self._network, self._lanes)
            provisioning = self._lanes[action.lane].provisioning
            assert provisioning is not None
            provisioning.apply(action.order)
        else:
            self._happen(action.event, action.change)

    def _decide(self) -> None:
        k, now = self._interval, self.now
        sample = self._services.closed = self.span.first + k
        observation = observation_of(self.links, self._source, self._network, k, sample)
        self._recorder.begin(now)
        self._decided = k + 1
        held, timed_out, self._timed_out = self._plans.held(now), self._timed_out, None
        ask_all(self._lanes, self._services, observation, now, held, timed_out)
        self._recorder.log.extend(failures(self._lanes, now))
        for number, lane in enumerate(self._lanes):
            if lane.provisioning is not None:
                for order in lane.provisioning.request(lane.latest, now):
                    self._agenda.plan(order.at, Phase.EFFECT, Effect(number, order))
        self._agenda.plan(float((k + 1) * self.tick_s), Phase.CLOSE, _CLOSE)

    def _close(self) -> None:
        for lane in self._lanes:
            lane.close(self._interval, self._network.nominal)
        self._recorder.close(self.now, self._network, self._lanes)
        self._load.close(self._interval)
        if self._watched:
            self._latest = closed_interval(
                self._interval, self.tick_s, self._load, self._lanes, self._network
            )
        self._interval += 1
        if not self.finished:
            self._watch()
            self._agenda.plan(self.now, Phase.DECIDE, _DECIDE)

    def _watch(self) -> None:
        """Let follow what the load that is offered calls for."""
        for number, watch in self._plans.watches.items():
            for change in watch.closed(self.now, self._loads, self._network.built):
                self._agenda.plan(change.time, change.phase, Happening(number, change))

    def _loads(self, seconds: float) -> Floats:
        """Return the load in the intervals of the last `seconds`, [intervals, links]."""
        closed = self.span.first + self._interval
        return self._load.rows(DEMAND, max(closed - int(-(-seconds // self.tick_s)), 0), closed)

    def _happen(self, number: int, change: Change) -> None:
        event = self._plans.events[number]
        self._recorder.cut(self.now, self._network, self._lanes)
        if change.operation is not None:
            down = self._network.down
            change.operation.apply(self._network)
            self._recorder.note_capacity(self.now, self._network)
            if self._plans.detection_delay and (self._network.down != down).any():
                seen = Change(self.now + self._plans.detection_delay, Phase.START)
                self._agenda.plan(seen.time, seen.phase, Happening(number, seen))
        if change.logged:
            touched, name = self._touched(event, change), event.name or ""
            logged = LoggedEvent(self.now, event.kind, name, change.logged, touched, change.detail)
            self._recorder.log.append(logged)

    # What was recorded

    def recording(self) -> Recording:
        """Return what was recorded of the intervals that have closed."""
        early, used = self._decided > self._interval, self._services.use()
        return self._recorder.recording(self._interval, self._lanes, self._load, used, early=early)
