"""What if: the present goes on many times, with and without what is asked, on the same demand.

Each replication is a path of demand (:mod:`twin.live.demand_paths`) that a copy of the simulation
goes along, with its policies deciding at every tick, as they would. What is asked and what is there
anyway meet the same paths, so that the difference between them is one of pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final, NamedTuple

import numpy as np

from twin.api.simulation import Simulation
from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem
from twin.demand.gaps import known
from twin.engine.load import DEMAND
from twin.events.base import Event
from twin.forecast.names import LINEAR
from twin.live.demand_paths import DemandPaths, ranked
from twin.live.failure_ranking import FailureRanking
from twin.live.outcomes import Outcomes
from twin.live.path_forecasts import PathForecasts
from twin.live.sides import sides_of
from twin.live.wanted import wanted_policies
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
    """Those that the simulation has first."""
    at_s: float
    """The present, seconds from the start of the replay."""
    tick_s: int
    intervals: int
    asked: Outcomes
    """With what is asked."""
    without: Outcomes
    """As it is; the same object where nothing is asked."""
    failures: tuple[FailureRanking, ...] = ()
    notes: tuple[str, ...] = ()
    """What was asked and makes no difference, each with its place."""

    @property
    def replications(self) -> int:
        """Number of replications."""
        return len(self.asked.peak_mbps)

    def total(self, outcomes: Outcomes, policy: str) -> dict[str, Floats]:
        """Return a number for each replication of what a policy comes to over all links."""
        return outcomes.total(self.policies.index(policy))

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
            "failures": [row for each in self.failures for row in each.as_rows()] or None,
            "notes": list(self.notes),
        }


def _apart(asked: Floats, without: Floats) -> Floats:
    # Where both are infinite, nothing has changed.
    with np.errstate(invalid="ignore"):
        return np.where(asked == without, 0.0, asked - without)


KeptForecasts = dict[tuple[str, int], PathForecasts]
"""Forecasts of paths by the name of the model and the number of steps."""


def demand_paths(
    simulation: Simulation,
    for_s: float,
    model: str | None = None,
    kept: KeptForecasts | None = None,
) -> DemandPaths:
    """Return the paths that demand may take from now on.

    What-ifs that are asked within the same interval may share them. `model` is the name of a
    forecaster, by default the linear one where there are not too many series for it. Whoever asks
    as a simulation goes on hands over what was `kept` of it: most of the work is done then. The
    paths are the same. Raises InputError where the past is too short for it.
    """
    return _demand_paths(simulation, _live(simulation), for_s, model, kept)


def _demand_paths(
    simulation: Simulation,
    live: LiveSource,
    for_s: float,
    model: str | None,
    kept: KeptForecasts | None = None,
) -> DemandPaths:
    now = simulation.span.first + simulation.closed
    steps, tick_s = _steps(simulation, for_s), simulation.tick_s
    if model is None and len(live.flows) > _MODELLED:
        return DemandPaths.of(live, DEMAND, None, now, steps, tick_s)
    name = model or _TRAFFIC_MODEL
    forecaster = simulation.scenario.forecaster(name)
    forecaster.require(live.kpis)
    kept = {} if kept is None else kept
    if (name, steps) not in kept:
        kept[name, steps] = PathForecasts(forecaster, steps, tick_s)
    return DemandPaths.of(live, DEMAND, forecaster, now, steps, tick_s, kept[name, steps])


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

    `events` and `links` are as in a scenario, from now on (``start: now``). `policies` are those
    that are wanted, by default all of the simulation: names, or entries as in a scenario, which
    take over from the policy of the same name. One that the simulation does not have takes over
    from the first one, and is fitted on the same history; without it is that one. With a network,
    every single failure is tried as well, unless `failures` is false. `paths` are those of
    :func:`demand_paths`. `progress` is called now and then with the replications done and their
    number. The simulation itself stays as it is, and the same seed gives the same answer. Raises
    InputError for what cannot be asked and RunError where a policy fails.
    """
    if replications < 2:
        raise InputError(Problem(f"must be 2 or more, not {replications}", "replications"))
    if simulation.finished:
        raise InputError(Problem("the replay has ended", "what-if"))
    steps = _steps(simulation, for_s, replications)
    wanted, notes = wanted_policies(simulation.scenario.policies, policies)
    asked = {"name": "what-if", "events": list(events), "links": dict(links or {})}
    live = _live(simulation)
    until = simulation.now + steps * simulation.tick_s
    wanted = sorted(wanted, key=lambda each: each.joins)
    sides, without, in_vain = sides_of(simulation, live, asked, wanted, until)
    if paths is None:
        paths = _demand_paths(simulation, live, for_s, model)
    elif len(paths.forecast) < steps:
        raise InputError(Problem("do not reach as far as is asked", "paths"))
    names = [each.name for each in wanted]
    drawn = paths.draw(replications, seed)[:, :steps]
    others = _other_kpis(simulation, live, drawn)
    if failures:
        for side in sides:
            side.rank_failures()
    demands = [
        {DEMAND: path} | {kpi: rows[number] for kpi, rows in others.items()}
        for number, path in enumerate(drawn)
    ]
    every = list(dict.fromkeys((*sides, without)))
    at_work = None if progress is None else partial(progress, 0, replications)
    as_is = without.present.ahead(demands, at_work=at_work)
    ahead = [
        as_is if side is without else side.present.ahead(demands, as_is, at_work) for side in every
    ]
    futures = zip(
        *(side.present.futures(demands, each) for side, each in zip(every, ahead, strict=True)),
        strict=True,
    )
    for number, together in enumerate(futures):
        for side, future in zip(every, together, strict=True):
            side.go_through(future, steps)
        if progress is not None:
            progress(number + 1, replications)
    as_asked = Outcomes.beside([side.outcomes for side in sides])
    as_it_is = as_asked if without is sides[0] else without.outcomes
    rankings = tuple(side.ranking for side in sides if side.ranking is not None)
    return WhatIf(
        simulation.links, tuple(names), simulation.now, simulation.tick_s, steps,
        as_asked, as_it_is, rankings, (*notes, *in_vain),
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


def _live(simulation: Simulation) -> LiveSource:
    """Return a source that holds what has closed; that of a live simulation itself."""
    source = simulation.source
    if isinstance(source, LiveSource):
        return source
    closed = simulation.span.first + simulation.closed
    return LiveSource(head(simulation.scenario.trace, closed))


def _other_kpis(simulation: Simulation, source: LiveSource, drawn: Floats) -> dict[str, Floats]:
    """Return paths of the other KPIs, which keep their ratio to demand of the day before.

    [replications, steps, flows] of each.
    """
    now, steps = simulation.span.first + simulation.closed, drawn.shape[1]
    day = max(86_400 // simulation.tick_s, 1)
    back = min(-(-steps // day) * day, now)
    first = now - back
    of_demand = known(source, DEMAND, now, first)
    paths = {}
    for kpi in source.kpis:
        if kpi == DEMAND:
            continue
        past = known(source, kpi, now, first)
        level = np.nansum(past, axis=0) / np.maximum(np.nansum(of_demand, axis=0), 1e-9)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(of_demand > 0, past / of_demand, np.nan)
        ratio = np.where(np.isfinite(ratio), ratio, level)
        paths[kpi] = drawn * ratio[np.arange(steps) % back]
    return paths
