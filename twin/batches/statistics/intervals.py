"""Confidence intervals of means over replications: Student's, and the percentile bootstrap's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final

import numpy as np

from twin.core.arrays import Floats

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 2_000
_KEPT: Final = 100
"""Up to this many values, one set of bootstrap samples is drawn and kept for all points."""
_AT_ONCE: Final = 50
"""With more values, how many samples are in memory at a time."""


def half_width(values: Floats) -> Floats:
    """Return half the width of Student's interval of the mean, of values [n, metrics].

    t(n - 1) s / sqrt(n), s the standard deviation. The values are assumed to be independent, as
    replications under seeds of their own are, and their mean to be normal: exact for normal values,
    approximate for others, and rough for few of them. NaN for fewer than two values.
    """
    n = len(values)
    if n < 2:
        return np.full(values.shape[1:], np.nan)
    width: Floats = student(n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return width


def bootstrap(values: Floats) -> tuple[Floats, Floats]:
    """Return the ends of the percentile bootstrap's interval of the mean, of values [n, metrics].

    Each of the RESAMPLES means is of n values drawn with replacement: how often each is drawn is
    multinomial. Nothing is assumed but independence; for small n the interval is too narrow. The
    same samples are drawn for the same n, so that the same values give the same interval. NaN for
    fewer than two values.
    """
    if len(values) < 2:
        nothing = np.full(values.shape[1:], np.nan)
        return nothing, nothing
    means = np.concatenate([weights @ values for weights in _weights(len(values))])
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return low, high


@cache
def student(freedom: float) -> float:
    """Return half the width of Student's interval in standard errors, for `freedom` degrees."""
    # scipy.stats has it too, and takes a second to import.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def _weights(n: int) -> Iterator[Floats]:
    """Yield the weight of each value in each sample, some samples at a time, [samples, n]."""
    if n <= _KEPT:
        yield _kept_weights(n)
        return
    rng = np.random.default_rng(np.random.SeedSequence(n))
    for first in range(0, RESAMPLES, _AT_ONCE):
        yield _drawn(rng, n, min(_AT_ONCE, RESAMPLES - first))


@lru_cache(8)
def _kept_weights(n: int) -> Floats:
    return _drawn(np.random.default_rng(np.random.SeedSequence(n)), n, RESAMPLES)


def _drawn(rng: np.random.Generator, n: int, samples: int) -> Floats:
    weights: Floats = rng.multinomial(n, np.full(n, 1 / n), size=samples) / n
    return weights
