"""A simulation that its caller drives: from objects, step by step, copied, saved, resumed."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import twin
from twin.api.drawing import ReportDrawing
from twin.core.errors import InputError, Problem, show
from twin.core.units import duration, format_duration
from twin.demand.trace import Trace
from twin.engine.engine import ClosedInterval, Engine
from twin.events.base import Event
from twin.policy.base import Policy
from twin.policy.load import load as load_policy
from twin.results.result import Result
from twin.routing.table import Routing
from twin.scenario.build import lane_of, settings_of
from twin.scenario.choices import named
from twin.scenario.load import Given, Scenario
from twin.telemetry.source import LiveSource, ReplaySource

_SNAPSHOT = "twin snapshot"
_PATH = Path("simulation.yaml")
"""Where a simulation of objects would have been written; its own content is looked up there."""


class Simulation(Engine):
    """Links under policies, replaying a trace or fed as samples come.

    >>> import twin
    >>> sim = twin.Simulation(trace, policies=["conformal"])  # doctest: +SKIP
    >>> result = sim.run()  # doctest: +SKIP
    """

    def __init__(
        self,
        trace: Trace | LiveSource,
        policies: Sequence[str | Policy | type[Policy] | Mapping[str, Any]],
        *,
        events: Iterable[Event | Mapping[str, Any]] = (),
        links: Mapping[str, Any] | None = None,
        sla_target: float | str = 0.01,
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
        if isinstance(policies, str | Policy | type):
            policies = [policies]
        entries, given = named(policies)
        block: dict[str, Any] = {
            "name": name,
            "seed": seed,
            "tick": format_duration(history.tick_s),
            "policies": entries,
            "events": list(events),
            "sla": {"target": sla_target},
            "demand": {"train": train},
        }
        optional = {"links": links, "replay": replay, "prices": prices, "fallback": fallback}
        block |= {key: value for key, value in optional.items() if value is not None}
        if isinstance(fallback, str):
            block["fallback"] = {"use": fallback}
        objects = Given(given, history, live, routing)
        scenario = Scenario.load(block, given=objects)
        self._begin(scenario)

    def _begin(self, scenario: Scenario) -> None:
        self.scenario = scenario
        """What is simulated, as checked."""
        spec = scenario.spec
        super().__init__(
            scenario.given.source or ReplaySource(scenario.trace),
            scenario.span,
            [lane_of(scenario, choice) for choice in scenario.policies],
            settings_of(scenario),
            scenario.library,
            events=spec.events,
            routing=scenario.given.routing,
            sla_target=spec.sla.target,
            seed=spec.seed,
        )
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
        until: str | float | None = None,
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
        return self.result

    @property
    def result(self) -> Result:
        """What has been recorded of the intervals that have closed.

        Raises InputError where none has.
        """
        if not self.closed:
            raise InputError("nothing is recorded before the first interval has closed")
        return Result(self.scenario, self.recording(), self._seconds, ReportDrawing())

    def add(self, event: Event) -> None:
        """Let an event happen; ``start="now"`` is this instant. Raises InputError."""
        given: Any = event
        if not isinstance(given, Event):
            what = f"must be an event, such as twin.Surge(...), not {show(event)}"
            raise InputError(Problem(what, "event"))
        super().add(event)

    def snapshot(self) -> bytes:
        """Return the whole state, to be kept; :meth:`restore` goes on with it in any process.

        Models are named by their files and read again; a policy that was given as an object is
        named by its class, which has to be importable there. All else is in the bytes.
        """
        sources = [
            (member.source.path, member.source.code)
            for choice in (*self.scenario.policies, self.scenario.fallback)
            for member in (() if choice is None else choice.members)
            if member.source.loaded
        ]
        header = {"kind": _SNAPSHOT, "twin": twin.__version__, "policies": sources}
        return pickle.dumps((header, pickle.dumps(self)))

    @classmethod
    def restore(cls, snapshot: bytes) -> Self:
        """Return the simulation of a snapshot.

        A snapshot is code as much as data: restore none that you would not run. Raises InputError
        for what is no snapshot, and for one of another version.
        """
        try:
            header, state = pickle.loads(snapshot)
            kind, version = header["kind"], header["twin"]
        except (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError) as error:
            raise InputError(f"is no snapshot of a simulation: {error}") from None
        if kind != _SNAPSHOT or version != twin.__version__:
            raise InputError(f"is a snapshot of twin {version}; this is {twin.__version__}")
        for path, code in header["policies"]:
            # Objects of a policy's file are looked up in the module that it was loaded as.
            load_policy(path, code)
        simulation: Self = pickle.loads(state)
        return simulation


def _instant(until: str | float) -> float:
    if isinstance(until, str):
        try:
            return duration(until)
        except ValueError as error:
            raise InputError(Problem(str(error), "until")) from None
    if isinstance(until, bool) or not isinstance(until, int | float):
        raise InputError(Problem(f"must be a duration or seconds, not {show(until)}", "until"))
    return float(until)
