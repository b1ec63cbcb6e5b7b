"""Linear forecasts of the next change, fitted per link on its past and again as it goes on.

Nothing here is reduced in an order that depends on how many links are fitted at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from twin.core.arrays import Bools, Floats
from twin.core.tail import Tail
from twin.forecast.season import Profiles

AHEAD: Final = 9
"""The profile of a season is read this far ahead of what was seen."""
_LAGS: Final = 12
"""Past changes that a forecast is made from."""
_PROFILE_LAGS: Final = 24
"""Changes of a season's profile that a forecast is made from: AHEAD to come, the others past."""
_REFIT: Final = 288
"""Samples between two fits; fewer where the history is short."""
_SEEN: Final = 16_384
"""The fits read at most this much of the end of the history, and what follows."""
_TRIED: Final = 8
"""Fits in the history whose forecasts are compared with what came, to choose among them."""
_KEPT: Final = 0.8
"""Weight of a comparison relative to the next one."""
_ANSWERED: Final = 640
"""Forecasts that are kept: more than the samples that are taken at a time."""
_FEW: Final = 2_048
"""Up to this many forecasts are made at once rather than one lag after another."""
_LINKS_AT_ONCE: Final = 64


class Origin(NamedTuple):
    """Where fitting begins, in samples."""

    links: int
    first: int
    """The first sample that is learnt from; the others below are counted from it."""
    cut: int
    """The first cut."""
    every: int
    """From cut to cut."""
    served: int
    """Forecasts are made from this cut on, which is early enough to choose among them."""

    @classmethod
    def of(cls, links: int, history: int, since: int) -> Origin:
        """Return where to begin, so that forecasts can be asked for from sample `since` on."""
        first = max(0, history - _SEEN)
        history, since = history - first, max(since - first, 0)
        every = min(max(history // _TRIED, 2 * _LAGS), _REFIT)
        cut = history % every or every
        # The last cut before the samples that hold `since`; 0: before the first one.
        served = 0 if since < every else cut + max((since - cut) // every, 0) * every
        return cls(links, first, cut, every, max(served - (_TRIED - 1) * every, 1))


class Reference:
    """Forecasts of the change to the next sample, made and fitted as samples close.

    Per link the forecast is 0 (the last value stays), one from past changes, or one from these and
    the seasons, whichever erred least of late. Changes x are in units of the link's scale. With the
    series s_j and the lag l_j of each weight, x(t) is forecast as sum_j w_j s_j(t - 1 - l_j). The
    weights solve the Yule-Walker equations of several series, which minimise the mean squared error
    (Box, Jenkins and Reinsel, Time Series Analysis): with r_ab(k) the mean of a(t) b(t - k),

        sum_j r_ij(l_j - l_i) w_j + ridge w_i = r_xi(l_i + 1) for every i.

    The ridge adds ridge |w|^2 to what is minimised. As r is summed over all pairs since the first
    sample, with 0 before it, the matrix has no negative eigenvalue (but for what is revised later),
    and with the ridge an inverse. The equations are solved anew at each *cut*, some samples apart.
    """

    def __init__(
        self, features: int, profiles: Sequence[Profiles], ridge: float, origin: Origin
    ) -> None:
        """Forecast the first of `features` series of changes, with the profiles of its seasons."""
        self._ridge = ridge
        self._profiles = profiles
        self._links = origin.links
        self._first = origin.first
        self._every = origin.every
        self._served = origin.served
        self._lags = [_LAGS] * features + [_PROFILE_LAGS] * len(profiles)
        self._past = sum(lag for lag in self._lags if lag == _LAGS)
        longest, count = max(self._lags), len(self._lags)
        # Before the first sample nothing changed.
        self._series = [Tail(self._links, longest + self._every, -longest) for _ in self._lags]
        for series in self._series:
            series.append(np.zeros((longest, self._links)))
        self._known = Tail(self._links, longest + self._every, dtype=np.bool_)
        self._cut, self._next_cut = 0, origin.cut
        # Sums of a(t) b(t - k), [k, links, a, b].
        self._products = np.zeros((longest + 1, self._links, count, count))
        self._weights = np.zeros((2, sum(self._lags), self._links))
        self._errors = np.zeros((3, self._links))
        self._best = np.zeros(self._links, dtype=np.int64)
        self._forecasts = np.zeros((3, self._every, self._links))
        self._answered = 0
        self._answers = Tail(self._links, _ANSWERED)

    @property
    def _closed(self) -> int:
        return self._series[0].stop

    def extend(self, changes: Sequence[Floats], known: Bools, history: Tail) -> Floats:
        """Take the changes of samples that have closed, [samples, links] for each feature.

        `known` says where the first feature was known; `history` are all changes of the first
        feature, these included. Returns the changes that are usual by the profiles, [seasons,
        samples, links].
        """
        stop = history.stop
        first = stop - len(known)
        usual = np.zeros((len(self._profiles), len(known), self._links))
        for season, profile in zip(usual, self._profiles, strict=True):
            season[:] = profile.read(history, first, stop)
        for series, rows in zip(self._series, (*changes, *usual), strict=True):
            # Nothing is learnt from samples before the first.
            series.append(rows[max(self._first - first, 0) :])
        self._known.append(known[max(self._first - first, 0) :])
        while self._next_cut <= self._closed:
            self._answer(self._next_cut)
            self._learn(self._next_cut)
        return usual

    def revise(self, feature: int, first: int, link: int, changes: Floats, *, known: bool) -> None:
        """Replace changes of a link from sample `first` on, as far as they are remembered.

        `known`: samples that were missing are known now.
        """
        # What is revised now was not known to the forecasts of the samples that have closed.
        self._answer(self._closed)
        first -= self._first
        self._series[feature].replace(first, link, changes)
        if feature == 0 and known:
            self._known.replace(first, link, np.ones(len(changes), dtype=np.bool_))

    def changes(self, start: int, stop: int) -> Floats:
        """Return the forecast of the change to each of samples start <= i < stop, [samples, links].

        `stop` is at most one more than the samples that have closed.
        """
        start, stop = start - self._first, stop - self._first
        self._answer(stop)
        answers: Floats = self._answers.rows(start, stop)
        return answers

    def _answer(self, stop: int) -> None:
        """Make the forecasts of the samples before `stop` that have none yet."""
        start = self._answered
        if stop <= start:
            return
        self._answered = stop
        if self._cut < self._served:
            self._answers.append(np.zeros((stop - start, self._links)))
            return
        forecasts = self._forecasts[:, start - self._cut : stop - self._cut]
        forecasts[0] = 0
        # [2, links, samples]
        few = (stop - start) * self._links <= _FEW
        total = self._sum_at_once(start, stop) if few else self._sum(start, stop)
        forecasts[1:] = total.swapaxes(1, 2)
        chosen = np.take_along_axis(forecasts, self._best[None, None, :], axis=0)[0]
        self._answers.append(chosen)

    def _sum(self, start: int, stop: int) -> Floats:
        """Return the weighted sums of past changes, [2, links, samples], one lag after another."""
        total = np.zeros((2, self._links, stop - start))
        # Laid out along the longer of the last two axes.
        total = total if stop - start > self._links else total.swapaxes(1, 2).copy().swapaxes(1, 2)
        for place, (series, lag) in enumerate(_places(self._lags)):
            lagged = self._series[series].rows(start - 1 - lag, stop - 1 - lag)
            total += self._weights[:, place, :, None] * lagged.T
        return total

    def _sum_at_once(self, start: int, stop: int) -> Floats:
        """Return the same, bit by bit, with less to do for each lag and more memory."""
        lagged = [
            # [lags, links, samples], the latest change first.
            sliding_window_view(series.rows(start - lags, stop - 1), stop - start, axis=0)[::-1]
            for series, lags in zip(self._series, self._lags, strict=True)
        ]
        # Over the first axis numpy adds one row after another, as the loop does. To begin with 0
        # makes no difference but to the sign of a 0.
        products = self._weights.swapaxes(0, 1)[..., None] * np.concatenate(lagged)[:, None]
        return np.asarray(0.0 + np.add.reduce(products, axis=0))

    def _learn(self, cut: int) -> None:
        """Fit again on all samples before `cut`."""
        start, stop = self._cut, cut
        longest = max(self._lags)
        weights = np.zeros_like(self._weights)
        for link in range(0, self._links, _LINKS_AT_ONCE):
            some = slice(link, link + _LINKS_AT_ONCE)
            # Each link's samples lie together, whatever others there are: BLAS rounds by layout.
            shape = (
                len(range(*some.indices(self._links))),
                len(self._lags),
                longest + stop - start,
            )
            past = np.empty(shape)
            for place, series in enumerate(self._series):
                past[:, place] = series.rows(start - longest, stop)[:, some].T
            if start >= self._served:
                served = self._forecasts[:, : stop - start, some].transpose(0, 2, 1)
                known = np.ascontiguousarray(self._known.rows(start, stop)[:, some].T)
                # Of each of the three: E <- _KEPT E + sum of |forecast - x| since the last cut.
                apart = np.abs(np.ascontiguousarray(served) - past[:, 0, longest:]) * known
                self._errors[:, some] = _KEPT * self._errors[:, some] + apart.sum(axis=-1)
            now = past[:, :, longest:]
            for lag in range(longest + 1):
                then = past[:, :, longest - lag : past.shape[2] - lag]
                self._products[lag, some] += now @ then.swapaxes(1, 2)
            if stop >= self._served:
                weights[:, :, some] = self._solution(self._products[:, some] / stop)
        self._weights = weights
        # Ties go to the simpler forecast.
        self._best = self._errors.argmin(axis=0)
        self._cut, self._next_cut = cut, cut + self._every

    def _solution(self, products: Floats) -> Floats:
        """Return the weights of past changes alone, and of all, [2, places, links]."""
        matrix, right = _equations(products, self._lags, self._ridge)
        weights = np.zeros((2, *right.shape))
        past = self._past
        weights[0, :, :past] = _solved(matrix[:, :past, :past], right[:, :past])
        weights[1] = _solved(matrix, right) if past < right.shape[1] else weights[0]
        return weights.swapaxes(1, 2)


def _equations(products: Floats, lags: Sequence[int], ridge: float) -> tuple[Floats, Floats]:
    """Return the Yule-Walker equations of each link: [links, n, n] and [links, n].

    `products` are means r_ab(k), [k, links, a, b]. Only k >= 0 is kept: r_ab(-k) = r_ba(k).
    """
    series, lag = np.array(_places(lags)).T
    apart = lag[None, :] - lag[:, None]
    later = np.where(apart >= 0, series[:, None], series[None, :])
    earlier = np.where(apart >= 0, series[None, :], series[:, None])
    matrix = products[np.abs(apart), :, later, earlier].transpose(2, 0, 1)
    right = products[lag + 1, :, 0, series].T
    return matrix + ridge * np.eye(len(series)), right


def _places(lags: Sequence[int]) -> list[tuple[int, int]]:
    """Return the series and the lag of each weight."""
    return [(series, lag) for series, count in enumerate(lags) for lag in range(count)]


def _solved(matrix: Floats, right: Floats) -> Floats:
    return np.asarray(np.linalg.solve(matrix, right[..., None])[..., 0])
