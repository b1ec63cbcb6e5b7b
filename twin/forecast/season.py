"""Seasons of links: how long they last, and how much each phase of them usually changes.

Nothing is assumed about the tick: a season is found in the history of each link, or is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from twin.core.arrays import Floats, Ints

SEASONS: Final = 2
"""At most this many a link: for example a day, and a week of seven."""
_SEEN: Final = 2.5
"""A season has occurred this often in the history, or is not looked for."""
_SHORTEST: Final = 20
_MULTIPLES: Final = 10
_SEARCHED: Final = 32_768
"""The search reads at most this much of the end of the history."""
_UPDATE: Final = 0.25
"""Share of the latest occurrence in the profile."""
_PROMINENT: Final = 0.2
"""How much more the level repeats after a season than at its worst within it."""
_KERNEL: Final = np.array([1, 2, 3, 2, 1]) / 9


def periods(changes: Floats) -> Ints:
    """Return the samples in the seasons of each link, [SEASONS, links]; 0 for none.

    `changes` [samples, links] are the differences of the history, scaled and limited. The first
    season repeats both the level and its changes best, the second is a multiple of the first
    that does so better than its neighbours (the seventh day, say).
    """
    changes = changes[-_SEARCHED:]
    found = np.zeros((SEASONS, changes.shape[1]), dtype=np.int64)
    for link, series in enumerate(np.ascontiguousarray(changes.T)):
        found[:, link] = _periods(series)
    return found


def _periods(changes: Floats) -> tuple[int, int]:
    longest = int(len(changes) / _SEEN)
    if longest < 2 * _SHORTEST or not changes.any():
        return 0, 0
    time = np.linspace(-1, 1, len(changes))
    level = np.cumsum(changes)
    level -= level.mean()
    level -= time * ((time * level).sum() / (time * time).sum())
    by_level = _autocorrelation(level)[: longest + 1]
    by_change = np.convolve(_autocorrelation(changes), _KERNEL, "same")[: longest + 1]
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
    return first, _multiple(by_change, first, noise)


def _refined(by_both: Floats, lag: int) -> int:
    """Return the lag near `lag` of which, and of whose multiples, most repeats."""
    reach = max(lag // 30, 2)
    near = np.arange(max(lag - reach, 1), lag + reach + 1)
    turns = max((len(by_both) - 1) // int(near[-1]), 1)
    total = sum(by_both[np.minimum(near * turn, len(by_both) - 1)] for turn in range(1, turns + 1))
    return int(near[np.argmax(total)])


def _multiple(by_change: Floats, first: int, noise: float) -> int:
    """Return the multiple of `first` that repeats better than its neighbours, or 0."""
    count = min(_MULTIPLES + 1, (len(by_change) - 1) // first)
    lags = [_near(by_change, first * turn, first // 20) for turn in range(1, count + 1)]
    gains = [
        by_change[lags[turn]] - (by_change[lags[turn - 1]] + by_change[lags[turn + 1]]) / 2
        for turn in range(1, count - 1)
    ]
    if not gains or max(gains) < 2 * noise:
        return 0
    return lags[1 + int(np.argmax(gains))]


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
    """Return the autocorrelation of `series` [samples] at each lag, unbiased in level."""
    count = len(series)
    spectrum = np.fft.rfft(series, 1 << (2 * count - 1).bit_length())
    products = np.fft.irfft((spectrum * spectrum.conj()).real)[:count] / np.arange(count, 0, -1)
    return np.asarray(products / products[0])


def profiles(changes: Floats, period: Ints, ahead: int) -> Floats:
    """Return how each sample of later is expected to change from past seasons alone.

    `changes` [samples, links] are scaled differences, changes[t] that from sample t - 1 to t.
    The answer [samples, links] is, at t, the average change at the phase of sample t + `ahead`,
    which recent occurrences count for more in; all of them precede t - that is, t is seen.
    0 for links without a season, and before one has been seen.
    """
    samples, links = changes.shape
    usual = np.zeros((samples + ahead, links))
    for length, some in _grouped(period, ahead):
        kept = np.zeros((length, len(some)))
        own = changes[:, some]
        for turn, first in enumerate(range(0, samples, length), start=1):
            seen = own[first : first + length]
            kept[: len(seen)] += max(1 / turn, _UPDATE) * (seen - kept[: len(seen)])
            after = slice(first + length, min(first + 2 * length, samples + ahead))
            if after.start < after.stop:
                usual[after, some] = kept[: after.stop - after.start]
    return usual[ahead:]


def _grouped(period: Ints, ahead: int) -> Iterator[tuple[int, Ints]]:
    """Yield each period longer than `ahead`, with the links that have it."""
    for length in np.unique(period):
        if length > ahead:
            yield int(length), np.flatnonzero(period == length)
