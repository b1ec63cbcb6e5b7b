"""From a checked scenario to its recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from twin.demand.trace import TRAFFIC_KPIS, Trace
from twin.engine.clock import Engine
from twin.engine.lane import Lane
from twin.engine.network import Network
from twin.engine.recording import Recording
from twin.engine.surges import Surge, SurgedSeries
from twin.forecast.forecaster import Forecasts
from twin.load import Scenario, Span
from twin.policy.base import History, Stream
from twin.scenario.spec import LinkSpec, ScenarioSpec, SurgeSpec

Floats = NDArray[np.float64]


def simulate(scenario: Scenario, progress: Callable[[int, int], None] | None = None) -> Recording:
    """Replay the scenario under all its policies, on one demand.

    `progress` is called now and then with the intervals done and their number. Raises RunError
    where a policy fails and InputError where it asks for a model that cannot be used.
    """
    trace, span = scenario.trace, scenario.span
    events = [(spec, _mask(spec.links, trace.links)) for spec in scenario.spec.events]
    surges = [Surge.of(spec, links) for spec, links in events if isinstance(spec, SurgeSpec)]
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
    span = scenario.span
    known = _Known(observed["internet"])
    bound: dict[str, Forecasts] = {}

    def forecast(model: str, sample: int) -> Floats:
        if model not in bound:
            bound[model] = scenario.forecaster(model).bind(
                observed, span.history, span.first, span.first + span.intervals
            )
        return bound[model].at(sample)

    trace = scenario.trace
    return Stream(trace.links, trace.tick_s, observed, known.before, forecast)


class _Known:
    """The latest demand that was not missing, before any sample."""

    def __init__(self, demand: Floats) -> None:
        self._filled: Floats = demand
        if np.isnan(demand).any():
            rows = np.where(np.isnan(demand), 0, np.arange(len(demand))[:, None])
            np.maximum.accumulate(rows, axis=0, out=rows)
            self._filled = np.take_along_axis(demand, rows, axis=0)
            self._filled.setflags(write=False)

    def before(self, sample: int) -> Floats:
        row: Floats = self._filled[sample - 1]
        return row


def _capacities(spec: ScenarioSpec, trace: Trace) -> Floats:
    default = spec.links.get("defaults", LinkSpec()).capacity_mbps
    own = (spec.links.get(link, LinkSpec()).capacity_mbps for link in trace.links)
    chosen = (default if capacity is None else capacity for capacity in own)
    return np.array([np.inf if capacity is None else capacity for capacity in chosen])


def _lanes(scenario: Scenario) -> list[Lane]:
    return [
        Lane(
            choice.name,
            choice.make(),
            [str(member.source.path) for member in choice.members],
            scenario.span.intervals,
        )
        for choice in scenario.policies
    ]


def _history(scenario: Scenario) -> History:
    trace, end = scenario.trace, scenario.span.history
    kpis = {name: values[:end] for name, values in trace.kpis.items()}
    return History(trace.links, trace.tick_s, MappingProxyType(kpis), scenario.spec.sla.target)
