"""The demand of a scenario without a trace: of what a living twin is to collect it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime

import numpy as np

from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.text import ARROW
from twin.demand.kpis import KPIS
from twin.demand.trace import Trace
from twin.routing.shortest_paths import ShortestPaths
from twin.scenario.spec import ScenarioSpec
from twin.topology.topology import Topology


def nothing_yet(spec: ScenarioSpec, topology: Topology | None) -> Trace:
    """Return a trace without samples, of the series and KPIs that are to be collected.

    It begins in 1970, before any date that events may name: when the live begins, nobody knows yet.
    Raises InputError where the scenario does not say of what telemetry is.
    """
    series = _flows(spec, topology) if spec.demand.flows else _links(spec, topology)
    stated = () if spec.telemetry is None else spec.telemetry.metrics
    kpis = {kpi: np.empty((0, len(series))) for kpi in KPIS if kpi == KPIS[0] or kpi in stated}
    digest = hashlib.sha256(json.dumps([series, list(kpis)]).encode()).hexdigest()
    return Trace(
        series, kpis, int(spec.tick), datetime(1970, 1, 1), "telemetry", digest,
        timezone=spec.demand.timezone,
    )  # fmt: skip


def _links(spec: ScenarioSpec, topology: Topology | None) -> tuple[str, ...]:
    if spec.demand.links:
        return spec.demand.links
    if topology is not None:
        return topology.link_names
    stated = tuple(link for link in spec.links if link != "defaults")
    if not stated:
        what = "is 'telemetry', and no link is named that it is of"
        remedy = "name them under 'links', or in 'demand.links'"
        raise InputError(Problem(what, ("demand", "source"), suggestion=remedy))
    return stated


def _flows(spec: ScenarioSpec, topology: Topology | None) -> tuple[str, ...]:
    """Return the flows that are stated, or all of the topology that there is a path for."""
    assert topology is not None
    assert spec.demand.flows is not None
    sites = topology.site_names
    if spec.demand.flows != ("all",):
        problems = list(_not_flows(spec.demand.flows, sites))
        if problems:
            raise InputError(problems)
        return spec.demand.flows
    flows = [f"{a}{ARROW}{b}" for a in sites for b in sites if a != b]
    none_down = np.zeros(len(topology.links), dtype=np.bool_)
    cut_off = ShortestPaths(topology, flows, split=spec.splits).unrouted(none_down)
    return tuple(flow for flow, cut in zip(flows, cut_off.tolist(), strict=True) if not cut)


def _not_flows(flows: tuple[str, ...], sites: tuple[str, ...]) -> Iterator[Problem]:
    for flow in flows:
        ends = flow.split(ARROW)
        if len(ends) != 2 or ends[0] == ends[1]:
            what = f"'{flow}' is not from one site to another"
            yield Problem(what, ("demand", "flows"), suggestion="write 'A>B', or 'all'")
            continue
        for site in ends:
            if site not in sites:
                hint = did_you_mean(site, sites)
                what = f"'{flow}': the topology has no site '{site}'"
                yield Problem(what, ("demand", "flows"), suggestion=hint)
