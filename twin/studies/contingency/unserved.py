"""How much of the flows the links do not serve.

The served share of what takes a path is the least over its links: what one link drops, the next
need not carry. A link that drops the share d = excess / load of all that it carries loses its
excess, Sum_p x_p d = load x d, and all links together the sum of theirs. That counts too much
where a path p has several links that drop: of its demand x_p it loses the greatest d, not their
sum. As a + b = max(a, b) + min(a, b), what is counted twice is x_p times the sum of
min(d_k, max(d_1 .. d_(k-1))) over its second and later ones of those links.
"""

from __future__ import annotations

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.studies.contingency.rerouted import Rerouted


class Scratch:
    """Arrays by name that are used again: fresh memory costs more than what is done in it."""

    def __init__(self) -> None:
        self.columns = 0
        """Of all arrays that are asked for next."""
        self._flat: dict[str, Floats] = {}

    def __call__(self, name: str, rows: int) -> Floats:
        """Return an array [rows, columns] that holds anything; the last one is overwritten."""
        size = rows * self.columns
        if name not in self._flat or self._flat[name].size < size:
            self._flat[name] = np.empty(2 * size)
        return self._flat[name][:size].reshape(rows, self.columns)

    def rows(self, name: str, array: Floats, some: Ints) -> Floats:
        """Return a copy of some rows of an array."""
        return array.take(some, axis=0, out=self(name, len(some)), mode="clip")


def unserved(
    flows: Floats,
    each: Rerouted,
    some: Ints,
    carried: Floats,
    excess: Floats,
    scratch: Scratch,
) -> float:
    """Return the demand that is routed and not served, Mbit/s, summed over ticks.

    `flows` is [flows, ticks]. Of the links `some`: what they carry, which is overwritten, and how
    much of that is above what they may, each [some, ticks].
    """
    total = float(excess.sum())
    flow, share = each.taken.flow, each.taken.share
    place = np.full(len(each.idle), -1)
    place[some] = np.arange(len(some))
    row = place.take(each.taken.link)
    hop = (row >= 0).nonzero()[0]
    row, path = row[hop], each.path[hop]
    first, count = _runs(path)
    several = (count > 1).nonzero()[0]
    if not len(several):
        return total
    taken = path[first[several]]
    one, group = _same_links(row, first, several, len(some))
    # A path of each group. Those with more than k of the links are the first so many.
    most = np.argsort(-count[several[one]], kind="stable")
    position = np.empty_like(most)
    position[most] = np.arange(len(most))
    first, count = first[several[one[most]]], count[several[one[most]]]
    # Where a link carries nothing, nothing is above what it may, and 0 is divided.
    np.maximum(carried, np.finfo(np.float64).tiny, out=carried)
    drop = np.divide(excess, carried, out=scratch("drop", len(some)))
    greatest = scratch.rows("greatest", drop, row[first])
    twice = scratch("twice", len(first))
    twice.fill(0.0)
    for k in range(1, int(count[0])):
        longer = int(np.searchsorted(-count, -k))
        others = scratch.rows("others", drop, row[first[:longer] + k])
        top, least = greatest[:longer], scratch("least", longer)
        twice[:longer] += np.minimum(top, others, out=least)
        np.maximum(top, others, out=top)
    amount = scratch.rows("amount", flows, flow[taken])
    if (share[taken] != 1).any():
        amount *= share[taken, None]
    return total - float(np.vdot(scratch.rows("of path", twice, position[group]), amount))


def _same_links(row: Ints, first: Ints, several: Ints, rows: int) -> tuple[Ints, Ints]:
    """Return one path of each group with the same links, and the group of each path.

    The links of a path are bits of one number; where there are too many, no paths are grouped.
    """
    if rows > 62:
        alone = np.arange(len(several))
        return alone, alone
    links = np.add.reduceat(np.left_shift(1, row), first)[several]
    _, one, group = np.unique(links, return_index=True, return_inverse=True)
    return one, group


def _runs(sorted_values: Ints) -> tuple[Ints, Ints]:
    """Return where each run of equal values begins, and how many there are of it."""
    begins = np.empty(len(sorted_values) + 1, dtype=np.bool_)
    begins[0] = begins[-1] = True
    np.not_equal(sorted_values[1:], sorted_values[:-1], out=begins[1:-1])
    edges = begins.nonzero()[0]
    return edges[:-1], edges[1:] - edges[:-1]
