"""Which intervals a decision covers: when it takes effect, and how long it will stay."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.core.rounding import steps_for, steps_within
from twin.core.sealed import sealed


class OrderUnderWay(NamedTuple):
    """A change that was ordered and has not taken effect yet."""

    at_s: float
    """When it takes effect, seconds from the start of the replay."""
    links: Ints
    """Columns of the links that it changes."""
    mbps: Floats
    """What it changes their allocation to, Mbit/s, one for each of `links`."""


class Commitment(NamedTuple):
    """The intervals that a decision taken now has to cover, per link; all arrays are [links].

    Intervals are counted from the coming one, which is 0. Where a lead time is drawn at random,
    `last` is the one after which a later decision is in force in 999 cases of 1,000.
    """

    first: Ints
    """The first interval in which it can be in force."""
    last: Ints
    """The last interval before the next decision can be in force."""
    open: Bools
    """Whether a request can become an order now; else a cooldown still runs."""
    ordered_mbps: Floats
    """What was ordered last, in force or under way, Mbit/s; 0 before the first decision."""
    hysteresis_up: Floats
    """A request above what was ordered by no more than this share is no order."""
    hysteresis_down: Floats
    """Nor is one below it by no more than this share."""
    lowest_mbps: Floats
    highest_mbps: Floats
    """Limits of an order, Mbit/s; `inf` where there is none."""
    step_mbps: Floats
    """Orders are whole numbers of it, rounded up, Mbit/s; 0: any value."""
    under_way: tuple[OrderUnderWay, ...] = ()
    """What takes effect later, in the order in which it was ordered."""

    @property
    def span(self) -> tuple[int, int]:
        """The first interval that a decision covers on any link, and how many there are."""
        first = int(self.first.min())
        return first, int(self.last.max()) - first + 1

    @property
    def covered(self) -> Bools:
        """Which intervals of the span a decision covers, [intervals, links]."""
        first, count = self.span
        ahead = first + np.arange(count)[:, None]
        covered: Bools = (ahead >= self.first) & (ahead <= self.last)
        return covered

    @classmethod
    @lru_cache(maxsize=16)
    def at_once(cls, links: int) -> Commitment:
        """Return that of links whose capacity changes at once: a decision covers one interval."""
        nothing = np.zeros(links, dtype=np.int64)
        zero, always = np.zeros(links), np.ones(links, dtype=np.bool_)
        unlimited = np.full(links, np.inf)
        return cls(nothing, nothing, always, zero, zero, zero, zero, unlimited, zero).sealed()

    def for_links(self, links: Ints) -> Commitment:
        """Return that of some links, which may come several times; of orders that are in force."""
        arrays = {name: getattr(self, name)[links] for name in self._fields[:-1]}
        return self._replace(**arrays, under_way=())

    def sealed(self) -> Commitment:
        """Return the same in arrays that nobody can write to, as policies are shown it."""
        arrays = {name: sealed(getattr(self, name)) for name in self._fields[:-1]}
        kept = tuple(
            OrderUnderWay(at_s, sealed(links), sealed(mbps)) for at_s, links, mbps in self.under_way
        )
        return self._replace(**arrays, under_way=kept)

    def granted(self, requested: Floats) -> Floats:
        """Return what a request leads to: a new order, or the one before, Mbit/s, [links]."""
        target = within(requested, self.lowest_mbps, self.highest_mbps, self.step_mbps)
        ordered = self.ordered_mbps
        changes = (target > ordered * (1 + self.hysteresis_up)) | (
            target < ordered * (1 - self.hysteresis_down)
        )
        return np.where(changes, target, ordered)


def within(requested: Floats, lowest: Floats, highest: Floats, step: Floats) -> Floats:
    """Return requests within limits and in whole steps, rounded up where they can be, [links]."""
    target = np.clip(requested, lowest, highest)
    stepped = step > 0
    if not stepped.any():
        return target
    size = np.where(stepped, step, 1.0)
    up = steps_for(target, size) * size
    fits = np.where(np.isinf(highest), np.inf, steps_within(highest, size) * size)
    return np.where(stepped, np.minimum(up, fits), target)
