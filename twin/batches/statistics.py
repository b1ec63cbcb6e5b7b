"""Means over replications and how sure they are."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 2_000


def half_width(values: Floats) -> Floats:
    """Return half the width of Student's interval of the mean, of values [n, metrics].

    NaN for fewer than two values.
    """
    n = len(values)
    if n < 2:
        return np.full(values.shape[1:], np.nan)
    width: Floats = _t(n) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return width


def bootstrap(values: Floats) -> tuple[Floats, Floats]:
    """Return the ends of the percentile bootstrap's interval of the mean, of values [n, metrics].

    The same samples are drawn for the same n, so that the same values give the same interval. NaN
    for fewer than two values.
    """
    if len(values) < 2:
        nothing = np.full(values.shape[1:], np.nan)
        return nothing, nothing
    means = _weights(len(values)) @ values
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return low, high


@cache
def _t(n: int) -> float:
    # Student's quantile; scipy.stats has it too, and takes a second to import.
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2))


@cache
def _weights(n: int) -> Floats:
    """Return how often each value is in each sample, as a share, [samples, n]."""
    rng = np.random.default_rng(np.random.SeedSequence(n))
    weights: Floats = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n
    return weights
