"""Single failures of a network beside other tools: loads held equal, times side by side.

    pip install pyNTM ngraph
    python tests/bench/peers.py [SITES CIRCUITS]

pyNTM and NetGraph take one traffic matrix at a time; they are given the first replayed interval.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from network import scenario
from numpy.typing import NDArray

from twin.api.run import run
from twin.engine.recording import Recording
from twin.routing.shortest_paths import ShortestPaths
from twin.scenario.given import Overrides
from twin.scenario.load import Scenario
from twin.studies.contingency.failures import Failure, single_failures
from twin.studies.contingency.rerouted import rerouted
from twin.studies.contingency.study import ContingencyAnalysis

Floats = NDArray[np.float64]


class Case(NamedTuple):
    """A network, one matrix over it, and the connections that fail, one at a time."""

    routing: ShortestPaths
    demand: Floats
    """Mbit/s, [flows]."""
    failures: list[Failure]


def ours(case: Case) -> Floats:
    """Return the loads under each failure, Mbit/s, [failures, links]."""
    up = np.zeros(len(case.routing.links), dtype=np.bool_)
    usual, base = case.routing.paths(up), case.routing.matrix(up) @ case.demand
    loads = np.tile(base, (len(case.failures), 1))
    for row, failure in zip(loads, case.failures, strict=True):
        each = rerouted(case.routing, usual, failure)
        row[each.links] += each.change @ case.demand
    return loads


def pyntm(case: Case) -> Floats:
    """Return the same from pyNTM's simulation of each failure."""
    from pyNTM import Demand, FlexModel, Interface, Node

    topology = case.routing.topology
    nodes = {name: Node(name) for name in topology.site_names}
    pairs: dict[frozenset[str], int] = {}
    interfaces = []
    for link in topology.links:
        circuit = pairs.setdefault(frozenset((link.source, link.target)), len(pairs))
        ends = nodes[link.source], nodes[link.target]
        interfaces.append(Interface(link.name, int(link.weight), 10**9, *ends, str(circuit)))
    demands = [
        Demand(*(nodes[site] for site in flow.split(">")), float(mbps), flow)
        for flow, mbps in zip(case.routing.flows, case.demand, strict=True)
    ]
    model = FlexModel(set(interfaces), set(nodes.values()), set(demands), set())
    loads = np.empty((len(case.failures), len(topology.links)))
    for row, failure in zip(loads, case.failures, strict=True):
        failed = topology.links[int(failure.down.argmax())]
        model.fail_interface(failed.name, failed.source)
        with contextlib.redirect_stdout(io.StringIO()):
            model.update_simulation()
        carried = {each.name: each.traffic for each in model.interface_objects}
        row[:] = [0.0 if carried[n.name] == "Down" else carried[n.name] for n in topology.links]
        model.unfail_interface(failed.name, failed.source)
    return loads


def netgraph(case: Case) -> Floats:
    """Return what NetGraph says of each failure: demand times the weight of its path, in all."""
    from ngraph import FlowPolicyPreset, Link, Network, Node
    from ngraph.analysis.functions import (
        build_demand_placement_inputs,
        demand_placement_analysis,
    )

    topology, network = case.routing.topology, Network()
    for name in topology.site_names:
        network.add_node(Node(name))
    links: dict[frozenset[str], Any] = {}
    for link in topology.links:
        ends = frozenset((link.source, link.target))
        if ends not in links:
            links[ends] = Link(link.source, link.target, capacity=1e9, cost=int(link.weight))
            network.add_link(links[ends])
    demands = [
        {
            "source": f"^{a}$",
            "target": f"^{b}$",
            "volume": float(mbps),
            "flow_policy": FlowPolicyPreset.SHORTEST_PATHS_ECMP,
        }
        for (a, b), mbps in zip(
            (flow.split(">") for flow in case.routing.flows), case.demand, strict=True
        )
    ]
    context, expansion, resolved = build_demand_placement_inputs(network, demands)
    answers = []
    for failure in case.failures:
        down = topology.links[int(failure.down.argmax())]
        placed = demand_placement_analysis(
            network,
            set(),
            {links[frozenset((down.source, down.target))].id},
            demands,
            include_flow_details=True,
            context=context,
            expansion=expansion,
            resolved_ids=resolved,
        )
        split = (flow.cost_distribution.items() for flow in placed.flows)
        answers.append(sum(cost * mbps for each in split for cost, mbps in each))
    return np.array(answers)


def timed(calculate: Callable[[Case], Floats], case: Case) -> tuple[Floats, float]:
    """Return what it says, and the least of three times in seconds."""
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        answer = calculate(case)
        times.append(time.perf_counter() - begin)
    return answer, min(times)


def main(sites: int = 30, circuits: int = 45, ticks: int = 10_656) -> None:
    """Print the times, after the loads have been found equal."""
    with tempfile.TemporaryDirectory() as folder:
        path = scenario(Path(folder), sites, circuits, int(ticks / 0.8))
        # The others split traffic over equally short paths, and cannot do otherwise.
        result = run(Scenario.load(path, Overrides(("routing=ecmp",))))
    recording: Recording = result.recording
    routing: Any = result.scenario.routing
    assert recording.flow_demand is not None
    connections = [each for each in single_failures(routing.topology) if ">" in each.name]
    case = Case(routing, recording.flow_demand[0], connections)
    weight = np.array([link.weight for link in routing.topology.links])
    mine, seconds = timed(ours, case)
    print(f"{len(connections)} failures, one matrix: twin {seconds:.3f} s")
    theirs, took = timed(pyntm, case)
    np.testing.assert_allclose(theirs, mine, rtol=1e-9, atol=1e-6)
    print(f"  pyNTM {took:.2f} s, {took / seconds:.0f} times; every load equal to 1e-9")
    totals, took = timed(netgraph, case)
    np.testing.assert_allclose(totals, mine @ weight, rtol=1e-3)
    print(
        f"  NetGraph {took:.2f} s, {took / seconds:.0f} times; sum of load x weight equal to 0.1 %"
    )
    begin = time.perf_counter()
    analysis = ContingencyAnalysis(result)
    analysis.strike(connections)
    analysis.tables()
    seconds = time.perf_counter() - begin
    policies = len(recording.lanes)
    print(f"twin, {recording.intervals} matrices and {policies} policies: {seconds:.2f} s")


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:]))
