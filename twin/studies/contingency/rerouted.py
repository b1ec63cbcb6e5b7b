"""What a failure changes: the paths of the flows that it hits, and what links carry for it.

A path without a failed link is a shortest path still, and where no failed link is on any shortest
path of a flow, its shares do not change. So the flows that a failure hits are rerouted and no
others. With R the shares of flows on links and X the demand of flows, loads under a failure f are
R X + (R_f - R)[links, hit] X[hit]: exact, and of few rows and columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.routing.shortest_paths import Paths, ShortestPaths, joined_paths
from twin.studies.contingency.failures import Failure


class Rerouted(NamedTuple):
    """The network under a failure, by what differs from the network as it is."""

    failure: Failure
    taken: Paths
    """All paths: those that stay as they are, then those of flows that are hit."""
    path: Ints
    """The path of each hop in ``taken``."""
    lost: Ints
    """Flows that no path is left for."""
    hit: Ints
    """Flows whose shares change."""
    links: Ints
    """Links whose load may change."""
    change: Floats
    """How the shares change, [links, hit]."""
    idle: Bools
    """Links that no path uses, [links]."""

    @property
    def nbytes(self) -> int:
        """The memory that it takes, next to all."""
        return self.change.nbytes + self.path.nbytes + sum(each.nbytes for each in self.taken)


def rerouted(routing: ShortestPaths, usual: Paths, failure: Failure) -> Rerouted:
    """Return what a failure changes, given the paths of the network as it is."""
    links, flows = len(routing.links), len(routing.flows)
    stopped = np.logical_or.reduceat(failure.down[usual.link], usual.start)
    is_hit = np.zeros(flows, dtype=np.bool_)
    is_hit[usual.flow[stopped]] = True
    # Where traffic is split, all paths of a flow that is hit are new ones.
    kept, hit = ~is_hit[usual.flow], np.flatnonzero(is_hit)
    new = routing.paths(failure.down, hit)
    lost = is_hit.copy()
    lost[new.flow] = False
    column = np.cumsum(is_hit) - 1

    def shares(paths: Paths, some: Bools) -> Floats:
        """Return the shares of flows that are hit, [links, hit], of some paths."""
        of = np.repeat(np.flatnonzero(some), paths.hops[some])
        link = paths.link[np.repeat(some, paths.hops)]
        cell = link * len(hit) + column[paths.flow[of]]
        flat = np.bincount(cell, paths.share[of], minlength=links * len(hit))
        return np.asarray(flat, dtype=np.float64).reshape(links, len(hit))

    change = shares(new, np.ones(len(new.flow), dtype=np.bool_)) - shares(usual, ~kept)
    changed = np.flatnonzero(change.any(axis=1))
    taken = joined_paths([usual.only(kept), new])
    path = np.repeat(np.arange(len(taken.flow)), taken.hops)
    idle = np.bincount(taken.link, minlength=links) == 0
    return Rerouted(failure, taken, path, np.flatnonzero(lost), hit, changed, change[changed], idle)
