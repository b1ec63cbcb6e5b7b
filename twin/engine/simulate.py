"""From a checked scenario to its recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem
from twin.demand.trace import TRAFFIC_KPIS, Trace
from twin.engine.clock import Engine
from twin.engine.lane import Fallback, Lane
from twin.engine.links import link_specs
from twin.engine.network import Network
from twin.engine.provisioning import Provisioning, Terms
from twin.engine.recording import Recording
from twin.engine.surges import Surge, SurgedSeries
from twin.events.surge import Surge as SurgeEvent
from twin.forecast.forecaster import Forecasts
from twin.forecast.season import periods
from twin.forecast.windows import forward_filled
from twin.policy.base import PERSISTENCE, History, Quantiles, Stream
from twin.scenario.checks import Span
from twin.scenario.load import Scenario
from twin.scenario.spec import ScenarioSpec


def simulate(scenario: Scenario, progress: Callable[[int, int], None] | None = None) -> Recording:
    """Replay the scenario under all its policies, on one demand.

    `progress` is called now and then with the intervals done and their number. Raises RunError
    where a policy fails and InputError where it asks for a model that cannot be used.
    """
    trace, span = scenario.trace, scenario.span
    events = [(spec, _mask(spec.links, trace.links)) for spec in scenario.spec.events]
    surges = [Surge.of(spec, links) for spec, links in events if isinstance(spec, SurgeEvent)]
    replayed = {
        name: SurgedSeries(
            values[span.first : span.first + span.intervals],
            surges,
            trace.tick_s,
            additive=name in TRAFFIC_KPIS,
        )
        for name, values in trace.kpis.items()
    }
    observed = {name: _observed(trace.kpis[name], s, span) for name, s in replayed.items()}
    stream = _stream(scenario, observed)
    network = Network(_capacities(scenario.spec, trace))
    lanes = _lanes(scenario)
    history = _history(scenario)
    for lane in lanes:
        lane.fit(history)
    engine = Engine(stream, replayed["internet"], span.first, network, events, lanes)
    return engine.run(progress)


def _mask(links: str | tuple[str, ...], known: tuple[str, ...]) -> NDArray[np.bool_]:
    if links == "all":
        return np.ones(len(known), dtype=np.bool_)
    return np.isin(known, links)


def _observed(values: Floats, replayed: SurgedSeries, span: Span) -> Floats:
    """Return what will have been observed by the end, [samples, links], read-only."""
    end = span.first + span.intervals
    if not replayed.surged:
        return values[:end]
    observed = np.concatenate([values[: span.first], replayed.mean])
    observed.setflags(write=False)
    return observed


def _stream(scenario: Scenario, observed: Mapping[str, Floats]) -> Stream:
    span, trace = scenario.span, scenario.trace
    known = forward_filled(observed["internet"])
    known.setflags(write=False)
    bound: dict[str, Forecasts] = {}

    def last_known(sample: int) -> Floats:
        row: Floats = known[sample - 1]
        return row

    def forecasts(model: str) -> Forecasts:
        if model not in bound:
            bound[model] = scenario.forecaster(model).bind(
                observed, span.history, span.first, span.first + span.intervals
            )
        return bound[model]

    def forecast(model: str, sample: int) -> Floats:
        return last_known(sample) if model == PERSISTENCE else forecasts(model).at(sample)

    def quantiles(model: str, sample: int) -> Quantiles:
        levels = _levels(scenario, model)
        return forecasts(model).quantiles_at(sample), levels

    return Stream(trace.links, trace.tick_s, observed, last_known, forecast, quantiles)


def _levels(scenario: Scenario, model: str) -> tuple[float, ...]:
    levels = () if model == PERSISTENCE else scenario.forecaster(model).card.quantiles
    if not levels:
        raise InputError(Problem(f"'{model}' forecasts no quantiles", suggestion="use 'quantile'"))
    return tuple(levels)


def _capacities(spec: ScenarioSpec, trace: Trace) -> Floats:
    stated = (link.capacity_mbps for link in link_specs(spec.links, trace.links))
    return np.array([np.inf if capacity is None else capacity for capacity in stated])


def _lanes(scenario: Scenario) -> list[Lane]:
    terms = Terms.of(link_specs(scenario.spec.links, scenario.trace.links))
    spec = scenario.spec.fallback
    lanes = []
    for choice in scenario.policies:
        orders = Provisioning(terms, scenario.trace.links, scenario.spec.seed)
        spare = scenario.fallback
        fallback = (
            None
            if spec is None or spare is None
            else Fallback(spare.name, spare.make(), spec.after, spec.time_limit)
        )
        files = [str(member.source.path) for member in choice.members]
        lanes.append(
            Lane(
                choice.name,
                choice.make(),
                files,
                scenario.span.intervals,
                None if terms.trivial else orders,
                fallback,
            )
        )
    return lanes


def _history(scenario: Scenario) -> History:
    trace, end = scenario.trace, scenario.span.history
    kpis = {name: values[:end] for name, values in trace.kpis.items()}

    def bound(model: str, start: int) -> Forecasts:
        return scenario.forecaster(model).bind(kpis, start, start, end)

    # Several policies ask the same: a sweep of one policy's margin, for example.
    @cache
    def past(model: str, samples: int) -> Floats:
        start = end - samples
        if model == PERSISTENCE:
            return forward_filled(kpis["internet"])[start - 1 : end - 1]
        forecasts = bound(model, start)
        return np.stack([forecasts.at(sample) for sample in range(start, end)])

    @cache
    def past_quantiles(model: str, samples: int) -> Quantiles:
        levels, start = _levels(scenario, model), end - samples
        forecasts = bound(model, start)
        return np.stack([forecasts.quantiles_at(i) for i in range(start, end)]), levels

    return History(
        trace.links,
        trace.tick_s,
        MappingProxyType(kpis),
        scenario.spec.sla.target,
        past,
        past_quantiles,
        cache(lambda: _season(kpis["internet"])),
    )


def _season(demand: Floats) -> NDArray[np.int64]:
    """Return the samples in each link's shortest season, 0 for none, [links]."""
    changes = np.diff(forward_filled(demand), axis=0)
    scale = np.abs(changes).mean(axis=0)
    scaled = np.divide(changes, scale, out=np.zeros_like(changes), where=scale > 0)
    # Jumps say nothing of what repeats.
    season: NDArray[np.int64] = periods(np.clip(scaled, -6, 6))[0]
    return season
