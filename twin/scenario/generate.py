"""The matrix that is generated over the topology of a scenario."""

from __future__ import annotations

import hashlib
import json
from typing import Final

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem
from twin.core.text import ARROW
from twin.demand.columns import Times
from twin.demand.generated_matrix import PlacedSite, generate
from twin.demand.grid import Grid
from twin.demand.gridded import in_ticks_of
from twin.demand.read import SYNTHETIC_STEP_S, synthetic_samples
from twin.demand.spec import MOST_SAMPLES
from twin.demand.trace import Trace
from twin.engine.links import capacities, link_specs
from twin.routing.shortest_paths import ShortestPaths
from twin.routing.table import routed
from twin.scenario.spec import ScenarioSpec
from twin.topology.topology import Topology, capacities_of

BUSIEST: Final = 0.6
"""The highest load of any link over its capacity, where the scenario does not state it."""
_MEAN_MBPS: Final = 100.0
"""Mean demand of a pair of sites in a network without capacities."""


def generated(spec: ScenarioSpec, topology: Topology) -> Trace:
    """Return demand from every site to every other that it can reach. Raises InputError."""
    samples = synthetic_samples(spec.demand, int(spec.tick))
    names, sites = topology.site_names, len(topology.sites)
    here, there = np.nonzero(~np.eye(sites, dtype=np.bool_))
    up = np.zeros(len(topology.links), dtype=np.bool_)
    flows = [f"{names[a]}{ARROW}{names[b]}" for a, b in zip(here, there, strict=True)]
    routing = ShortestPaths(topology, flows, split=spec.splits)
    reached = np.flatnonzero(~routing.unrouted(up))
    if len(reached) * samples > MOST_SAMPLES:
        what = f"{len(reached)} demands of {samples} samples are too much to generate"
        raise InputError(Problem(what, ("demand", "length"), suggestion="make it shorter"))
    pairs = np.stack([here[reached], there[reached]], axis=1)
    capacity = capacities(link_specs(spec.links, topology.link_names, capacities_of(topology)))
    placed = _placed(topology, capacity)
    demand = generate(spec.seed, placed, pairs, samples, SYNTHETIC_STEP_S)
    loads = routed(routing.matrix(up)[:, reached], demand)
    demand *= _scale(spec, loads, capacity)
    stated = (
        spec.seed, samples, spec.splits, spec.demand.busiest, topology.digest, capacity.tolist(),
    )  # fmt: skip
    digest = hashlib.sha256(json.dumps(stated).encode()).hexdigest()
    grid = Grid({"internet": demand}, 0, SYNTHETIC_STEP_S, Times(np.zeros(0, np.int64)))
    kpis, gaps, repairs, starts = in_ticks_of(grid, spec.demand, int(spec.tick))
    origin = f"a matrix generated over {topology.origin}, seed {spec.seed}"
    kept = tuple(flows[flow] for flow in reached.tolist())
    return Trace(kept, kpis, int(spec.tick), starts, origin, digest, repairs, gaps)


def _placed(topology: Topology, capacity: Floats) -> list[PlacedSite]:
    """Return the sites: as large as what ends there, by capacity where that is known."""
    limited = np.isfinite(capacity)
    usual = np.median(capacity[limited]) if limited.any() else 1.0
    known = np.where(limited, capacity, usual)
    size = np.zeros(len(topology.sites))
    np.add.at(size, topology.ends.ravel(), np.repeat(known, 2))
    return [
        PlacedSite(site.name, each, site.x, site.y)
        for site, each in zip(topology.sites, size.tolist(), strict=True)
    ]


def _scale(spec: ScenarioSpec, loads: Floats, capacity: Floats) -> float:
    """Return what makes the busiest link as busy as the scenario says."""
    full = float((loads.max(axis=0) / capacity).max(initial=0.0))
    if full > 0:
        return (spec.demand.busiest or BUSIEST) / full
    if spec.demand.busiest is not None:
        what = "needs a link with a capacity, and with demand"
        raise InputError(Problem(what, ("demand", "busiest")))
    return _MEAN_MBPS
