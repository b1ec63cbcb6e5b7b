"""Seasons of links: how long they last.

Nothing is assumed about the tick: a season is found in the history of each link, or is not there.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.arrays import Floats, Ints

SEASONS: Final = 2
"""At most this many for each link: a day and a week of seven, for example."""
_SEEN: Final = 2.5
"""A season is looked for only if it fits this often into the history."""
_SHORTEST: Final = 20
"""Samples in the shortest season."""
_MULTIPLES: Final = 10
"""First seasons in the longest second one."""
_SEARCHED: Final = 32_768
"""The search reads at most this much of the end of the history."""
_PROMINENT: Final = 0.2
"""How far the level's autocorrelation after a season is above the least within it."""
_NEARER: Final = 1.15
"""How much nearer the level has to be after a second season than after its neighbours: walks
around one season seem to have a second one, by chance, in one case of ten."""
_SMOOTHED: Final = 13
"""Samples over which levels are averaged to be compared."""
_KERNEL: Final = np.array([1, 2, 3, 2, 1]) / 9


def periods(values: Floats, changes: Floats) -> Ints:
    """Return the samples in the seasons of each link, [SEASONS, links]; 0 for none.

    `values` are the history without gaps, [samples, links]; `changes` their differences, scaled and
    limited, one less. The first season is the shortest after which the level repeats and its
    changes repeat nearly best. The second is a multiple of the first after which they repeat better
    than after its neighbours (the seventh day, say), or after which the level is nearer.
    """
    values, changes = values[-_SEARCHED:], changes[-_SEARCHED:]
    lengths = np.zeros((SEASONS, changes.shape[1]), dtype=np.int64)
    both = np.ascontiguousarray(values.T), np.ascontiguousarray(changes.T)
    for link, (level, series) in enumerate(zip(*both, strict=True)):
        lengths[:, link] = _periods(level, series)
    return lengths


def _periods(values: Floats, changes: Floats) -> tuple[int, int]:
    longest = int(len(changes) / _SEEN)
    if longest < 2 * _SHORTEST or not changes.any():
        return 0, 0
    # Without its mean and, by least squares, its slope: a trend would seem to repeat at any lag.
    time = np.linspace(-1, 1, len(changes))
    level = np.cumsum(changes)
    level -= level.mean()
    level -= time * ((time * level).sum() / (time * time).sum())
    by_level = _autocorrelation(level)[: longest + 1]
    by_change = np.convolve(_autocorrelation(changes), _KERNEL, "same")[: longest + 1]
    # Bartlett: the standard error of the autocorrelation of n samples of white noise.
    noise = 1 / np.sqrt(len(changes))
    candidates = [
        lag for lag in _peaks(by_level) if by_level[lag] - by_level[:lag].min() > _PROMINENT
    ]
    exact = [_near(by_change, lag) for lag in candidates]
    exact = [lag for lag in exact if by_change[lag] > 3 * noise]
    if not exact:
        return 0, 0
    best = max(by_change[lag] for lag in exact)
    first = _refined(by_level + by_change, next(i for i in exact if by_change[i] > 0.75 * best))
    return first, _multiple(by_change, first, noise) or _multiple_by_level(values, first)


def _refined(by_both: Floats, lag: int) -> int:
    """Return the lag p near `lag` with the greatest sum of r(m p) over its multiples.

    If p is wrong by one sample, m p is wrong by m: multiples show what the first peak does not.
    """
    reach = max(lag // 30, 2)
    near = np.arange(max(lag - reach, 1), lag + reach + 1)
    last = len(by_both) - 1
    count = max(last // int(near[-1]), 1)
    total = sum(by_both[np.minimum(near * multiple, last)] for multiple in range(1, count + 1))
    return int(near[np.argmax(total)])


def _multiple(by_change: Floats, first: int, noise: float) -> int:
    """Return the multiple of `first` that repeats better than its neighbours, or 0.

    The m-th gains r(m p) - (r((m - 1) p) + r((m + 1) p)) / 2, with r at the best lag near each.
    """
    count = min(_MULTIPLES + 1, (len(by_change) - 1) // first)
    lags = [_near(by_change, first * multiple, first // 20) for multiple in range(1, count + 1)]
    gains = [
        by_change[lag] - (by_change[before] + by_change[after]) / 2
        for before, lag, after in zip(lags, lags[1:], lags[2:], strict=False)
    ]
    if not gains or max(gains) < 2 * noise:
        return 0
    return lags[1 + int(np.argmax(gains))]


def _multiple_by_level(values: Floats, first: int) -> int:
    """Return the multiple of `first` after which the level is nearer than after its neighbours.

    With D(m) the mean of |y(t) - y(t - m p)|, the m-th gains (D(m - 1) + D(m + 1)) / (2 D(m)). It
    has to occur twice in the history. 0 where none stands out.
    """
    level = np.convolve(values, np.full(_SMOOTHED, 1 / _SMOOTHED), "valid")
    count = min(_MULTIPLES + 1, len(level) // (2 * first) + 1)
    apart = [np.abs(level[m * first :] - level[: -m * first]).mean() for m in range(1, count + 1)]
    gains = [
        (before + after) / (2 * at) if at > 0 else 0.0
        for before, at, after in zip(apart, apart[1:], apart[2:], strict=False)
    ]
    if not gains or max(gains) < _NEARER:
        return 0
    return first * (2 + int(np.argmax(gains)))


def _near(by_change: Floats, lag: int, reach: int | None = None) -> int:
    """Return the lag near `lag` at which the changes repeat best."""
    reach = max(lag // 30, 2) if reach is None else max(reach, 1)
    low = max(lag - reach, 1)
    return low + int(np.argmax(by_change[low : lag + reach + 1]))


def _peaks(values: Floats) -> list[int]:
    """Return the lags at which `values` is the largest within a tenth."""
    rising = np.flatnonzero((values[1:-1] >= values[:-2]) & (values[1:-1] > values[2:])) + 1
    return [
        int(lag)
        for lag in rising
        if lag >= _SHORTEST and values[lag] >= values[lag - lag // 10 : lag + lag // 10 + 1].max()
    ]


def _autocorrelation(series: Floats) -> Floats:
    """Return the autocorrelation r(k) / r(0) of `series` [samples] at each lag, [samples].

    r(k) = sum of x(t) x(t + k) / (n - k), whose divisor keeps long lags from fading. The sums are
    the inverse transform of the power spectrum (Wiener-Khinchin), padded so that none wraps around.
    """
    count = len(series)
    spectrum = np.fft.rfft(series, 1 << (2 * count - 1).bit_length())
    products = np.fft.irfft((spectrum * spectrum.conj()).real)[:count] / np.arange(count, 0, -1)
    return np.asarray(products / products[0])
