"""The network that a scenario states, and how its matrix is routed over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.text import ARROW
from twin.demand.trace import Trace
from twin.routing.backup import BackupRouting
from twin.routing.shortest_paths import ShortestPaths
from twin.routing.table import Routing
from twin.scenario.cache import Cache
from twin.scenario.spec import ScenarioSpec
from twin.topology.topology import Topology


def topology_of(spec: ScenarioSpec, folder: Path, cache: Cache) -> Topology | None:
    """Return the topology of a scenario, if it states one. Raises InputError."""
    if spec.topology is None:
        return None
    return cache.topology(spec.topology, folder, spec.risk_groups)


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
    if spec.demand.source != "matrix":
        return None
    split = spec.routing is not None and spec.routing.by == "ecmp"
    return ShortestPaths(topology, trace.links, split=split)


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
    if spec.demand.source != "matrix":
        for link in trace.links:
            if link not in topology.link_names:
                hint = did_you_mean(link, topology.link_names) or "links are named 'A>B'"
                yield Problem(f"the topology has no link '{link}'", ("demand",), suggestion=hint)
        return
    known = set(topology.site_names)
    for site in dict.fromkeys(end for flow in trace.links for end in flow.split(ARROW)):
        if site not in known:
            hint = did_you_mean(site, topology.site_names)
            what = f"the topology has no site '{site}', where demand comes from or goes to"
            yield Problem(what, ("demand",), suggestion=hint)
