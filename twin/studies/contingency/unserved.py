"""How much of the flows the links do not serve.

The served share of what takes a path is the least over its links: what one link drops, the next
need not carry. A link that drops the share d = excess / load of all that it carries loses its
excess, Sum_p x_p d = load x d, and all links together the sum of theirs. That counts too much
where a path p has several links that drop: of its demand x_p it loses the greatest d, not their
sum. As a + b = max(a, b) + min(a, b), what is counted twice is x_p times the sum of
min(d_k, max(d_1 .. d_(k-1))) over its second and later ones of those links.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from twin.core.arrays import Floats, Ints
from twin.studies.contingency.rerouted import Rerouted


class Scratch:
    """Arrays by name that are used again: fresh memory costs more than what is done in it."""

    def __init__(self, columns: int) -> None:
        """Give arrays of so many columns."""
        self.columns = columns
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
    place = np.full(len(each.idle), -1)
    place[some] = np.arange(len(some))
    row = place.take(each.taken.link)
    hop = (row >= 0).nonzero()[0]
    tree = _tree(row[hop], each.path[hop])
    if tree is None:
        return total
    # Where a link carries nothing, nothing is above what it may, and 0 is divided.
    np.maximum(carried, np.finfo(np.float64).tiny, out=carried)
    drop = np.divide(excess, carried, out=scratch("drop", len(some)))
    greatest, twice = scratch("greatest", len(tree.row)), scratch("twice", len(tree.row))
    drop.take(tree.row[: tree.ends[0]], axis=0, out=greatest[: tree.ends[0]], mode="clip")
    twice[: tree.ends[0]] = 0.0
    for begin, end in pairwise(tree.ends):
        level, parent = slice(begin, end), tree.parent[begin:end]
        own = scratch.rows("own", drop, tree.row[level])
        before = scratch.rows("before", greatest, parent)
        np.maximum(before, own, out=greatest[level])
        np.minimum(before, own, out=own)
        np.add(scratch.rows("before", twice, parent), own, out=twice[level])
    # What all paths that end in a node take of their flows.
    order = np.argsort(tree.node, kind="stable")
    path = tree.path[order]
    counts = np.bincount(tree.node, minlength=len(tree.row))
    cells = each.taken.share[path], each.taken.flow[path], np.append(0, np.cumsum(counts))
    amount = sparse.csr_array(cells, shape=(len(tree.row), len(flows))) @ flows
    return total - float(np.vdot(twice, amount))


class _Tree(NamedTuple):
    """Sets of links that drop something, as paths come to them, each worked out once.

    A node stands for the first so many of those on some path. Nodes are in order of that number.
    """

    row: Ints
    """A link of the set, [nodes]."""
    parent: Ints
    """The node of the set without it, [nodes]; of no meaning for one link."""
    ends: list[int]
    """How many nodes stand for up to 1, 2, ... links."""
    path: Ints
    """Paths with several such links."""
    node: Ints
    """The node that stands for all of them, of each such path."""


def _tree(row: Ints, path: Ints) -> _Tree | None:
    """Return the tree of hops, given path by path; None where no path has several."""
    first, count = _runs(path)
    several = count > 1
    if not several.any():
        return None
    if not several.all():
        kept = np.repeat(several, count)
        row, path = row[kept], path[kept]
        first, count = _runs(path)
    keys = _keys(int(row.max()) + 1)[row]
    # A set is known by the sum of its links' keys, modulo 2^64.
    sums = np.cumsum(keys)
    sums -= np.repeat(sums[first] - keys[first], count)
    order = sums.argsort()
    begins, number = _numbered(sums[order])
    node = np.empty_like(order)
    node[order] = number
    one = order[begins]
    depth = np.arange(len(row)) - np.repeat(first, count)
    by_depth = np.argsort(depth[one], kind="stable")
    place = np.empty_like(by_depth)
    place[by_depth] = np.arange(len(by_depth))
    one, node = one[by_depth], place[node]
    ends = np.cumsum(np.bincount(depth[one])).tolist()
    return _Tree(row[one], node[one - 1], ends, path[first], node[first + count - 1])


@cache
def _keys(rows: int) -> NDArray[np.uint64]:
    """Return a number for each row, such that no two sets are likely to have the same sum.

    The chance that two do is 2^-64: some 10^-10 among 50,000 sets.
    """
    return np.random.default_rng(1).integers(0, 2**64, rows, dtype=np.uint64)


def _runs(values: Ints) -> tuple[Ints, Ints]:
    """Return where each run of equal values begins, and how many there are of it."""
    begins, _ = _numbered(values)
    return begins, np.diff(begins, append=len(values))


def _numbered(values: NDArray[Any]) -> tuple[Ints, Ints]:
    """Return where each run of equal values begins, and the number of the run of each value."""
    is_first = np.ones(len(values), dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=is_first[1:])
    return is_first.nonzero()[0], np.cumsum(is_first) - 1
