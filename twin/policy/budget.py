"""How many intervals of each link may still be short, and what that leaves for the coming one."""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.core.rounding import allowed

_RESERVE: Final = (1.0, 0.25)
"""Short intervals that are kept back, and at most this share of those allowed: the next one may
come whatever was aimed at."""
_CLUSTER: Final = 1.0
"""More of them for each doubling of the intervals that a decision is away from what is known when
it is taken: their shortfalls come in clusters, before anybody can know of the first."""
_MOST: Final = 3.0
"""The greatest share of short intervals that is aimed at, over the target: what is left at the end
of a period is no reason to be careless. Where outcomes are known late, no more than was planned at
its start is aimed at: a quiet weekend leaves much, which a Monday spends before anybody knows."""


class ErrorBudget:
    """The share of short intervals to aim at, so that a target is held in each period.

    Let L shortfalls be left, apart from those kept back, for R intervals whose outcome is not known
    yet. A margin that is exceeded with probability p costs c(p), and W(L, R) is the least that the
    rest of the period can cost:

        W(L, R) = min over p of c(p) + p W(L - 1, R - 1) + (1 - p) W(L, R - 1).

    Where errors have an exponential tail, c(p) = -ln p and the least is at
    p = 1 / (W(L - 1, R) - W(L, R)). With a high price on the first shortfall too many, p R hardly
    depends on R: L - 2/3 (1 + ln L) is within 0.2 of it for L from 1 on. That is less than the L
    that would all be spent on average: what is spent cannot be taken back, and what is left can be
    spent later (as with the seats of a flight: Gallego and van Ryzin 1994). For L < 1 the share is
    0: the margin is a little more than was ever needed.
    """

    def __init__(self, target: float, period: int, late: Ints) -> None:
        """Allow the share `target` of each `period` intervals to be short.

        `late` is how many intervals a decision's last one is after the coming one, [links].
        """
        links = len(late)
        self._late = late > 0
        self._clusters = _CLUSTER * np.log2(1.0 + late)
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
        to_come = self._period - self._closed % self._period
        budget = allowed(self._target, self._period - self._missing)
        most, part = _RESERVE
        planned = budget - np.minimum(most, part * budget) - self._clusters
        share = _spent_on_average(planned - self._spent) / to_come
        at_first = _spent_on_average(planned) / self._period
        greatest = np.where(self._late, at_first, _MOST * self._target)
        return np.asarray(np.minimum(share, greatest))


def _spent_on_average(left: Floats) -> Floats:
    """Return how many of the shortfalls `left` to aim at, the rest of the period on average."""
    some = np.maximum(left, 1.0)
    return np.where(left >= 1, some - (1 + np.log(some)) * 2 / 3, 0.0)
