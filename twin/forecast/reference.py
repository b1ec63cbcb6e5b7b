"""Linear forecasts of the change from the last value, fitted per link and horizon as it goes on.

Nothing here is reduced in an order that depends on how many links are fitted at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from twin.core.arrays import Floats, Ints, of_columns
from twin.core.weights import trust
from twin.forecast.horizon import between
from twin.forecast.signals import LinkGroup, Signals

_REFIT: Final = 288
"""Samples between two fits; fewer where the history is short."""
_SEEN: Final = 16_384
"""The fits read at most this much of the end of the history, and what follows."""
_TRIED: Final = 16
"""Fits in the history whose forecasts are compared with what came, to choose among them."""
_JUDGED: Final = 6
"""Comparisons from fit to fit: a link that breaks with its habits is soon forecast by its last
value."""
_KEPT: Final = 0.92
"""Weight of a comparison relative to the next one."""
_HALF_LIFE: Final = 4_032
"""Samples after which what was learnt counts half: two weeks of 5 minutes."""
_RIDGE: Final = 0.01
"""Added to the diagonal of the normal equations, as a share of it."""
_OUTLIER: Final = 8.0
"""What is read, and what it should have told, is limited to this many of its mean sizes."""
_ANSWERED: Final = 640
"""Samples back to which forecasts can be asked for at most: more than are taken at a time."""


class Origin(NamedTuple):
    """Where fitting begins, in samples."""

    first: int
    """The first sample that is learnt from."""
    cut: int
    """The first cut: the samples before it are fitted on."""
    every: int
    """From cut to cut."""
    served: int
    """Forecasts are made from this cut on, which is early enough to choose among them."""

    @classmethod
    def of(cls, history: int, since: int) -> Origin:
        """Return where to begin, so that forecasts can be asked for from sample `since` on."""
        first = max(0, history - _SEEN)
        length, since = history - first, max(since - first, 0)
        every = min(max(length // _TRIED, 24), _REFIT) // _JUDGED * _JUDGED
        cut = length % every or every
        # The last cut before the samples that hold `since`; 0: before the first one.
        served = 0 if since < every else cut + max((since - cut) // every, 0) * every
        return cls(first, first + cut, every, first + max(served - (_TRIED - 1) * every, 1))


class Fit(NamedTuple):
    """What was fitted at a cut, in force until the next one; arrays end with links."""

    cut: int
    weights: Floats
    """[numbers read, links], of the kinds of forecasts as they are trusted."""
    limits: Floats
    """[numbers read, links]"""
    error: Floats
    """Mean absolute error of late, in units of the link's scale, [links]; 0 before any."""

    def __deepcopy__(self, memo: dict[int, object]) -> Fit:
        # Nothing here ever changes.
        return self


class Reference:
    """Forecasts of the change over some steps, made and fitted as samples close.

    For each of a few horizons there are three kinds of forecasts: 0 (the last value stays), one
    from past changes, and one from these and the seasons. Each link trusts them by what they erred
    of late (:func:`twin.core.weights.trust`), so that a link that jumps falls back to its last
    value. Between two horizons that are fitted, the weights are
    interpolated, and multiply the seasons' changes up to the horizon that is asked for.
    """

    def __init__(
        self, signals: Signals, scale: Floats, origin: Origin, steps: Sequence[int]
    ) -> None:
        """Fit forecasts for each of `steps` ahead, rising; `scale` is each link's unit, [links]."""
        self._signals, self._scale = signals, scale
        self._anchors = tuple(steps)
        self._fitted = [_Horizon(signals, scale, origin, steps) for steps in self._anchors]
        self._step, self._next = origin.every // _JUDGED, origin.cut
        self._taken = 0

    def for_links(self, signals: Signals, links: Ints) -> Reference:
        """Return one that goes on from here for some links, whose `signals` are given."""
        some = of_columns(self, links)
        some._signals = signals
        some._fitted = [each.for_links(signals, links) for each in self._fitted]
        return some

    def forget(self, sample: int) -> None:
        """Forget what no forecast from `sample` on is made with: none before is asked for."""
        for horizon in self._fitted:
            horizon.forget(sample)

    def catch_up(self) -> None:
        """Learn, and fit again, where enough samples have closed."""
        while self._next <= self._signals.closed:
            for horizon in self._fitted:
                horizon.learn(self._next, fit=self._taken % _JUDGED == 0)
            self._next += self._step
            self._taken += 1

    def changes(self, start: int, stop: int, steps: int = 1) -> Floats:
        """Return forecasts of the change from sample i - 1 to i - 1 + steps, start <= i < stop.

        In units of each link's scale, [samples, links]. `stop` is at most one more than the samples
        that have closed. Raises IndexError for samples that are forgotten.
        """
        total = np.zeros((stop - start, len(self._scale)))
        for first, last, fit in self._fits(start, stop, steps):
            if not fit.weights.any():
                continue
            for group in self._signals.link_groups:
                links = group.links
                read = self._signals.read(group, first - 1, last - 1, steps, self._scale[links])
                limit = fit.limits[: group.numbers, links, None]
                products = np.clip(read, -limit, limit, out=read)
                products *= fit.weights[: group.numbers, links, None]
                total[first - start : last - start, links] = _added(products).T
        return total

    def error(self, start: int, stop: int, steps: int = 1) -> Floats:
        """Return the mean absolute error of late of the same forecasts, [samples, links]."""
        error = np.zeros((stop - start, len(self._scale)))
        for first, last, fit in self._fits(start, stop, steps):
            error[first - start : last - start] = fit.error
        return error

    def _fits(self, start: int, stop: int, steps: int) -> list[tuple[int, int, Fit]]:
        """Return what is in force for each stretch of samples in [start, stop)."""
        left, right, share = between(steps, self._anchors)
        near, far = self._fitted[left].fits, self._fitted[right].fits
        if start < near[0].cut:
            raise IndexError(f"forecasts from {start} on are forgotten up to {near[0].cut}")
        stretches = []
        # All horizons are fitted at the same cuts.
        for place in range(bisect_right(near, start, key=_cut) - 1, len(near)):
            first = max(near[place].cut, start)
            if first >= stop:
                break
            last = min(near[place + 1].cut, stop) if place + 1 < len(near) else stop
            if first < last:
                stretches.append((first, last, _mixed(near[place], far[place], share)))
        return stretches


def _cut(fit: Fit) -> int:
    return fit.cut


def _mixed(low: Fit, high: Fit, share: float) -> Fit:
    if share == 0:
        return low
    parts = zip(low[1:], high[1:], strict=True)
    return Fit(low.cut, *((1 - share) * one + share * other for one, other in parts))


def _added(products: Floats) -> Floats:
    """Return the sum over the first axis of [numbers, links, samples], one after another.

    numpy adds a single column pairwise, so that it would depend on how many there are.
    """
    if products[0].size > 1:
        return np.asarray(np.add.reduce(products, axis=0))
    return np.asarray(np.cumsum(products, axis=0)[-1])


class _Horizon:
    """The weights of the forecasts some steps ahead, learnt as samples close.

    With z(o) the numbers that are read at o and x(o) the change from o to o + steps, the weights w
    minimise

        sum over o of 0.5^((cut - o) / half-life) (x(o) - w z(o))^2 + ridge |w|^2,

    the ridge in proportion to the square of each number (Hoerl and Kennard 1970). Both z and x are
    limited, so that a jump does not outweigh all else.
    """

    def __init__(self, signals: Signals, scale: Floats, origin: Origin, steps: int) -> None:
        self._signals, self._scale, self._steps = signals, scale, steps
        self._origin = origin
        links, count = len(scale), signals.count
        self._learnt = origin.first
        self._normal = [_NormalEquations(group) for group in signals.link_groups]
        # Sums of absolute values, for the limits: of what is read, and of the changes.
        self._sizes, self._total = np.zeros((count + 1, links)), np.zeros(links)
        self._errors = np.zeros((3, links))
        self._count = np.zeros(links)
        self._weights = np.zeros((2, count, links))
        self._serving = False
        nothing = np.zeros((count, links))
        self._asked = 0
        self.fits = [Fit(0, nothing, nothing, np.zeros(links))]

    def for_links(self, signals: Signals, links: Ints) -> _Horizon:
        """Return one that goes on from here for some links, whose `signals` are given."""
        some = of_columns(self, links)
        some._signals = signals
        group, row = np.zeros((2, len(self._scale)), dtype=np.int64)
        for number, one in enumerate(self._signals.link_groups):
            group[one.links], row[one.links] = number, np.arange(one.size)
        some._normal = [
            _NormalEquations.of(one, self._normal, group[links[one.links]], row[links[one.links]])
            for one in signals.link_groups
        ]
        cut, *fitted = self.fits[-1]
        some.fits = [Fit(cut, *(each[..., links] for each in fitted))]
        return some

    def learn(self, cut: int, *, fit: bool) -> None:
        """Learn from the changes that are known once the samples before `cut` have closed.

        Compares the forecasts that were made with them, and may `fit` again.
        """
        start, stop = self._learnt, cut - self._steps
        if stop > start:
            decay = 0.5 ** ((stop - start) / _HALF_LIFE)
            for group, normal in zip(self._signals.link_groups, self._normal, strict=True):
                self._learn_some(group, normal, start, stop, decay)
            self._learnt = stop
        if fit and cut >= self._origin.served and stop > self._origin.first:
            weights = np.zeros_like(self._weights)
            self._serving = True
            for group, normal in zip(self._signals.link_groups, self._normal, strict=True):
                weights[:, : group.numbers, group.links] = normal.solution(self._signals.past)
            self._weights = weights
        self._enact(cut)

    def _learn_some(
        self, group: LinkGroup, normal: _NormalEquations, start: int, stop: int, decay: float
    ) -> None:
        links, signals = group.links, self._signals
        read = signals.read(group, start, stop, self._steps, self._scale[links])
        values = signals.values.rows(start, stop + self._steps)[:, links]
        ahead = slice(self._steps, None)
        unit = np.where(self._scale[links] > 0, self._scale[links], 1.0)[:, None]
        known = np.ascontiguousarray(signals.known.rows(start, stop + self._steps)[ahead, links].T)
        change = np.ascontiguousarray((values[ahead] - values[: -self._steps]).T) / unit
        # A sample that was not known is as if nothing had been read or had happened.
        if not known.all():
            read *= known
            change *= known
        count, used = known.sum(axis=-1), slice(group.numbers)
        self._total[links] += count
        self._sizes[used, links] += np.abs(read).sum(axis=-1)
        self._sizes[-1, links] += np.abs(change).sum(axis=-1)
        limit = self._limits(links)[..., None]
        np.clip(read, -limit[used], limit[used], out=read)
        if self._serving:
            self._judge(group, read, change, count)
        limited = np.clip(change, -limit[-1], limit[-1])
        normal.add(np.ascontiguousarray(read.swapaxes(0, 1)), limited, decay)

    def _judge(self, group: LinkGroup, read: Floats, change: Floats, count: Ints) -> None:
        """Take how much each kind of forecast erred with the weights in force.

        `count` are the samples that were known, [links].
        """
        links, past = group.links, self._signals.past
        weights = self._weights[:, : group.numbers, links, None]
        forecasts = np.zeros((3, *change.shape))
        forecasts[1] = _added(weights[0, :past] * read[:past])
        forecasts[2] = _added(weights[1] * read)
        erred = np.abs(change - forecasts).sum(axis=-1)
        self._errors[:, links] = _KEPT * self._errors[:, links] + erred
        self._count[links] = _KEPT * self._count[links] + count

    def _limits(self, links: slice | Ints = slice(None)) -> Floats:
        """Return what each number that is read, and the change, is limited to, [numbers, links]."""
        return np.asarray(_OUTLIER * self._sizes[:, links] / np.maximum(self._total[links], 1))

    def _enact(self, cut: int) -> None:
        """Put what was fitted and how it is trusted into force from `cut` on."""
        shares = trust(self._errors)
        weights = shares[1] * self._weights[0] + shares[2] * self._weights[1]
        error = (shares * self._errors).sum(axis=0) / np.maximum(self._count, 1)
        fit = Fit(cut, weights, self._limits()[:-1], error)
        self.fits.append(fit)
        self.forget(max(self._asked, cut - _ANSWERED + 1))

    def forget(self, sample: int) -> None:
        """Forget fits that are not in force from `sample` on."""
        self._asked = sample
        self.fits = self.fits[max(bisect_right(self.fits, sample, key=_cut) - 1, 0) :]


class _NormalEquations:
    """What the weights of a group of links are fitted by: sums over what was read.

    The products of the numbers that are read are symmetric: each pair is kept once.
    """

    def __init__(self, group: LinkGroup) -> None:
        numbers = group.numbers
        self._numbers = numbers
        self._products = np.zeros((group.size, numbers * (numbers + 1) // 2))
        """Of each pair of numbers, [links, pairs]."""
        self._right = np.zeros((group.size, numbers))

    @classmethod
    def of(
        cls, group: LinkGroup, parts: Sequence[_NormalEquations], part: Ints, row: Ints
    ) -> _NormalEquations:
        """Return those of a group whose links are each in a `part` and `row` of others."""
        own = cls(group)
        for number in np.unique(part).tolist():
            here, other = part == number, parts[number]
            own._products[here] = other._products[row[here]]
            own._right[here] = other._right[row[here]]
        return own

    def add(self, read: Floats, change: Floats, decay: float) -> None:
        """Take what was `read`, [links, numbers, samples], and the `change` that it should tell.

        [links, samples]; what was taken before counts `decay` as much.
        """
        square = (read @ read.swapaxes(1, 2)).reshape(len(read), -1)
        self._products *= decay
        self._products += square.take(_pairs(self._numbers), axis=1)
        self._right *= decay
        self._right += (read @ change[..., None])[..., 0]

    def solution(self, past: int) -> Floats:
        """Return the weights of the `past` changes alone, and of all, [2, numbers, links]."""
        links, used = self._right.shape
        square = self._products.take(_places(used), axis=1).reshape(links, used, used)
        diagonal = np.einsum("lii->li", square)
        # A number that never differed from 0 gets no weight.
        extra = _RIDGE * diagonal + 1e-6 * diagonal.sum(axis=1, keepdims=True) / used
        extra = np.where(extra > 0, extra, 1.0)
        square = square + extra[:, :, None] * np.eye(used)
        weights = np.zeros((2, used, links))
        weights[0, :past] = _solved(square[:, :past, :past], self._right[:, :past]).T
        weights[1] = weights[0] if used == past else _solved(square, self._right).T
        return weights


@lru_cache(maxsize=16)
def _pairs(numbers: int) -> Ints:
    """Return where in a square each pair of numbers is, row by row, [pairs]."""
    return np.flatnonzero(np.tri(numbers).ravel())


@lru_cache(maxsize=16)
def _places(numbers: int) -> Ints:
    """Return which pair each place of a square is, [numbers x numbers]."""
    pair = np.zeros((numbers, numbers), dtype=np.int64)
    pair[np.tril_indices(numbers)] = np.arange(numbers * (numbers + 1) // 2)
    return np.maximum(pair, pair.T).ravel()


def _solved(matrix: Floats, right: Floats) -> Floats:
    return np.asarray(np.linalg.solve(matrix, right[..., None])[..., 0])
