"""What the SLA allows each link in each period, and what of that is used."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats, Ints
from twin.core.rounding import allowed


class BudgetUse(NamedTuple):
    """The error budget of each link in its tightest period, [links].

    That is the period in which the greatest share is violated; the first of several.
    """

    allowed: Ints
    """Violated intervals that the SLA allows."""
    used: Ints
    """Violated intervals."""
    burn: Floats
    """Their share over the target; NaN where nothing is known."""

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Whether the target is held in every period."""
        return np.asarray(self.used <= self.allowed)

    @property
    def tightest(self) -> int:
        """The link whose worst period is the worst of all."""
        return int(np.argmax(np.nan_to_num(self.burn, nan=-1.0)))


def by_period(counted: NDArray[np.bool_], period: int) -> Floats:
    """Return how many intervals of each period count, [links, periods], of [links, intervals].

    A period has `period` intervals, 0 for the whole replay. The first begins with the replay; the
    last may be cut off by its end, and is judged by the intervals that it has.
    """
    intervals = counted.shape[1]
    if not intervals:
        return np.zeros((len(counted), 1))
    starts = np.arange(0, intervals, period or intervals)
    return np.add.reduceat(counted, starts, axis=1, dtype=np.float64)


def budget_use(violated: Floats, known: Floats, target: float) -> BudgetUse:
    """Return what is used of the error budgets, from counts [links, periods]."""
    # A target of next to nothing is used up without bound, as one of nothing is.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        burn = np.where(violated > 0, violated / known / target, 0.0)
    burn = np.where(known > 0, burn, -1.0)
    worst = burn.argmax(axis=1)[:, None]
    most = np.take_along_axis(burn, worst, axis=1)[:, 0]
    return BudgetUse(
        allowed(target, np.take_along_axis(known, worst, axis=1)[:, 0]),
        np.take_along_axis(violated, worst, axis=1)[:, 0].astype(np.int64),
        np.where(most < 0, np.nan, most),
    )
