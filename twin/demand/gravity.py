"""The gravity model: what goes from one site to another, from what enters and leaves each site.

The demand from i to j is a_i c_j, with the factors such that rows add up to what enters at i and
columns to what leaves at j. Where every pair may carry demand, that is in_i out_j / total. Where
some may not, such as a site and itself, the factors come from iterative proportional fitting
(Deming and Stephan 1940).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.arrays import Floats, Ints

_SWEEPS: Final = 200
_CLOSE: Final = 1e-12


def gravity(entering: Floats, leaving: Floats, ends: Ints) -> Floats:
    """Return the demand of each pair of sites at each tick, [ticks, pairs].

    `entering` and `leaving` [ticks, sites] are what enters and leaves the network at each site;
    `ends` [pairs, 2] are the sites of the pairs that may carry demand. Where both do not add up to
    the same, the total is halfway; where no matrix has these sums, those of `leaving` are met.
    """
    sites = entering.shape[1]
    allowed = np.zeros((sites, sites))
    allowed[ends[:, 0], ends[:, 1]] = 1.0
    rows, columns = entering * allowed.any(axis=1), leaving * allowed.any(axis=0)
    total = (rows.sum(axis=1) + columns.sum(axis=1))[:, None] / 2
    rows, columns = (
        sums * divided(total, sums.sum(axis=1, keepdims=True)) for sums in (rows, columns)
    )
    a, c = (divided(sums, np.sqrt(total)) for sums in (rows, columns))
    for _ in range(_SWEEPS):
        before = a
        a = divided(rows, c @ allowed.T)
        c = divided(columns, a @ allowed)
        if (np.abs(a - before) <= _CLOSE * a).all():
            break
    return np.asarray(a[:, ends[:, 0]] * c[:, ends[:, 1]])


def sums_by_site(pairs: Floats, ends: Ints, sites: int) -> tuple[Floats, Floats]:
    """Return what enters and what leaves at each site, [ticks, sites], of pairs [ticks, pairs]."""
    from scipy import sparse

    place, one = np.arange(len(ends)), np.ones(len(ends))
    entering, leaving = (
        sparse.csr_array((one, (end, place)), shape=(sites, len(ends))) @ pairs.T for end in ends.T
    )
    return np.asarray(entering.T), np.asarray(leaving.T)


def divided(a: Floats, b: Floats) -> Floats:
    """Return a / b, and 0 where b is 0."""
    a, b = np.broadcast_arrays(a, b)
    return np.divide(a, b, out=np.zeros(a.shape), where=b > 0)
