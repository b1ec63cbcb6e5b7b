"""How much of the flows the links do not serve.

The served share of what takes a path is the least over its links: what one link drops, the next
need not carry.
"""

from __future__ import annotations

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.routing.shortest_paths import Paths


class Unserved:
    """What is lost on the paths of flows where links carry more than they may."""

    def __init__(self, paths: Paths) -> None:
        """Take the paths in force."""
        self._flow, self._share = paths.flow, paths.share
        by_path = paths.links.tocsc()
        lengths = np.diff(by_path.indptr)
        # The k-th link of every path, and one that never drops anything where a path is shorter.
        self._hops: Ints = np.full((lengths.max(initial=0), len(lengths)), paths.links.shape[0])
        path = np.repeat(np.arange(len(lengths)), lengths)
        self._hops[np.arange(len(path)) - by_path.indptr[path], path] = by_path.indices

    def of(self, flows: Floats, loads: Floats, limits: Floats, short: Bools) -> float:
        """Return the demand that is routed and not served, summed over ticks, Mbit/s.

        `flows` is [flows, ticks], `loads` and `limits` are [links, ticks], and `short` says where a
        load exceeds its limit.
        """
        counts = short.sum(axis=0)
        # Where one link alone is short, nothing that it drops is dropped elsewhere.
        some = short & (counts == 1)
        total = float((loads[some] - limits[some]).sum())
        several = np.flatnonzero(counts > 1)
        if not len(several):
            return total
        dropped = np.zeros((len(loads) + 1, len(several)))
        excess = loads[:, several] - limits[:, several]
        np.divide(excess, loads[:, several], out=dropped[:-1], where=short[:, several])
        drops = np.asarray(dropped.any(axis=1))
        lossy = drops[self._hops].any(axis=0)
        lost = dropped[self._hops[0, lossy]]
        for hop in self._hops[1:, lossy]:
            np.maximum(lost, dropped[hop], out=lost)
        flow, share = self._flow[lossy], self._share[lossy]
        carried = flows[flow][:, several] if len(several) < flows.shape[1] else flows[flow]
        return total + float(np.einsum("pt,pt,p->", lost, carried, share))
