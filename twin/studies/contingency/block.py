"""Some ticks of a run, and what failures at them do to policies.

A block is small enough for the loads of all links, and the demand of all flows, to stay in the
processor's cache while failures pass over it. What is reduced over failures or over ticks is
reduced before any policy is looked at: a load does not depend on allocations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.engine.recording import LaneRecord, Recording


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


class Block(NamedTuple):
    """The network as it is at some ticks. Mbit/s, [links or flows, ticks]."""

    ticks: Ints
    flows: Floats
    loads: Floats
    capacity: Floats
    allocated: Floats
    """No more than the capacity, [policies, links, ticks]."""
    least: Floats
    """The least allocation of a link, [policies, links]."""
    most: Floats

    @classmethod
    def of(
        cls,
        recording: Recording,
        lanes: Sequence[LaneRecord],
        ticks: Ints,
        flows: Floats,
        loads: Floats,
    ) -> Block:
        """Return the block of some ticks of a run, and of what some policies had allocated."""
        stretches = recording.capacity
        since = np.array([first for first, _ in stretches])
        held = np.searchsorted(since, ticks, side="right") - 1
        capacity = np.stack([mbps for _, mbps in stretches])[held].T.copy()
        allocated = np.empty((len(lanes), *capacity.shape))
        for mine, lane in zip(allocated, lanes, strict=True):
            np.minimum(lane.allocated[ticks].T, capacity, out=mine)
        least, most = allocated.min(axis=2), allocated.max(axis=2)
        return cls(ticks, flows, loads, capacity, allocated, least, most)

    def worst_cases(self, highest: Floats) -> tuple[list[tuple[Floats, Ints]], Floats]:
        """Return each link's greatest load over allocation by policy, and that over capacity.

        The former with the place of its tick, [links].
        """
        ratios = (utilization(highest, allocated) for allocated in self.allocated)
        worst = [(ratio.max(axis=1), ratio.argmax(axis=1)) for ratio in ratios]
        return worst, utilization(highest, self.capacity).max(axis=1)


def utilization(loads: Floats, limits: Floats) -> Floats:
    """Return loads over limits: 0 where there is no load, infinite where nothing is allocated."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = loads / limits
    return np.where(loads > 0, ratio, 0.0)
