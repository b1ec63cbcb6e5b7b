"""Whole numbers of things, where a last binary digit must not count as one."""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.arrays import Floats, Ints

_HAIR: Final = 1e-12
"""A product such as 0.29 x 100 comes out below the whole number that it is, or above it."""


def allowed(target: float, known: Floats) -> Ints:
    """Return how many of the `known` intervals may be violated: floor(target x known)."""
    return np.floor(target * known * (1 + _HAIR)).astype(np.int64)


def steps_for(amount: Floats, step: Floats) -> Floats:
    """Return how many whole steps hold an amount, in the same unit: ceil(amount / step)."""
    return np.asarray(np.ceil(amount / step * (1 - _HAIR)))


def steps_within(amount: Floats, step: Floats) -> Floats:
    """Return how many whole steps fit into an amount, in the same unit: floor(amount / step)."""
    return np.asarray(np.floor(amount / step * (1 + _HAIR)))
