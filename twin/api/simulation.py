"""A simulation that its caller drives: from objects, step by step, copied, saved, resumed."""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
from pydantic import TypeAdapter, ValidationError

import twin
from twin.api.drawing import ReportDrawing
from twin.core.arrays import Bools, Floats
from twin.core.errors import InputError, Problem, show
from twin.core.units import duration, format_duration
from twin.core.validation import problems_of
from twin.demand.trace import Trace
from twin.engine.actions import ClosedInterval
from twin.engine.deciding import lane_of
from twin.engine.engine import Engine
from twin.engine.recording import LoggedEvent
from twin.events.base import AnyEvent, Event, event_kinds
from twin.policy.base import Policy
from twin.policy.load import load as load_policy
from twin.results.result import Result
from twin.routing.table import Routing
from twin.scenario.build import engine_arguments
from twin.scenario.choices import named
from twin.scenario.given import Given
from twin.scenario.load import Scenario
from twin.scenario.spec import blocks
from twin.telemetry.source import LiveSource

_SNAPSHOT = "twin snapshot"
_EVENTS: TypeAdapter[tuple[Event, ...]] = TypeAdapter(tuple[AnyEvent, ...])


class Coming(NamedTuple):
    """A decision for the interval that is under way; arrays are [links]."""

    requested_mbps: Floats
    """What the policy asked for."""
    allocated_mbps: Floats
    """What is in force now."""
    decided_by: str
    """The policy, or the fallback that stood in for it."""


class Simulation(Engine):
    """Links under policies, replaying a trace or fed as samples come."""

    def __init__(
        self,
        trace: Trace | LiveSource,
        policies: Sequence[str | Policy | type[Policy] | Mapping[str, Any]],
        *,
        events: Iterable[Event | Mapping[str, Any]] = (),
        links: Mapping[str, Any] | None = None,
        sla_target: float | str = 0.01,
        sla_period: str | None = None,
        train: float | str = 0.8,
        replay: Mapping[str, str] | None = None,
        routing: Routing | None = None,
        prices: Mapping[str, float] | None = None,
        fallback: Mapping[str, Any] | str | None = None,
        seed: int = 1,
        name: str = "simulation",
    ) -> None:
        """Check everything; nothing runs yet.

        `trace` is replayed after the first share `train` of it, on which policies may fit; or it
        is a live source, whose samples so far are the history. `policies` are names, classes,
        instances (which are copied) or entries as in a scenario; `events` and all the other blocks
        are as there. With a `routing` the series of the trace are flows over its links. Raises
        InputError with every problem found.
        """
        live = trace if isinstance(trace, LiveSource) else None
        history: Any = trace.history if isinstance(trace, LiveSource) else trace
        if not isinstance(history, Trace):
            what = f"must be a Trace or a LiveSource, not {show(trace)}"
            remedy = "twin.Trace.from_frame() makes one from a DataFrame"
            raise InputError(Problem(what, "trace", suggestion=remedy))
        entries, given = named(_listed("policies", policies, str | Policy | type | Mapping))
        happenings = _listed("events", events, Event | Mapping)
        if routing is not None and not all(
            hasattr(routing, n) for n in ("links", "flows", "matrix")
        ):
            what = f"must be a routing, such as twin.RoutingTable(...), not {show(routing)}"
            raise InputError(Problem(what, "routing"))
        block: dict[str, Any] = {
            "name": name,
            "seed": seed,
            "tick": format_duration(history.tick_s),
            "policies": entries,
            "events": happenings,
            "sla": {"target": sla_target, "period": sla_period},
            "demand": {"train": train},
        }
        spare = {"use": fallback} if isinstance(fallback, str) else fallback
        optional = {"links": links, "replay": replay, "prices": prices, "fallback": spare}
        block |= {key: value for key, value in optional.items() if value is not None}
        objects = Given(given, history, live, routing)
        scenario = Scenario.load(block, given=objects)
        self._begin(scenario)

    def _begin(self, scenario: Scenario) -> None:
        self.scenario = scenario
        """What is simulated, as checked."""
        super().__init__(**engine_arguments(scenario))
        self._seconds = 0.0

    @classmethod
    def of(cls, scenario: Scenario | str | Path | Mapping[str, Any]) -> Self:
        """Return the simulation of a scenario: loaded, by path or name, or as a mapping."""
        checked = scenario if isinstance(scenario, Scenario) else Scenario.load(scenario)
        simulation = cls.__new__(cls)
        simulation._begin(checked)
        return simulation

    def __repr__(self) -> str:
        size = f"{len(self.links)} links, {self.closed} intervals closed"
        return f"<Simulation {self.scenario.spec.name}: {size}>"

    def __iter__(self) -> Iterator[ClosedInterval]:
        """Yield each interval as it closes, to the end of the replay or of what was delivered."""
        while not self.finished and not self.waiting:
            yield self.step()

    def run(
        self,
        until: str | float | timedelta | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Result:
        """Go on to the end, or to the instant `until`, and return what has been recorded so far.

        `until` is a duration since the start of the replay, such as ``3d 18h``, or seconds; what
        happens at that very instant is still to come. `progress` is called now and then with the
        intervals done and their number. Raises RunError where a policy fails.
        """
        begin = time.perf_counter()
        self.advance(None if until is None else _instant(until), progress)
        self._seconds += time.perf_counter() - begin
        return self._result()

    @property
    def result(self) -> Result:
        """What has been recorded of the intervals that have closed.

        Raises InputError where none has.
        """
        if not self.closed:
            raise InputError("nothing is recorded before the first interval has closed")
        return self._result()

    def coming(self, policy: str) -> Coming:
        """Return what a policy has decided for the interval that has not closed yet.

        Raises InputError for a policy that it does not have.
        """
        lane = lane_of(self._lanes, policy)
        self.start()
        granted = np.minimum(lane.in_force, self._network.nominal)
        return Coming(lane.latest, granted, lane.decided_by(self.closed))

    def decided_by(self, policy: str, interval: int) -> str:
        """Return who decided for an interval: a policy, or the fallback that stood in for it.

        Raises InputError for a policy that it does not have.
        """
        return lane_of(self._lanes, policy).decided_by(interval)

    @property
    def planned(self) -> tuple[Event, ...]:
        """The events that have been added, those that are over among them."""
        return tuple(self._plans.events)

    @property
    def capacity_mbps(self) -> Floats:
        """What each link can carry now, Mbit/s, [links]; 0 while it is down."""
        return self._network.capacity

    @property
    def down(self) -> Bools:
        """Which links are down now, [links]."""
        return self._network.down

    @property
    def logged(self) -> tuple[LoggedEvent, ...]:
        """What events and failing policies did until now, in order of time."""
        return tuple(self._recorder.log)

    def _result(self) -> Result:
        return Result(self.scenario, self.recording(), self._seconds, ReportDrawing())

    def add(self, *events: Event | Mapping[str, Any]) -> None:
        """Let events happen; ``start="now"`` is this instant. Raises InputError.

        Each is an event, or what a scenario would say of it.
        """
        super().add(*_events(events))

    def snapshot(self) -> bytes:
        """Return the whole state, to be kept; :meth:`restore` goes on with it in any process.

        Models are named by their files and read again; a policy that was given as an object is
        named by its class, which has to be importable there. All else is in the bytes.
        """
        try:
            return pickle.dumps((self._header(), pickle.dumps(self)))
        except _UNFIT as error:
            raise _cannot_be_kept(error) from None

    def write_snapshot(self, stream: BinaryIO) -> None:
        """Write the whole state to a stream, without holding it in memory a second time."""
        try:
            pickle.dump(self._header(), stream)
            pickle.dump(self, stream)
        except _UNFIT as error:
            raise _cannot_be_kept(error) from None

    def _header(self) -> dict[str, Any]:
        sources = {
            member.source.policy.__module__: (member.source.path, member.source.code)
            for choice in (*self.scenario.policies, self.scenario.fallback)
            for member in (() if choice is None else choice.members)
            if member.source.loaded
        }
        return {"kind": _SNAPSHOT, "twin": twin.__version__, "policies": sources}

    @classmethod
    def restore(cls, snapshot: bytes) -> Self:
        """Return the simulation of a snapshot.

        A snapshot is code as much as data: restore none that you would not run. Raises InputError
        for what is no snapshot, and for one of another version.
        """
        try:
            header, state = pickle.loads(snapshot)
            _load_policies(header)
        except InputError:
            raise
        except Exception as error:  # of a pickle that is none, any
            raise InputError(f"is no snapshot of a simulation: {error}") from None
        return cls._restored(io.BytesIO(state))

    @classmethod
    def read_snapshot(cls, stream: BinaryIO) -> Self:
        """Return the simulation that :meth:`write_snapshot` wrote to a stream; as `restore`."""
        try:
            _load_policies(pickle.load(stream))
        except InputError:
            raise
        except Exception as error:  # of a pickle that is none, any
            raise InputError(f"is no snapshot of a simulation: {error}") from None
        return cls._restored(stream)

    @classmethod
    def _restored(cls, state: BinaryIO) -> Self:
        try:
            simulation: Self = pickle.load(state)
        except (pickle.UnpicklingError, AttributeError, ImportError) as error:
            remedy = "import the module that defines the policy first"
            problem = Problem(f"cannot be restored: {error}", "snapshot", suggestion=remedy)
            raise InputError(problem) from None
        return simulation


_UNFIT = (pickle.PicklingError, AttributeError, TypeError)
"""What is raised for what cannot be pickled."""


def _events(given: Sequence[Any]) -> tuple[Event, ...]:
    """Return events that were given as such, or as blocks of keys. Raises InputError."""
    for event in given:
        if not isinstance(event, Event | Mapping):
            what = f"must be an event, such as twin.Surge(...), not {show(event)}"
            raise InputError(Problem(what, "event"))
    try:
        return _EVENTS.validate_python([e if isinstance(e, Event) else dict(e) for e in given])
    except ValidationError as error:
        keys = {place[1:]: known for place, known in blocks().items() if place[:1] == ("events",)}
        found = problems_of(error, ("events",), keys, tuple(event_kinds()))
        raise InputError(found) from None


def _cannot_be_kept(error: Exception) -> InputError:
    remedy = "a policy is kept by its class, which has to be importable, and what it holds"
    return InputError(Problem(f"cannot be kept: {error}", "snapshot", suggestion=remedy))


def _load_policies(header: Mapping[str, Any]) -> None:
    """Load the files of the policies of a snapshot. Raises InputError for one of another version.

    Objects of a policy's file are looked up in the module that it was loaded as.
    """
    kind, version, policies = header["kind"], header["twin"], header["policies"]
    if kind != _SNAPSHOT or version != twin.__version__:
        raise InputError(f"is a snapshot of twin {version}; this is {twin.__version__}")
    for module, (path, code) in policies.items():
        load_policy(path, code, module)


def _listed(name: str, given: Any, single: Any) -> list[Any]:
    """Return what was given, one thing or several, as a list. Raises InputError for neither."""
    if isinstance(given, single):
        return [given]
    if not isinstance(given, Iterable):
        raise InputError(Problem(f"must be a list, not {show(given)}", name))
    return list(given)


def _instant(until: str | float | timedelta) -> float:
    if isinstance(until, str):
        try:
            return duration(until)
        except ValueError as error:
            raise InputError(Problem(str(error), "until")) from None
    if isinstance(until, timedelta):
        return until.total_seconds()
    number: Any = until
    if isinstance(number, bool) or not isinstance(number, Real):
        raise InputError(Problem(f"must be a duration or seconds, not {show(until)}", "until"))
    return float(until)
