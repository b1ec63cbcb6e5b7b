"""Shares of flows on links, beside a slow calculation on networkx."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from twin.routing.shortest_paths import ShortestPaths
from twin.topology.parts import LinkPart, Place, topology_of
from twin.topology.read import read_topology
from twin.topology.spec import TopologySpec
from twin.topology.topology import Topology

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
ZOO = ["topozoo/Abilene", "topozoo/Geant2012", "topozoo/Nsfnet", "topozoo/Uninett2011",
       "topozoo/Dfn"]  # fmt: skip


def every_flow(topology: Topology) -> list[str]:
    sites = topology.site_names
    return [f"{a}>{b}" for a in sites for b in sites if a != b]


def slowly(topology: Topology, flows: list[str], down: Bools, *, split: bool) -> Floats:
    """Return the shares [links, flows], one flow at a time."""
    lightest: nx.DiGraph[str] = nx.DiGraph()
    lightest.add_nodes_from(topology.site_names)
    up = [(i, link) for i, link in enumerate(topology.links) if not down[i]]
    for _, link in up:
        other = lightest.get_edge_data(link.source, link.target, {"weight": np.inf})["weight"]
        lightest.add_edge(link.source, link.target, weight=min(other, link.weight))
    backward = lightest.reverse()
    shares = np.zeros((len(topology.links), len(flows)))
    for column, flow in enumerate(flows):
        source, target = flow.split(">")
        distance = nx.single_source_dijkstra_path_length(backward, target)
        if source not in distance:
            continue
        amount = {source: 1.0}
        for site in sorted(distance, key=lambda site: -distance[site]):
            ways = [
                (i, link)
                for i, link in up
                if link.source == site and link.target in distance and site != target
                and abs(link.weight + distance[link.target] - distance[site]) < 1e-9
            ]  # fmt: skip
            for i, link in ways if split else ways[:1]:
                part = amount.get(site, 0.0) / (len(ways) if split else 1)
                shares[i, column] += part
                amount[link.target] = amount.get(link.target, 0.0) + part
    return shares


@st.composite
def networks(draw: st.DrawFn) -> Topology:
    """Some sites, and connections with few distinct weights: ties and parallel links abound."""
    sites = [f"s{i}" for i in range(draw(st.integers(2, 7)))]
    ends = st.sampled_from(sites)
    parts = st.tuples(ends, ends, st.booleans(), st.sampled_from([0.1, 0.2, 0.3, 1.0]))
    links = draw(st.lists(parts.filter(lambda p: p[0] != p[1]), min_size=1, max_size=14))
    return topology_of(
        None, [LinkPart(a, b, Place(), directed, None, weight) for a, b, directed, weight in links]
    )


@settings(max_examples=60, deadline=None)
@given(network=networks(), data=st.data(), split=st.booleans())
def test_shares_are_those_of_a_slow_calculation(
    network: Topology, data: st.DataObject, split: bool
) -> None:
    flags = st.lists(st.booleans(), min_size=len(network.links), max_size=len(network.links))
    down = np.array(data.draw(flags)) & np.array(data.draw(flags))
    flows = every_flow(network)
    routing = ShortestPaths(network, flows, split=split)
    shares = routing.matrix(down).toarray()
    np.testing.assert_allclose(shares, slowly(network, flows, down, split=split), atol=1e-12)
    # What leaves a source is all of a flow, or nothing where no path is left.
    leaving = np.array([
        shares[network.ends[:, 0] == network.site_names.index(flow.split(">")[0]), i].sum()
        for i, flow in enumerate(flows)
    ])  # fmt: skip
    np.testing.assert_allclose(leaving, ~routing.unrouted(down), atol=1e-12)


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("name", ZOO)
def test_shares_on_real_networks(name: str, split: bool) -> None:
    pytest.importorskip("topohub")
    from pathlib import Path

    network = read_topology(TopologySpec(topohub=name), Path())
    rng = np.random.default_rng(len(name))
    flows = rng.permutation(every_flow(network))[:300].tolist()
    routing = ShortestPaths(network, flows, split=split)
    for failed in (0, 1, 4):
        down = np.zeros(len(network.links), dtype=np.bool_)
        circuits = rng.choice(max(link.circuit for link in network.links) + 1, failed)
        down[[link.circuit in circuits for link in network.links]] = True
        expected = slowly(network, flows, down, split=split)
        np.testing.assert_allclose(routing.matrix(down).toarray(), expected, atol=1e-12)


def test_the_one_path_takes_the_first_link_at_every_site() -> None:
    square = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]
    network = topology_of(None, [LinkPart(a, b, Place()) for a, b in square])
    routing = ShortestPaths(network, ["a>d", "d>a"])
    up = np.zeros(len(network.links), dtype=np.bool_)
    shares = routing.matrix(up).toarray()
    carrying = [{network.link_names[i] for i in np.flatnonzero(column)} for column in shares.T]
    assert carrying == [{"a>b", "b>d"}, {"d>b", "b>a"}]
    halves = ShortestPaths(network, ["a>d"], split=True).matrix(up).toarray()[:, 0]
    assert set(halves[halves > 0]) == {0.5}


def test_a_flow_has_two_sites_that_there_are() -> None:
    network = topology_of(None, [LinkPart("a", "b", Place())])
    for flow in ("a>a", "a>c", "a"):
        with pytest.raises(ValueError, match="is no flow from a site to another"):
            ShortestPaths(network, [flow])
