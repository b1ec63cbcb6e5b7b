"""How many intervals of each link may still be short, and what that leaves for the coming one."""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.core.rounding import allowed

_RESERVE: Final = 1.0
"""Short intervals that are kept back."""
_CLUSTER: Final = 1.25
"""More of them for each doubling of the intervals that a decision is away from what is known when
it is taken: their shortfalls come in clusters, before anybody can know of the first."""
_MOST: Final = 3.0
"""The greatest share of short intervals that is aimed at, over the target: what is left at the end
of a period is no reason to be careless. Where outcomes are known late, no more than was planned at
its start is aimed at: a quiet weekend leaves much, which a Monday spends before anybody knows."""


class ErrorBudget:
    """The share of short intervals to aim at, so that a target is held in each period.

    With B = floor(target x intervals of the period that are not missing) allowed to be short, V of
    them spent, and R intervals whose outcome is not known yet, it is (B - V - reserve) / R, between
    0 and a few times the target, or what it was at first. As the cost of a margin is convex in this
    share, an even one costs least (Jensen).
    """

    def __init__(self, target: float, period: int, late: Ints) -> None:
        """Allow the share `target` of each `period` intervals to be short.

        `late` is how many intervals a decision's last one is after the coming one, [links].
        """
        links = len(late)
        self._late = late > 0
        self._reserve = _RESERVE + _CLUSTER * np.log2(1.0 + late)
        self._target, self._period = target, period
        self._spent, self._missing = np.zeros((2, links))
        self._closed = 0

    def learn(self, short: Bools, known: Bools) -> None:
        """Take which links were short in the next interval, and where that is known, [links].

        An interval without a sample is none of those that the target is a share of.
        """
        self._spent = self._spent + short
        self._missing = self._missing + ~known
        self._closed += 1
        if self._closed % self._period == 0:
            self._spent, self._missing = np.zeros((2, len(short)))

    def share(self) -> Floats:
        """Return the share of short intervals to aim at, [links]."""
        left = self._period - self._closed % self._period
        budget = allowed(self._target, self._period - self._missing)
        share = (budget - self._spent - self._reserve) / left
        planned = np.maximum(budget - self._reserve, 0.0) / self._period
        most = np.where(self._late, planned, _MOST * self._target)
        return np.asarray(np.clip(share, 0.0, most))
