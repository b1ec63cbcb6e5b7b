"""What a network is like: how far it reaches, and what any single failure cuts off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from twin.core.arrays import Bools, Floats, Ints
from twin.topology.topology import Topology


class Farthest(NamedTuple):
    """The two sites whose shortest path is the longest."""

    source: str
    target: str
    distance: float


class Cut(NamedTuple):
    """A failure that cuts sites off from the rest."""

    kind: str
    """``connection``, ``site`` or ``risk group``."""
    name: str
    sites: tuple[str, ...]
    """The sites that can no longer reach most others and be reached by them."""


class NetworkDescription(NamedTuple):
    """What `twin data info` prints of a network."""

    connections: int
    degree: Ints
    """Connections at each site, [sites]."""
    hops: Farthest
    """The diameter, in hops."""
    weight: Farthest
    """The same by weight."""
    cuts: tuple[Cut, ...]
    """Connections (bridges), sites (articulation points) and groups that cut something off."""


def describe_network(topology: Topology) -> NetworkDescription:
    """Return what a network is like."""
    circuits = np.array([link.circuit for link in topology.links])
    pairs = {(link.circuit, site) for link in topology.links for site in (link.source, link.target)}
    ends = [site for _, site in pairs]
    degree = np.array([ends.count(name) for name in topology.site_names], dtype=np.int64)
    return NetworkDescription(
        len(np.unique(circuits)),
        degree,
        _farthest(topology, np.ones(len(topology.links))),
        _farthest(topology, topology.weights),
        tuple(_cuts(topology, circuits)),
    )


def _farthest(topology: Topology, weights: Floats) -> Farthest:
    """Return the longest of all shortest paths; sites that cannot reach each other do not count."""
    distances = csgraph.shortest_path(_matrix(topology, weights), unweighted=False)
    reached = np.where(np.isfinite(distances), distances, -1.0)
    source, target = divmod(int(reached.argmax()), len(distances))
    names = topology.site_names
    return Farthest(names[source], names[target], float(reached[source, target]))


def _matrix(topology: Topology, weights: Floats) -> sparse.csr_array:
    """Return the least weight from site to site, [sites, sites]."""
    size, ends = len(topology.sites), topology.ends
    # Of parallel links the lightest counts: it is kept where the heaviest come first.
    order = np.argsort(-weights, kind="stable")
    least = {(int(a), int(b)): float(weights[i]) for i in order for a, b in (ends[i],)}
    at = np.array(list(least), dtype=np.int64).reshape(-1, 2)
    return sparse.csr_array((list(least.values()), (at[:, 0], at[:, 1])), shape=(size, size))


def _cuts(topology: Topology, circuits: Ints) -> Iterator[Cut]:
    names = np.array(topology.link_names)
    whole = _main(topology, np.ones(len(names), dtype=np.bool_))
    for kind, name, down, gone in _failures(topology, circuits, names):
        left = _main(topology, ~down)
        lost = whole & ~left & ~gone
        if lost.any():
            yield Cut(kind, name, tuple(np.array(topology.site_names)[lost].tolist()))


def _failures(
    topology: Topology, circuits: Ints, names: np.ndarray
) -> Iterator[tuple[str, str, Bools, Bools]]:
    """Yield the kind and name of each single failure, its links, and the sites that are down."""
    none = np.zeros(len(topology.sites), dtype=np.bool_)
    for number in dict.fromkeys(circuits.tolist()):
        down = circuits == number
        yield "connection", "+".join(sorted(names[down].tolist())), down, none
    for place, site in enumerate(topology.site_names):
        gone = none.copy()
        gone[place] = True
        yield "site", site, topology.at_site(site), gone
    for group, links in topology.risk_groups.items():
        yield "risk group", group, np.isin(names, links), none


def _main(topology: Topology, up: Bools) -> Bools:
    """Return which sites are in the largest part in which every site reaches every other."""
    size, ends = len(topology.sites), topology.ends[up]
    matrix = sparse.csr_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(size, size))
    _, part = csgraph.connected_components(matrix, connection="strong")
    return np.asarray(part == np.bincount(part).argmax())
