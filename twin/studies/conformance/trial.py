"""A trial: one policy replayed in one small world, through the engine itself."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from twin.core.arrays import Floats
from twin.demand.trace import KPIS, Trace
from twin.engine.span import ReplaySpan
from twin.forecast.forecaster import Forecaster
from twin.policy.base import History, Observation, Policy
from twin.policy.load import PolicySource
from twin.scenario.build import engine_of
from twin.scenario.choices import Member, PolicyChoice
from twin.scenario.load import Overrides, Scenario
from twin.scenario.spec import ScenarioSpec
from twin.studies.conformance.worlds import REPLAYED, TICK_S, World

_SHARES = {"internet": 1.0, "downstream": 0.8, "sessions": 500.0, "vpn": 80.0}
"""Size of each KPI beside the demand, or beside its share of the highest."""
_HANDED_OVER = 40
"""Interval at which a schedule hands over."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a policy did in a world."""

    requested: Floats
    """Mbit/s, [intervals, links]."""
    tick_s: float
    """Mean time that it took to decide, seconds."""
    warnings: tuple[str, ...]
    """What Python warned of meanwhile."""
    touched: bool
    """Whether the demand was another one afterwards."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A policy with its defaults, and the models that its trials share."""

    source: PolicySource
    models: dict[str, Forecaster] = field(default_factory=dict)

    def scenario(
        self,
        world: World,
        kpis: tuple[str, ...] = KPIS,
        scheduled: bool = False,
        order: tuple[int, ...] | None = None,
    ) -> Scenario:
        """Return the scenario that replays the world under the policy.

        With `kpis` alone; handed over to itself halfway where `scheduled`; with the links in
        another `order`.
        """
        links = order or tuple(range(len(world.links)))
        demand = world.demand[:, links]
        # What is no traffic does not depend on the unit of traffic.
        highest = np.nanmax(demand[: world.history], axis=0)
        counts = demand / np.where(highest > 0, highest, 1.0)
        values = {
            name: (counts if name in ("sessions", "vpn") else demand) * _SHARES[name]
            for name in kpis
        }
        trace = Trace(tuple(world.links[i] for i in links), values, TICK_S, origin=world.name)
        intervals = min(REPLAYED, len(demand) - world.first)
        spec = ScenarioSpec.model_validate(
            {"name": "conformance", "policies": ["none"], "events": list(world.events)}
        )
        turns = (0, _HANDED_OVER) if scheduled else (0,)
        members = tuple(Member(self.source, {}, first) for first in turns)
        choice = PolicyChoice(self.source.name, members, scheduled)
        # Models of the user's own are looked up beside the policy.
        path = self.source.path.parent / "conformance.yaml"
        span = ReplaySpan(world.history, world.first, intervals)
        return Scenario(spec, path, Overrides(), trace, span, (choice,), self.models)

    def replay(self, scenario: Scenario) -> Trial:
        """Replay a scenario of one policy. Raises RunError and InputError as Engine.advance() does."""
        (choice,) = scenario.policies
        timed = _Timed(choice.name, choice.members, choice.scheduled)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            engine = engine_of(replace(scenario, policies=(timed,)))
            engine.advance()
        told = tuple(dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in caught))
        touched = not engine.observations_intact()
        seconds = timed.clock
        return Trial(
            engine.recording().lanes[0].requested, sum(seconds) / len(seconds), told, touched
        )


@dataclass(frozen=True, slots=True)
class _Timed(PolicyChoice):
    """A policy whose decisions are timed."""

    clock: list[float] = field(default_factory=list)

    def make(self) -> Policy:
        return _Stopwatch(PolicyChoice.make(self), self.clock)


class _Stopwatch(Policy):
    def __init__(self, policy: Policy, clock: list[float]) -> None:
        self._policy, self._clock = policy, clock

    def fit(self, history: History) -> None:
        self._policy.fit(history)

    def allocate(self, observation: Observation) -> ArrayLike:
        begin = time.perf_counter()
        try:
            return self._policy.allocate(observation.seen_by(self._policy))
        finally:
            self._clock.append(time.perf_counter() - begin)
