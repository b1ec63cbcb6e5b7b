"""What if: the present goes on many times, with and without what is asked, on the same demand.

Each replication is a path of demand (:mod:`twin.live.demand_paths`) that a copy of the simulation
goes along, with its policies deciding at every tick, as they would. What is asked and what is there
anyway meet the same paths, so that the difference between them is one of pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from twin.api.branches import change
from twin.api.simulation import Simulation
from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem, did_you_mean
from twin.engine.load import DEMAND
from twin.engine.present import Present
from twin.engine.recording import Recording
from twin.events.base import Event
from twin.forecast.names import LINEAR
from twin.live.demand_paths import DemandPaths, ranked
from twin.live.failure_ranking import FailureRanking
from twin.live.outcomes import Outcomes
from twin.live.path_forecasts import known_so_far
from twin.routing.shortest_paths import ShortestPaths
from twin.scenario.branch import read_branch
from twin.telemetry.source import LiveSource, head

CONFIDENCE: Final = 0.9
"""How often an interval should hold what comes."""
_MOST: Final = 20_000_000
"""Replications x intervals x flows, at most: 160 MB a copy."""
_WORST: Final = 5
_MODELLED: Final = 200
"""So many series are forecast by a model where none is named; what is usual does for more."""
_TRAFFIC_MODEL: Final = f"{LINEAR}_traffic"


class OutcomeEstimate(NamedTuple):
    """The mean over replications, and the interval that holds what comes nine times in ten."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Floats) -> OutcomeEstimate:
        """Return the estimate from one value of each replication."""
        ends = (
            float(ranked(values, level)) for level in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
        )
        return cls(float(np.mean(values)), *ends)

    def as_dict(self) -> dict[str, float | None]:
        """Return it for JSON, which has no infinity."""
        return {name: _finite(value) for name, value in self._asdict().items()}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


@dataclass(frozen=True)
class WhatIf:
    """The answer to a what-if."""

    links: tuple[str, ...]
    policies: tuple[str, ...]
    at_s: float
    """The present, seconds from the start of the replay."""
    tick_s: int
    intervals: int
    asked: Outcomes
    """With what is asked."""
    without: Outcomes
    """As it is; the same object where nothing is asked."""
    failures: FailureRanking | None = None

    @property
    def replications(self) -> int:
        """Number of replications."""
        return len(self.asked.peak_mbps)

    def total(self, outcomes: Outcomes, policy: str) -> dict[str, Floats]:
        """Return a number for each replication of what a policy comes to over all links."""
        at = self.policies.index(policy)
        return {
            "violated_minutes": outcomes.violated_minutes[:, at].sum(axis=1),
            "unmet_mbit": outcomes.unmet_mbit[:, at].sum(axis=1),
            "unrouted_mbit": outcomes.unrouted_mbit,
            "peak_utilization": outcomes.peak_utilization[:, at].max(axis=1),
            "peak_load_mbps": outcomes.peak_mbps.max(axis=1),
            "allocated_mbps": outcomes.allocated_mbps[:, at].sum(axis=1),
        }

    @cached_property
    def estimates(self) -> dict[str, dict[str, dict[str, OutcomeEstimate]]]:
        """By policy and number: `asked`, `without` it, and the `change` between the two."""
        found: dict[str, dict[str, dict[str, OutcomeEstimate]]] = {}
        for policy in self.policies:
            asked, without = (self.total(each, policy) for each in (self.asked, self.without))
            found[policy] = {
                name: {
                    "asked": OutcomeEstimate.of(asked[name]),
                    "without": OutcomeEstimate.of(without[name]),
                    "change": OutcomeEstimate.of(_apart(asked[name], without[name])),
                }
                for name in asked
            }
        return found

    def worst_links(self, policy: str, most: int = _WORST) -> list[dict[str, Any]]:
        """Return the links that are short for longest, or loaded most, the worst first."""
        at, outcomes = self.policies.index(policy), self.asked
        minutes = outcomes.violated_minutes[:, at].mean(axis=0)
        used = np.median(outcomes.peak_utilization[:, at], axis=0)
        order = np.lexsort((-used, -minutes))[:most]
        return [
            {
                "link": self.links[i],
                "violated_minutes": OutcomeEstimate.of(
                    outcomes.violated_minutes[:, at, i]
                ).as_dict(),
                "unmet_mbit": OutcomeEstimate.of(outcomes.unmet_mbit[:, at, i]).as_dict(),
                "peak_load_mbps": OutcomeEstimate.of(outcomes.peak_mbps[:, i]).as_dict(),
                "peak_utilization": OutcomeEstimate.of(
                    outcomes.peak_utilization[:, at, i]
                ).as_dict(),
                "allocated_mbps": OutcomeEstimate.of(outcomes.allocated_mbps[:, at, i]).as_dict(),
                "chance_of_violation": float((outcomes.violated_minutes[:, at, i] > 0).mean()),
            }
            for i in order.tolist()
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as plain data."""
        policies = []
        for at, policy in enumerate(self.policies):
            total = self.asked.allocation[:, at]
            policies.append(
                {
                    "policy": policy,
                    **{
                        name: {which: each.as_dict() for which, each in estimates.items()}
                        for name, estimates in self.estimates[policy].items()
                    },
                    "chance_of_violation": float(
                        (self.asked.violated_minutes[:, at] > 0).any(axis=1).mean()
                    ),
                    "allocation_mbps": {
                        "mean": total.mean(axis=0).tolist(),
                        "low": ranked(total, (1 - CONFIDENCE) / 2).tolist(),
                        "high": ranked(total, (1 + CONFIDENCE) / 2).tolist(),
                    },
                    "worst_links": self.worst_links(policy),
                }
            )
        return {
            "at_s": self.at_s,
            "for_s": self.intervals * self.tick_s,
            "tick_s": self.tick_s,
            "replications": self.replications,
            "confidence": CONFIDENCE,
            "policies": policies,
            "failures": None if self.failures is None else self.failures.as_rows(),
        }


def _apart(asked: Floats, without: Floats) -> Floats:
    # Where both are infinite, nothing has changed.
    with np.errstate(invalid="ignore"):
        return np.where(asked == without, 0.0, asked - without)


def demand_paths(simulation: Simulation, for_s: float, model: str | None = None) -> DemandPaths:
    """Return the paths that demand may take from now on.

    What-ifs that are asked within the same interval may share them. `model` is the name of a
    forecaster, by default the linear one where there are not too many series for it. Raises
    InputError where the past is too short for it.
    """
    return _demand_paths(simulation, _live(simulation), for_s, model)


def _demand_paths(
    simulation: Simulation, live: LiveSource, for_s: float, model: str | None
) -> DemandPaths:
    now = simulation.span.first + simulation.closed
    steps, tick_s = _steps(simulation, for_s), simulation.tick_s
    forecaster = None
    if model is not None or len(live.flows) <= _MODELLED:
        forecaster = simulation.scenario.forecaster(model or _TRAFFIC_MODEL)
        forecaster.require(live.kpis)
    return DemandPaths.of(live, DEMAND, forecaster, now, steps, tick_s)


def what_if(
    simulation: Simulation,
    *,
    events: Iterable[Event | Mapping[str, Any]] = (),
    links: Mapping[str, Any] | None = None,
    policies: Sequence[str | Mapping[str, Any]] | None = None,
    for_s: float = 2 * 3600,
    replications: int = 50,
    seed: int = 1,
    model: str | None = None,
    failures: bool = True,
    paths: DemandPaths | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> WhatIf:
    """Return what the next `for_s` seconds come to if something is as asked, and if not.

    `events` and `links` are as in a scenario, from now on (``start: now``). `policies` names those
    of the simulation that are wanted, by default all; an entry that is a mapping takes over from
    the policy of the same name. With a network, every single failure is tried as well, unless
    `failures` is false. `paths` are those of :func:`demand_paths`. `progress` is called with the
    replications done and their number. The simulation itself stays as it is, and the same seed
    gives the same answer. Raises InputError for what cannot be asked and RunError where a policy
    fails.
    """
    if replications < 2:
        raise InputError(Problem(f"must be 2 or more, not {replications}", "replications"))
    steps = _steps(simulation, for_s, replications)
    names, successors = _wanted(simulation, policies)
    branch = {
        "name": "what-if",
        "events": list(events),
        "links": dict(links or {}),
        "policies": successors,
    }
    live = _live(simulation)
    presents = _presents(simulation, live, branch, names)
    if paths is None:
        paths = _demand_paths(simulation, live, for_s, model)
    elif len(paths.forecast) < steps:
        raise InputError(Problem("do not reach as far as is asked", "paths"))
    drawn = paths.draw(replications, seed)[:, :steps]
    others = _other_kpis(simulation, live, drawn)
    ranking = _ranking(simulation, presents[0], names) if failures else None
    parts: list[list[Outcomes]] = [[] for _ in presents]
    for number, path in enumerate(drawn):
        demand = {DEMAND: path} | {kpi: rows[number] for kpi, rows in others.items()}
        for place, present in enumerate(presents):
            recording = _gone_along(present, demand, steps)
            parts[place].append(Outcomes.of(recording, names))
            if place == 0 and ranking is not None:
                ranking.add(recording)
        if progress is not None:
            progress(number + 1, replications)
    joined = [Outcomes.joined(each) for each in parts]
    return WhatIf(
        simulation.links, tuple(names), simulation.now, simulation.tick_s, steps,
        joined[0], joined[-1], ranking,
    )  # fmt: skip


def _steps(simulation: Simulation, for_s: float, replications: int = 1) -> int:
    if not for_s > 0:
        raise InputError(Problem(f"must be more than 0 s, not {for_s:g}", "for"))
    steps = int(-(-for_s // simulation.tick_s))
    size = steps * replications * len(simulation.source.flows)
    if size > _MOST:
        what = f"{steps} intervals x {replications} replications x the series of demand are "
        remedy = "ask for less time or fewer replications"
        raise InputError(Problem(f"{what}{size:,}, above {_MOST:,}", "for", suggestion=remedy))
    return steps


def _wanted(
    simulation: Simulation, policies: Sequence[str | Mapping[str, Any]] | None
) -> tuple[list[str], list[Mapping[str, Any]]]:
    """Return the names of the policies that are wanted, and which others take over from them."""
    choices = simulation.scenario.policies
    known = [choice.name for choice in choices]
    # A bound sees the future, and there is none.
    wanted = [choice.name for choice in choices if not choice.bound]
    names, successors = [], []
    for entry in wanted if policies is None else policies:
        if isinstance(entry, Mapping):
            successors.append(entry)
        name = str(entry.get("name")) if isinstance(entry, Mapping) else entry
        if name not in known:
            hint = did_you_mean(name, known) or f"there are: {', '.join(known)}"
            raise InputError(Problem(f"no policy '{name}'", "policies", suggestion=hint))
        names.append(name)
    if not names:
        raise InputError(Problem("names no policy", "policies"))
    return list(dict.fromkeys(names)), successors


def _live(simulation: Simulation) -> LiveSource:
    """Return a source that holds what has closed; that of a live simulation itself."""
    source = simulation.source
    if isinstance(source, LiveSource):
        return source
    closed = simulation.span.first + simulation.closed
    return LiveSource(head(simulation.scenario.trace, closed))


def _presents(
    simulation: Simulation, live: LiveSource, branch: dict[str, Any], names: Sequence[str]
) -> list[Present[Simulation]]:
    """Return the present as is asked and, where that differs, as it is."""
    if simulation.finished:
        raise InputError(Problem("the replay has ended", "what-if"))
    replaces = None if simulation.source is live else live
    asks = any(branch[key] for key in ("events", "links", "policies"))
    presents = []
    for with_it in (True, False)[: 1 + asks]:
        present = Present(simulation, replaces)
        everyone = {choice.name for choice in simulation.scenario.policies}
        if asks and with_it:
            change(present.engine, read_branch(simulation.scenario, branch, simulation.now))
        present.leave_out(everyone - set(names))
        present.settle()
        presents.append(present)
    return presents


def _gone_along(
    present: Present[Simulation], demand: Mapping[str, Floats], steps: int
) -> Recording:
    """Return what is recorded of a future."""
    future = present.future(demand)
    first = future.closed
    before = future.recording()
    future.advance((first + steps) * float(future.tick_s))
    return future.recording().since(first, before)


def _other_kpis(simulation: Simulation, source: LiveSource, drawn: Floats) -> dict[str, Floats]:
    """Return paths of the other KPIs, which keep their ratio to demand of the day before.

    [replications, steps, flows] of each.
    """
    now, steps = simulation.span.first + simulation.closed, drawn.shape[1]
    day = max(86_400 // simulation.tick_s, 1)
    back = min(-(-steps // day) * day, now)
    first = now - back
    of_demand = known_so_far(source, DEMAND, first, now)
    paths = {}
    for kpi in source.kpis:
        if kpi == DEMAND:
            continue
        past = known_so_far(source, kpi, first, now)
        level = np.nansum(past, axis=0) / np.maximum(np.nansum(of_demand, axis=0), 1e-9)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(of_demand > 0, past / of_demand, np.nan)
        ratio = np.where(np.isfinite(ratio), ratio, level)
        paths[kpi] = drawn * ratio[np.arange(steps) % back]
    return paths


def _ranking(
    simulation: Simulation, present: Present[Simulation], names: Sequence[str]
) -> FailureRanking | None:
    routing, topology = simulation.scenario.routing, simulation.scenario.topology
    if topology is None or not isinstance(routing, ShortestPaths):
        return None
    return FailureRanking(routing, topology, present.down, names)
