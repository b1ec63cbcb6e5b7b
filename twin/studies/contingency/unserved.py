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
from twin.routing.shortest_paths import Paths
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


class TakenPaths:
    """All paths under a failure: those that stay, and new ones."""

    def __init__(self, usual: Paths, each: Rerouted, links: int) -> None:
        self._usual, self._each, self.links = usual, each, links
        self._joined: tuple[Ints, Ints, Ints, Floats] | None = None

    def joined(self) -> tuple[Ints, Ints, Ints, Floats]:
        """Return the link and the path of each hop, and flow and share of each path.

        The link of a path that is no longer taken is one beyond the last.
        """
        if self._joined is None:
            usual, new = self._usual, self._each.new
            path = np.repeat(np.arange(len(usual.flow)), usual.hops)
            later = np.repeat(np.arange(len(new.flow)), new.hops) + len(usual.flow)
            stays = np.where(self._each.kept[path], usual.link, self.links)
            self._joined = (
                np.concatenate([stays, new.link]),
                np.concatenate([path, later]),
                np.concatenate([usual.flow, new.flow]),
                np.concatenate([usual.share, new.share]),
            )
        return self._joined


def unserved(
    flows: Floats,
    paths: TakenPaths,
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
    link, path, flow, share = paths.joined()
    place = np.full(paths.links + 1, -1)
    place[some] = np.arange(len(some))
    row = place.take(link)
    hop = (row >= 0).nonzero()[0]
    row = row[hop]
    first, count = _runs(path[hop])
    # Paths with several such links. Those with more than k of them are the first so many.
    several = (count > 1).nonzero()[0]
    if not len(several):
        return total
    several = several[np.argsort(-count[several], kind="stable")]
    first, count = first[several], count[several]
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
    taken = path[hop[first]]
    amount = scratch.rows("amount", flows, flow[taken])
    if (share[taken] != 1).any():
        amount *= share[taken, None]
    return total - float(np.vdot(twice, amount))


def _runs(sorted_values: Ints) -> tuple[Ints, Ints]:
    """Return where each run of equal values begins, and how many there are of it."""
    begins = np.empty(len(sorted_values) + 1, dtype=np.bool_)
    begins[0] = begins[-1] = True
    np.not_equal(sorted_values[1:], sorted_values[:-1], out=begins[1:-1])
    edges = begins.nonzero()[0]
    return edges[:-1], edges[1:] - edges[:-1]
