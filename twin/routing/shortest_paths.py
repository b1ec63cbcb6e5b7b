"""Routing by weight: the shortest path of every flow, or all of them with traffic split equally.

Let D[u, t] be the least weight from site u to site t. A link from u to v of weight w lies on a
shortest path to t exactly where D[u, t] = w + D[v, t]. These links make an acyclic graph for each
t. What arrives at u for t leaves by its links out of u, in equal shares at every hop (ECMP, RFC
2992 per hop), or all by the first of them. With p[(u, t), (v, t)] the share that goes from u to v,
a flow from s to t visits the sites of its graph as often as (I + P + P^2 + ...) says in the row
(s, t); and it loads a link out of u with what visits u times the link's share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.core.recent import Recent
from twin.core.text import ARROW
from twin.topology.topology import Topology

if TYPE_CHECKING:
    from scipy import sparse

_TIE: Final = 1e-9
"""Two paths are as short as each other where their weights differ by no more than this part."""
_KEPT: Final = 64
"""Routings that are kept, of the states of the network that were asked for last."""


class _Hops(NamedTuple):
    """Links on shortest paths, from state to state; a state is a site on the way to a target."""

    link: Ints
    here: Ints
    there: Ints
    states: int
    start: Ints
    """State in which each flow begins, [flows]."""
    routable: Bools
    """Flows that have a path, [flows]."""


class Paths(NamedTuple):
    """Paths of flows, one after the other."""

    link: Ints
    """The links of each path in the order in which they are travelled, path by path, [hops]."""
    start: Ints
    """Where the links of each path begin, [paths]."""
    flow: Ints
    """The flow of each path."""
    share: Floats
    """The share of the flow that takes the path."""

    @property
    def hops(self) -> Ints:
        """The number of links of each path, at least 1."""
        return np.diff(self.start, append=len(self.link))

    def only(self, some: Bools) -> Paths:
        """Return some of the paths."""
        hops = self.hops[some]
        link = self.link[np.repeat(some, self.hops)]
        return Paths(link, np.cumsum(hops) - hops, self.flow[some], self.share[some])

    def of(self, path: int) -> Ints:
        """Return the links of one path."""
        return self.link[self.start[path] : self.start[path] + self.hops[path]]


def joined_paths(parts: Sequence[Paths]) -> Paths:
    """Return the paths of several, one after the other."""
    hops = np.concatenate([each.hops for each in parts])
    link, flow = (np.concatenate([each[k] for each in parts]) for k in (0, 2))
    share = np.concatenate([each.share for each in parts])
    return Paths(link, np.cumsum(hops) - hops, flow, share)


class ShortestPaths:
    """Routes each flow from one site to another by the weights of links."""

    def __init__(self, topology: Topology, flows: Sequence[str], *, split: bool = False) -> None:
        """Route `flows`, named ``A>B``, over all shortest paths if `split`, else over one.

        Of several, the one is that which at every site takes the link that comes first in the
        topology. Raises ValueError for a flow that does not go from one site to another.
        """
        self.topology = topology
        self.links, self.flows = topology.link_names, tuple(flows)
        self._split = split
        self._ends = self._ends_of_flows()
        self._matrices: Recent[bytes, sparse.csr_array[Any]] = Recent(_KEPT)

    def _ends_of_flows(self) -> Ints:
        """Return the places of both sites of each flow, [flows, 2]."""
        place = {name: i for i, name in enumerate(self.topology.site_names)}
        ends = []
        for flow in self.flows:
            source, _, target = flow.partition(ARROW)
            if source not in place or target not in place or source == target:
                raise ValueError(f"'{flow}' is no flow from a site to another")
            ends.append((place[source], place[target]))
        return np.array(ends, dtype=np.int64).reshape(-1, 2)

    def matrix(self, down: Bools) -> sparse.csr_array[Any]:
        """Return the share of each flow on each link, [links, flows], given what is down.

        A flow that no path is left for has none.
        """
        return self._matrices.get(np.packbits(down).tobytes(), lambda: self._routed(down))

    def distances(self, down: Bools, targets: Ints | None = None) -> Floats:
        """Return the least weight to each target, all sites by default, from each site.

        Infinite without a path, [targets, sites].
        """
        from scipy import sparse
        from scipy.sparse import csgraph

        sites, up = len(self.topology.sites), np.flatnonzero(~down)
        ends, weights = self.topology.ends[up], self.topology.weights[up]
        # Of parallel links the lightest; a sparse array would add them up.
        order = np.lexsort((weights, ends[:, 1], ends[:, 0]))
        pairs = ends[order]
        lightest = np.ones(len(order), dtype=np.bool_)
        lightest[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
        kept = order[lightest]
        # Links are turned round, so that one search finds all distances to a target.
        graph = sparse.csr_array(
            (weights[kept], (ends[kept, 1], ends[kept, 0])), shape=(sites, sites)
        )
        return np.asarray(csgraph.dijkstra(graph, indices=targets))

    def unrouted(self, down: Bools) -> Bools:
        """Return the flows that no path is left for, [flows]."""
        return np.asarray(~np.isfinite(self.distances(down)[self._ends[:, 1], self._ends[:, 0]]))

    def paths(self, down: Bools, flows: Ints | None = None) -> Paths:
        """Return the paths of some flows, by default of all, given what is down.

        One of each flow, or all that share it; none of a flow that no path is left for.
        """
        chosen = np.arange(len(self.flows)) if flows is None else flows
        hops = self._hops(down, chosen)
        flow, state = chosen[hops.routable], hops.start[hops.routable]
        order = np.argsort(hops.here, kind="stable")
        first = np.searchsorted(hops.here[order], np.arange(hops.states + 1))
        share = np.ones(len(flow))
        # The k-th link of every path, -1 where it has arrived before, [longest path, paths].
        taken = np.empty((0, len(flow)), dtype=np.int64)
        while True:
            # At its target a path has nowhere to go on to.
            ways = first[state + 1] - first[state]
            if not ways.any():
                break
            # Each path goes on as so many; one that has arrived stays as it is.
            copies = np.maximum(ways, 1)
            parent = np.repeat(np.arange(len(state)), copies)
            place = np.arange(len(parent)) - np.repeat(np.cumsum(copies) - copies, copies)
            going = ways[parent] > 0
            hop = order[np.minimum(first[state[parent]] + place, len(order) - 1)]
            taken = np.vstack([taken[:, parent], np.where(going, hops.link[hop], -1)])
            share = share[parent] / copies[parent]
            flow, state = flow[parent], np.where(going, hops.there[hop], state[parent])
        by_path = taken.T
        travelled = by_path >= 0
        length = travelled.sum(axis=1)
        return Paths(by_path[travelled], np.cumsum(length) - length, flow, share)

    def _hops(self, down: Bools, flows: Ints) -> _Hops:
        """Return the links on shortest paths to the targets of some flows."""
        ends = self._ends[flows]
        targets, target = np.unique(ends[:, 1], return_inverse=True)
        distances = self.distances(down, targets)
        link, goal = self._on_shortest_paths(distances, targets, down)
        source, into = self.topology.ends[link].T
        sites = len(self.topology.sites)
        return _Hops(
            link,
            goal * sites + source,
            goal * sites + into,
            sites * len(targets),
            target * sites + ends[:, 0],
            np.isfinite(distances[target, ends[:, 0]]),
        )

    def _routed(self, down: Bools) -> sparse.csr_array[Any]:
        from scipy import sparse

        link, here, there, states, start, routable = self._hops(down, np.arange(len(self.flows)))
        share = 1.0 / np.bincount(here, minlength=states)[here]
        step = sparse.csr_array((share, (here, there)), shape=(states, states))
        leave = sparse.csr_array((share, (here, link)), shape=(states, len(self.links)))
        visits = sparse.csr_array(
            (np.ones(routable.sum()), (np.flatnonzero(routable), start[routable])),
            shape=(len(self.flows), states),
        )
        loads = sparse.csr_array((len(self.flows), len(self.links)))
        while visits.nnz:
            loads = loads + visits @ leave
            visits = visits @ step
        return sparse.csr_array(loads.T)

    def _on_shortest_paths(
        self, distances: Floats, targets: Ints, down: Bools
    ) -> tuple[Ints, Ints]:
        """Return each link that is taken on the way to each target, and that target's number."""
        source, into = self.topology.ends.T
        before = distances[:, source]
        after = self.topology.weights + distances[:, into]
        with np.errstate(invalid="ignore"):
            taken = np.isfinite(before) & (np.abs(before - after) <= _TIE * before)
        # At the target itself nothing goes on.
        taken &= ~down & (source != targets[:, None])
        goal, link = np.nonzero(taken)
        if not self._split:
            # The first link out of each site, for each target: they are in order.
            _, first = np.unique(goal * len(self.topology.sites) + source[link], return_index=True)
            goal, link = goal[first], link[first]
        return link, goal
