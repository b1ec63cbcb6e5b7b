"""How much to trust each of several rivals, by what they lost."""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.arrays import Floats

_RATE: Final = 40.0
"""How fast trust falls: a rival that lost a tenth more than the best counts exp(-4) as much."""


def trust(losses: Floats, axis: int | tuple[int, ...] = 0) -> Floats:
    """Return weights over `axis` that sum to 1: w_i ~ exp(-rate (L_i / min L - 1)).

    The exponential weights of Freund and Schapire (1997). Losses are relative to the least: no
    unit.
    """
    least = losses.min(axis=axis)
    # Where the best never lost, those that did have no say.
    worse = np.where(losses > least, np.inf, 1.0)
    np.divide(losses, least, out=worse, where=least > 0)
    weights = np.exp(-_RATE * (worse - 1))
    return np.asarray(weights / weights.sum(axis=axis))
