"""The network that a scenario states, its demand from site to site, and how that is routed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from twin.core import content
from twin.core.content import is_file
from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.text import ARROW
from twin.core.units import Seconds
from twin.demand.extend import extended
from twin.demand.trace import Trace
from twin.events.scope import Scope
from twin.routing.backup import BackupRouting
from twin.routing.shortest_paths import ShortestPaths
from twin.routing.table import Routing
from twin.scenario.cache import Cache
from twin.scenario.estimate import estimated
from twin.scenario.generate import generated
from twin.scenario.spec import ScenarioSpec
from twin.topology.spec import TopologySpec
from twin.topology.topology import Topology, capacities_of


def topology_of(spec: ScenarioSpec, folder: Path, cache: Cache) -> Topology | None:
    """Return the topology of a scenario, if it states one. Raises InputError."""
    if spec.topology is None:
        return None
    return cache.topology(spec.topology, topology_folder(spec.topology, folder), spec.risk_groups)


def topology_folder(topology: TopologySpec, folder: Path) -> Path:
    """Return where the path of a topology starts: the scenario's folder, else the shipped ones'."""
    shipped = content.shipped_folder("scenarios")
    path = topology.path
    if path is None or is_file(folder / path) or not is_file(shipped / path):
        return folder
    return shipped


def trace_of(spec: ScenarioSpec, topology: Topology | None, folder: Path, cache: Cache) -> Trace:
    """Return the demand of a scenario: read, generated, or estimated from counters.

    Raises InputError.
    """
    demand = spec.demand
    tick_s = int(spec.tick) if "tick" in spec.model_fields_set else None
    stated = f"{demand.model_dump_json(exclude={'train'})} {tick_s} {spec.splits}"
    if topology is not None and spec.is_generated:
        links = {name: link.capacity_mbps for name, link in spec.links.items()}
        key = f"{stated} {spec.seed} {topology.digest} {links}"
        return cache.derived(key, lambda: extended(generated(spec, topology), demand))
    capacities = {**capacities_of(topology), **spec.capacities}
    if topology is None or demand.matrix is None:
        return cache.trace(demand, folder, tick_s, spec.seed, capacities)
    counters = None
    if not demand.of_site_totals:
        # What is estimated is what was measured; the matrix is extended after that.
        measured = demand.model_copy(update={"extend": None})
        counters = cache.trace(measured, folder, tick_s, spec.seed, capacities)
        spec = spec.model_copy(update={"tick": Seconds(counters.tick_s)})
        problems = list(_unknown_links(counters.links, topology))
        if problems:
            raise InputError(problems)
    key = f"{stated} {folder} {topology.digest}"
    return cache.derived(key, lambda: extended(estimated(spec, counters, topology, folder), demand))


def with_new_flows(
    spec: ScenarioSpec, trace: Trace, topology: Topology | None, cache: Cache
) -> Trace:
    """Return the trace with the flows that its matrix lacks and that events bring demand to."""
    if topology is None or not spec.is_routed:
        return trace
    scope = Scope(topology.link_names, trace.links, 0.0, spec.seed, "", topology)
    new = dict.fromkeys(flow for event in spec.events for flow in event.new_flows(scope))
    return cache.with_flows(trace, tuple(new)) if new else trace


def routing_of(spec: ScenarioSpec, trace: Trace, topology: Topology | None) -> Routing | None:
    """Return how a matrix is routed; None where the series of the trace are links.

    Raises InputError for series that have no place in the topology.
    """
    if spec.backup:
        return _backup(spec, trace)
    if topology is None:
        return None
    problems = list(_problems(spec, trace, topology))
    if problems:
        raise InputError(problems)
    if not spec.is_routed:
        return None
    return ShortestPaths(topology, trace.links, split=spec.splits)


def _backup(spec: ScenarioSpec, trace: Trace) -> BackupRouting:
    problems = []
    for link, backups in spec.backup.items():
        for name in (link, *backups):
            if name not in trace.links:
                place = ("backup", link) if name == link else ("backup", link, name)
                hint = did_you_mean(name, trace.links) or f"links: {', '.join(trace.links[:8])}"
                problems.append(Problem(f"the trace has no link '{name}'", place, suggestion=hint))
    if problems:
        raise InputError(problems)
    return BackupRouting(trace.links, spec.backup)


def _problems(spec: ScenarioSpec, trace: Trace, topology: Topology) -> Iterator[Problem]:
    """Yield which series of the trace have no place in the topology."""
    if not spec.is_routed:
        yield from _unknown_links(trace.links, topology)
        return
    known = set(topology.site_names)
    for site in dict.fromkeys(end for flow in trace.links for end in flow.split(ARROW)):
        if site not in known:
            hint = did_you_mean(site, topology.site_names)
            what = f"the topology has no site '{site}', where demand comes from or goes to"
            yield Problem(what, ("demand",), suggestion=hint)


def _unknown_links(links: Sequence[str], topology: Topology) -> Iterator[Problem]:
    for link in links:
        if link not in topology.link_names:
            hint = did_you_mean(link, topology.link_names) or "links are named 'A>B'"
            yield Problem(f"the topology has no link '{link}'", ("demand",), suggestion=hint)
