"""How much of what a single replay shows may be chance: intervals for shares and differences.

Violations come in clusters, and links that share an hour share its surprises, so that neither
intervals nor links are independent. The replay is cut into B stretches of equal length, longer
than such a cluster, and only these count as independent: batch means. Between 10 and 30 of them
suffice (Schmeiser 1982), whatever the length of the replay. All links of a stretch stay together.

For a ratio r = sum x / sum n of what stretches come to, the residuals e_b = x_b - r n_b add up to
0, and the linearised variance is

    var r = B / (B - 1) x sum e_b^2 / (sum n)^2.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.account.prices import PricesSpec, priced
from twin.core.arrays import Bools, Floats, Ints

STRETCHES: Final = 20
"""Stretches of a replay, where it has as many intervals."""
CONFIDENCE: Final = 0.95


class Difference(NamedTuple):
    """A difference between two policies that met the same demand."""

    mean: float
    half_width: float
    """Half of the 95 % interval; NaN where the replay is too short for one."""

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out 0."""
        return abs(self.mean) > self.half_width


def stretches(intervals: int) -> Ints:
    """Return the first interval of each stretch of a replay."""
    count = max(min(STRETCHES, intervals), 1)
    return np.arange(count) * intervals // count


class MeasuredRows(NamedTuple):
    """All intervals of some links under one policy, [links, intervals]."""

    demand: Floats
    """Mbit/s; NaN where missing."""
    allocated: Floats
    """Mbit/s"""
    over_provisioning: Floats
    """Mbit/s"""
    unmet: Floats
    """Mbit/s"""
    violation_s: Floats


class StretchSums:
    """What one policy comes to in each stretch, added up a few links at a time."""

    def __init__(self, *, priced: bool) -> None:
        """Keep what prices are paid for as well where it is `priced`."""
        self._priced = priced
        self._of_links: list[Floats] = []
        self._pooled: Floats = np.zeros((2, 1))
        self._paid: list[Floats] = []

    def add(self, rows: MeasuredRows) -> None:
        """Add some links."""
        known = ~np.isnan(rows.demand)
        starts = stretches(known.shape[1])
        violated = rows.violation_s > 0
        self._of_links.append(np.stack([_sums(violated, starts), _sums(known, starts)]))
        pooled = [
            _known_sums(each, known, starts) for each in (rows.demand, rows.over_provisioning)
        ]
        self._pooled = self._pooled + np.stack([each.sum(axis=0) for each in pooled])
        if self._priced:
            paid = [
                _known_sums(each, known, starts)
                for each in (rows.allocated, rows.unmet, rows.violation_s)
            ]
            changes = np.broadcast_to(_changed(rows.allocated), known.shape)
            self._paid.append(np.stack([*paid, _sums(changes, starts)]))

    @property
    def by_link(self) -> tuple[Floats, Floats]:
        """Violated and known intervals, [links, stretches] each."""
        both: Floats = np.concatenate(self._of_links, axis=1)
        return both[0], both[1]

    @property
    def pooled(self) -> tuple[Floats, Floats]:
        """Violated and known link-intervals, [stretches] each."""
        violated, known = self.by_link
        return np.asarray(violated.sum(axis=0)), np.asarray(known.sum(axis=0))

    @property
    def demand(self) -> Floats:
        """Sum of the demand of all links, Mbit/s, [stretches]."""
        demand: Floats = self._pooled[0]
        return demand

    @property
    def over_provisioning(self) -> Floats:
        """Sum of the over-provisioning of all links, Mbit/s, [stretches]."""
        over: Floats = self._pooled[1]
        return over

    def cost(self, prices: PricesSpec, change_cost: Floats, tick_s: int) -> Floats:
        """Return what all links cost, [stretches]; `change_cost` is of an order, [links]."""
        allocated, unmet, violation_s, changes = np.concatenate(self._paid, axis=1)
        cost: Floats = priced(prices, allocated, violation_s, unmet, tick_s)
        cost = cost + change_cost[:, None] * changes
        return np.asarray(cost.sum(axis=0))


def _changed(allocated: Floats) -> Floats:
    steps = np.diff(allocated, axis=1, prepend=allocated[:, :1])
    return np.asarray(steps != 0, dtype=np.float64)


def _known_sums(values: Floats, known: Bools, starts: Ints) -> Floats:
    values = np.broadcast_to(values, known.shape)
    return _sums(values if known.all() else np.where(known, values, 0.0), starts)


def _sums(values: NDArray[Any], starts: Ints) -> Floats:
    return np.asarray(np.add.reduceat(values, starts, axis=1, dtype=np.float64))


def share_interval(hits: Floats, known: Floats) -> tuple[Floats, Floats]:
    """Return the ends of the 95 % interval of a share, from sums over stretches, [..., stretches].

    `known` intervals of which `hits` count. Clopper and Pearson's binomial interval for the
    effective number of independent intervals (Korn and Graubard 1998): with the share p and its
    variance as above, a binomial share would have that variance for p (1 - p) / var p intervals,
    at most all there are. The variance is itself an estimate from B stretches, so that number is
    multiplied by (t(inf) / t(B - 1))^2. It holds the share in 19 of 20 replays that have a dozen
    clusters or more, and in fewer of those that have only some, which no replay can tell of itself:
    with none at all there is nothing to see, and every interval counts as independent. NaN where
    nothing is known.
    """
    total, stretched = known.sum(axis=-1), (known > 0).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = hits.sum(axis=-1) / total
        residual = hits - share[..., None] * known
        free = stretched - 1.0
        variance = stretched / free * (residual**2).sum(axis=-1) / total**2
        effective = share * (1 - share) / variance * (_student(np.inf) / _student(free)) ** 2
        effective = np.where((variance > 0) & (free > 0), effective, np.inf)
    return _clopper_pearson(share, np.minimum(effective, total))


def difference(apart: Floats, known: Floats) -> Difference:
    """Return sum apart / sum known with Student's 95 % interval, from sums over stretches.

    `apart` is what one policy has more of than another in each stretch, [stretches].
    """
    used = known > 0
    apart, known = apart[used], known[used]
    count, total = len(known), float(known.sum())
    if not total:
        return Difference(np.nan, np.nan)
    ratio = float(apart.sum()) / total
    if count < 2:
        return Difference(ratio, np.nan)
    squares = float(((apart - ratio * known) ** 2).sum())
    spread = np.sqrt(count / (count - 1) * squares) / total
    return Difference(ratio, float(_student(np.float64(count - 1)) * spread))


def _student(freedom: Floats | float) -> Floats:
    # scipy.stats has it too, and takes a second to import.
    from scipy.special import ndtri, stdtrit

    tail = (1 + CONFIDENCE) / 2
    freedom = np.asarray(freedom, dtype=np.float64)
    finite = np.where(np.isfinite(freedom) & (freedom > 0), freedom, 1.0)
    quantile = np.where(freedom > 0, stdtrit(finite, tail), np.nan)
    return np.asarray(np.where(np.isinf(freedom), ndtri(tail), quantile))


def _clopper_pearson(share: Floats, count: Floats) -> tuple[Floats, Floats]:
    """Return the ends of the interval of a binomial share of `count`, which need not be whole."""
    from scipy.special import betaincinv

    hits, tail = share * count, (1 - CONFIDENCE) / 2
    none, every = hits <= 0, hits >= count
    low = betaincinv(np.where(none, 1.0, hits), count - hits + 1, tail)
    high = betaincinv(hits + 1, np.where(every, 1.0, count - hits), 1 - tail)
    known = count > 0
    low, high = np.where(none, 0.0, low), np.where(every, 1.0, high)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)
