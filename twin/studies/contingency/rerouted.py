"""What a failure changes: the paths of the flows that it hits, and what links carry for it.

A path without a failed link is a shortest path still, and where no failed link is on any shortest
path of a flow, its shares do not change. So the flows that a failure hits are rerouted and no
others. With R the shares of flows on links and X the demand of flows, loads under a failure f are
R X + (R_f - R)[links, hit] X[hit]: exact, and of few rows and columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from twin.core.arrays import Bools, Ints
from twin.routing.shortest_paths import Paths, ShortestPaths, joined_paths
from twin.studies.contingency.failures import Failure


@dataclass(frozen=True)
class Rerouted:
    """The network under a failure, by what differs from the network as it is."""

    failure: Failure
    usual: Paths
    """All paths of the network as it is."""
    is_kept: Bools
    """Which of these are taken still."""
    new: Paths
    """Paths of the flows that are hit."""
    lost: Ints
    """Flows that no path is left for."""
    links: Ints
    """Links whose load may change."""
    change: sparse.csr_array[Any]
    """How the shares on these change, [links, flows]."""
    idle: Bools
    """Links that no path uses, of all."""

    @cached_property
    def taken(self) -> Paths:
        """All paths: those that stay as they are, then the new ones."""
        return joined_paths([self.usual.only(self.is_kept), self.new])

    @cached_property
    def path(self) -> Ints:
        """The path of each hop in :attr:`taken`."""
        return np.repeat(np.arange(len(self.taken.flow)), self.taken.hops)

    @property
    def nbytes(self) -> int:
        """The memory that it takes, next to all, before all paths are asked for."""
        change = self.change.data.nbytes + self.change.indices.nbytes
        return change + self.is_kept.nbytes + sum(each.nbytes for each in self.new)

    @property
    def nbytes_at_most(self) -> int:
        """The same once they were."""
        hops = len(self.usual.link) + len(self.new.link)
        return self.nbytes + hops * 2 * 8 + len(self.is_kept) * 3 * 8


def rerouted(routing: ShortestPaths, usual: Paths, failure: Failure) -> Rerouted:
    """Return what a failure changes, given the paths of the network as it is."""
    links, flows = len(routing.links), len(routing.flows)
    stopped = np.logical_or.reduceat(failure.down[usual.link], usual.start)
    is_hit = np.zeros(flows, dtype=np.bool_)
    is_hit[usual.flow[stopped]] = True
    # Where traffic is split, all paths of a flow that is hit are new ones.
    is_kept = ~is_hit[usual.flow]
    new = routing.paths(failure.down, np.flatnonzero(is_hit))
    lost = is_hit.copy()
    lost[new.flow] = False
    old = usual.only(~is_kept)
    change = _shares(new, links, flows) - _shares(old, links, flows)
    change.eliminate_zeros()
    changed = np.flatnonzero(np.diff(change.indptr))
    carrying = np.bincount(usual.link, minlength=links) - np.bincount(old.link, minlength=links)
    idle = carrying + np.bincount(new.link, minlength=links) == 0
    return Rerouted(
        failure, usual, is_kept, new, np.flatnonzero(lost), changed, change[changed], idle
    )


def _shares(paths: Paths, links: int, flows: int) -> sparse.csr_array[Any]:
    """Return the shares of flows on links that they have on some paths, [links, flows]."""
    hops = paths.hops
    cells = np.repeat(paths.share, hops), (paths.link, np.repeat(paths.flow, hops))
    shares = sparse.csr_array(cells, shape=(links, flows))
    shares.sum_duplicates()
    return shares
