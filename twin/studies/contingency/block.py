"""Some ticks of a run, held against one failure after the other.

A block is small enough for the loads of all links, and the demand of all flows, to stay in the
processor's cache while failures pass over it. What is reduced over failures or over ticks is
reduced before any policy is looked at: a load does not depend on allocations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.studies.contingency.rerouted import Rerouted
from twin.studies.contingency.unserved import Scratch, unserved


class Tally(NamedTuple):
    """What failures do to policies. Arrays are [failures, policies]."""

    unserved: Floats
    """Demand that is routed and not served, Mbit/s, summed over ticks."""
    short: Ints
    """Ticks at which each link is short, [failures, policies, links]."""
    ticks: Ints
    """Ticks at which any link is."""
    worst: Floats
    """The greatest load over allocation: of the first link and tick that have it."""
    link: Ints
    tick: Ints

    @classmethod
    def empty(cls, failures: int, policies: int, links: int) -> Tally:
        """Return the tally of no ticks."""
        shape = failures, policies
        short = np.zeros((*shape, links), dtype=np.int64)
        ticks, link, tick = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        return cls(np.zeros(shape), short, ticks, np.full(shape, -1.0), link, tick)

    def add(self, other: Tally) -> None:
        """Add the tally of other ticks."""
        self.unserved[...] += other.unserved
        self.short[...] += other.short
        self.ticks[...] += other.ticks
        earlier = (other.link < self.link) | ((other.link == self.link) & (other.tick < self.tick))
        worse = (other.worst > self.worst) | ((other.worst == self.worst) & earlier)
        for mine, theirs in zip(self[3:], other[3:], strict=True):
            np.copyto(mine, theirs, where=worse)


class Block:
    """Demand, loads and allocations at some ticks. Mbit/s, [links or flows, ticks]."""

    def __init__(
        self,
        ticks: Ints,
        flows: Floats,
        loads: Floats,
        capacity: Floats,
        allocated: list[Floats],
        scratch: Scratch,
    ) -> None:
        """Take the network as it is; `allocated` has an array for each policy."""
        self.ticks = ticks
        self._flows, self._loads, self._capacity = flows, loads, capacity
        self._allocated = allocated
        self._bounds = [(each.min(axis=1), each.max(axis=1)) for each in allocated]
        self._scratch = scratch
        scratch.columns = len(ticks)

    def hold(self, failures: Sequence[Rerouted], highest: Floats, cause: Ints, first: int) -> Tally:
        """Hold the loads under each failure against all policies.

        `highest` is the greatest load of each link so far, over all failures, and `cause` the
        number of the failure; both are brought up to date. `first` is the number of the first.
        """
        tally = Tally.empty(len(failures), len(self._allocated), len(self._loads))
        for number, each in enumerate(failures):
            loads = self._under(each)
            higher = loads > highest
            np.maximum(highest, loads, out=highest)
            np.putmask(cause, higher, first + number)
            top = loads.max(axis=1)
            for policy in range(len(self._allocated)):
                self._hold_policy(loads, top, each, policy, tally, number)
        return tally

    def _under(self, each: Rerouted) -> Floats:
        """Return the loads under a failure."""
        loads = self._scratch("loads", len(self._loads))
        np.copyto(loads, self._loads)
        flows = self._scratch.rows("flows", self._flows, each.hit)
        loads[each.links] += np.matmul(
            each.change, flows, out=self._scratch("change", len(each.links))
        )
        # What is left of a difference of sums is no load.
        loads[each.idle] = 0.0
        return np.maximum(loads, 0.0, out=loads)

    def _hold_policy(
        self, loads: Floats, top: Floats, each: Rerouted, policy: int, tally: Tally, number: int
    ) -> None:
        allocated, (least, most) = self._allocated[policy], self._bounds[policy]
        at = number, policy
        tally.worst[at], tally.link[at], place = _worst(loads, top, allocated, least, most)
        tally.tick[at] = self.ticks[place]
        # Nowhere else can a load be above its allocation.
        some = np.flatnonzero(top > least)
        if not len(some):
            return
        scratch = self._scratch
        carried = scratch.rows("carried", loads, some)
        excess = scratch.rows("excess", allocated, some)
        np.subtract(carried, excess, out=excess)
        np.maximum(excess, 0.0, out=excess)
        short = excess > 0
        count = short.sum(axis=1)
        tally.short[at][some] = count
        if not count.any():
            return
        tally.ticks[at] = np.count_nonzero(short.any(axis=0))
        ever = count.nonzero()[0]
        if len(ever) < len(some):
            carried, excess = (
                scratch.rows("carried short", carried, ever),
                scratch.rows("excess short", excess, ever),
            )
        tally.unserved[at] = unserved(self._flows, each, some[ever], carried, excess, scratch)

    def worst_cases(self, highest: Floats) -> tuple[list[tuple[Floats, Ints]], Floats]:
        """Return each link's greatest load over allocation by policy, and that over capacity.

        The former with the place of its tick, [links].
        """
        ratios = (utilization(highest, allocated) for allocated in self._allocated)
        worst = [(ratio.max(axis=1), ratio.argmax(axis=1)) for ratio in ratios]
        return worst, utilization(highest, self._capacity).max(axis=1)


def _worst(
    loads: Floats, top: Floats, allocated: Floats, least: Floats, most: Floats
) -> tuple[float, int, int]:
    """Return the greatest load over allocation, its link, and the place of its tick.

    That of a link is at most its highest load over its least allocation, and at least that over
    its greatest; so few links need a division at every tick.
    """
    some: Ints = np.flatnonzero(utilization(top, least) >= utilization(top, most).max())
    ratio = utilization(loads[some], allocated[some])
    row, place = divmod(int(ratio.argmax()), ratio.shape[1])
    return float(ratio[row, place]), int(some[row]), place


def utilization(loads: Floats, limits: Floats) -> Floats:
    """Return loads over limits: 0 where there is no load, infinite where nothing is allocated."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = loads / limits
    return np.where(loads > 0, ratio, 0.0)
