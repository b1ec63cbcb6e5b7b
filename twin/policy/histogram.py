"""Quantiles of numbers that come one by one, of the latest ones only."""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.arrays import Bools, Floats, Ints, of_columns

_LOWEST: Final = 0.02
"""Numbers below this count as this."""
_GROWTH: Final = 1.04
"""How much wider each bucket is than the one below it."""
_BUCKETS: Final = 340
"""Up to _LOWEST x _GROWTH^_BUCKETS, some 12,000."""
_PARTS: Final = 3
"""Parts of a window: it moves on by one of them at a time."""
_BEYOND: Final = (0.25, 0.2)
"""A quantile beyond the largest number lies farther out the rarer it is: the largest number times
rank^-a for a rank below 1, down to b. The tail of a Pareto distribution with this exponent."""


class WindowedQuantiles:
    """Upper quantiles of several series of numbers, each over a window of its own.

    A histogram with buckets that grow exponentially, as in the recommender of Kubernetes' vertical
    pod autoscaler. Inside a bucket the quantile is interpolated. The bucket that holds the quantile
    is remembered and moved, so that the work does not grow with the number of buckets.
    """

    def __init__(self, windows: Ints) -> None:
        """Take how many numbers count, of each series, any shape."""
        self._shape, size = windows.shape, windows.size
        self._part_length = np.maximum(windows.ravel() // _PARTS, 1)
        self._places = np.arange(size)
        self._seen = np.zeros(size, dtype=np.int64)
        # No bucket ever counts more than a window holds: these tables are most of the memory.
        most = int(windows.max(initial=0)) + _PARTS
        kind = np.int16 if most <= np.iinfo(np.int16).max else np.int32
        self._parts = np.zeros((_PARTS, _BUCKETS + 1, size), dtype=kind)
        self._counts = np.zeros((_BUCKETS + 1, size), dtype=kind)
        self._total, self._above = np.zeros((2, size), dtype=np.int64)
        # The bucket that holds the quantile; `above` are the numbers in those above it.
        self._bucket = np.zeros(size, dtype=np.int64)

    def for_links(self, links: Ints) -> WindowedQuantiles:
        """Return the same for some of the last axis of the series, which may come several times."""
        series = np.arange(len(self._places)).reshape(self._shape)[..., links]
        some = of_columns(self, series.ravel())
        some._shape, some._places = series.shape, np.arange(series.size)
        return some

    def add(self, values: Floats, known: Bools) -> None:
        """Take the next number of each series, where it is known; both shaped as the series."""
        bucket, count = _bucket_of(values.ravel()), known.ravel()
        part = self._seen // self._part_length % _PARTS
        begins = (self._seen % self._part_length == 0) & (self._seen > 0)
        if begins.any():
            self._forget(np.flatnonzero(begins), part[begins])
        self._parts[part, bucket, self._places] += count
        self._counts[bucket, self._places] += count
        self._total += count
        self._above += np.where(bucket > self._bucket, count, 0)
        self._seen += 1

    def _forget(self, series: Ints, part: Ints) -> None:
        """Empty a part of some series, which begins again."""
        old = self._parts[part, :, series].T
        self._counts[:, series] -= old
        self._total[series] -= old.sum(axis=0)
        above = np.arange(_BUCKETS + 1)[:, None] > self._bucket[series]
        self._above[series] -= (old * above).sum(axis=0)
        self._parts[part, :, series] = 0

    def quantiles(self, shares: Floats) -> Floats:
        """Return what the share `shares` of each series exceeds, shaped as the series."""
        rank = np.broadcast_to(shares, self._shape).ravel() * self._total
        wanted = np.maximum(rank, 1e-9)
        self._seek(wanted)
        here = self._counts[self._bucket, self._places]
        inside = np.divide(wanted - self._above, here, out=np.zeros(len(here)), where=here > 0)
        exponent = self._bucket - np.clip(inside, 0.0, 1.0)
        value = _LOWEST * _GROWTH ** np.maximum(exponent, 0.0)
        slope, rarest = _BEYOND
        beyond = np.clip(rank, rarest, 1.0) ** -slope
        return np.asarray((value * beyond).reshape(self._shape))

    def _seek(self, wanted: Floats) -> None:
        """Move the bucket of each series to where as many as `wanted` are in it or above it."""
        while True:
            here = self._counts[self._bucket, self._places]
            down = (self._above + here < wanted) & (self._bucket > 0)
            if not down.any():
                break
            self._above += np.where(down, here, 0)
            self._bucket -= down
        while (up := (self._above >= wanted) & (self._bucket < _BUCKETS)).any():
            self._bucket += up
            self._above -= np.where(up, self._counts[self._bucket, self._places], 0)


def _bucket_of(values: Floats) -> Ints:
    scaled = np.fmax(values / _LOWEST, 1.0)  # NaN, which is not counted, as the lowest
    bucket = np.ceil(np.log(scaled) * (1 / np.log(_GROWTH)))
    return np.asarray(np.minimum(bucket, _BUCKETS).astype(np.int64))
