"""Which intervals a decision covers: when it takes effect, and how long it will stay."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from twin.core.arrays import Bools, Floats, Ints


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
    def at_once(cls, links: int) -> Commitment:
        """Return that of links whose capacity changes at once: a decision covers one interval."""
        nothing = np.zeros(links, dtype=np.int64)
        zero = np.zeros(links)
        return cls(nothing, nothing, np.ones(links, dtype=np.bool_), zero, zero)
