"""The harness: runs one policy on one test scenario, through the engine itself."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from twin.core.arrays import Floats
from twin.demand.kpis import KPIS
from twin.demand.trace import Trace
from twin.engine.span import ReplaySpan
from twin.forecast.forecaster import Forecaster
from twin.policy.base import History, Observation, Policy, ask
from twin.policy.load import PolicySource
from twin.scenario.build import engine_of
from twin.scenario.choices import Member, PolicyChoice
from twin.scenario.given import Overrides
from twin.scenario.load import Scenario
from twin.scenario.spec import ScenarioSpec
from twin.studies.conformance.scenarios import REPLAYED, TICK_S, ConformanceScenario

_SHARES = {"internet": 1.0, "downstream": 0.8, "sessions": 500.0, "vpn": 80.0}
"""Each KPI over the demand in Mbit/s; `sessions` and `vpn` over the demand as a share of its
highest value in the history."""
_HANDED_OVER = 40
"""Interval at which a schedule hands over to its second member."""


@dataclass(frozen=True, slots=True)
class ConformanceRun:
    """What a policy did on a test scenario."""

    requested: Floats
    """What the policy asked for, Mbit/s, [intervals, links]."""
    tick_s: float
    """Mean time of a decision, seconds."""
    warnings: tuple[str, ...]
    """Python's warnings during the run, each once."""
    input_changed: bool
    """Whether the trace was changed by the run."""


@dataclass(frozen=True, slots=True)
class Harness:
    """A policy with its defaults, and the models that its test runs share."""

    source: PolicySource
    models: dict[str, Forecaster] = field(default_factory=dict)

    def scenario(
        self,
        case: ConformanceScenario,
        kpis: tuple[str, ...] = KPIS,
        scheduled: bool = False,
        order: tuple[int, ...] | None = None,
    ) -> Scenario:
        """Return the scenario that replays the test scenario `case` under the policy.

        The trace carries only `kpis`, and its links in `order` (indices; None: as they are).
        `scheduled` makes the policy a schedule that hands over to the same policy on the way.
        """
        links = order or tuple(range(len(case.links)))
        demand = case.demand[:, links]
        # Counts of sessions do not depend on the unit of traffic.
        highest = np.nanmax(demand[: case.history], axis=0)
        counts = demand / np.where(highest > 0, highest, 1.0)
        values = {
            name: (counts if name in ("sessions", "vpn") else demand) * _SHARES[name]
            for name in kpis
        }
        trace = Trace(tuple(case.links[i] for i in links), values, TICK_S, origin=case.name)
        intervals = min(REPLAYED, len(demand) - case.first)
        spec = ScenarioSpec.model_validate(
            {"name": "conformance", "policies": ["none"], "events": list(case.events)}
        )
        starts = (0, _HANDED_OVER) if scheduled else (0,)
        members = tuple(Member(self.source, {}, first) for first in starts)
        choice = PolicyChoice(self.source.name, members, scheduled)
        # Models of the user's own are looked up beside the policy.
        path = self.source.path.parent / "conformance.yaml"
        span = ReplaySpan(case.history, case.first, intervals)
        return Scenario(spec, path, Overrides(), trace, span, (choice,), self.models)

    def replay(self, scenario: Scenario) -> ConformanceRun:
        """Replay a scenario of one policy. Raises RunError and InputError as an engine does."""
        (choice,) = scenario.policies
        timed = _Timed(choice.name, choice.members, choice.scheduled)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            engine = engine_of(replace(scenario, policies=(timed,)))
            engine.advance()
        messages = tuple(dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught))
        seconds = timed.clock
        tick_s = sum(seconds) / len(seconds)
        requested = engine.recording().lanes[0].requested
        return ConformanceRun(requested, tick_s, messages, not engine.observations_intact())


@dataclass(frozen=True, slots=True)
class _Timed(PolicyChoice):
    """A policy whose decisions are timed."""

    clock: list[float] = field(default_factory=list)
    """Seconds of each decision."""

    def make(self) -> Policy:
        watch = _BoundStopwatch if self.bound else _Stopwatch
        return watch(PolicyChoice.make(self), self.clock)


class _Stopwatch(Policy):
    def __init__(self, policy: Policy, clock: list[float]) -> None:
        self._policy, self._clock = policy, clock

    def fit(self, history: History) -> None:
        self._policy.fit(history)

    def allocate(self, observation: Observation) -> ArrayLike:
        begin = time.perf_counter()
        try:
            return ask(self._policy, observation)
        finally:
            self._clock.append(time.perf_counter() - begin)


class _BoundStopwatch(_Stopwatch):
    """Of a policy that sees the future."""

    bound: ClassVar[bool] = True
