"""Horizons: how many samples ahead of the last known one a forecast is for.

`steps` counts samples from the last known one: 1 is the coming interval. What users call `ahead`
counts intervals after that one: ahead = steps - 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import log
from typing import Final

import numpy as np

from twin.core.arrays import Ints
from twin.core.errors import InputError, Problem

ANCHORS: Final = (
    1, 2, 3, 4, 6, 9, 13, 19, 25, 37, 49, 73, 97, 145, 193, 289, 433, 577, 865, 1153, 1441, 1729,
    2017,
)  # fmt: skip
"""Steps at which something is fitted; between two of them, what was fitted is interpolated."""
FARTHEST: Final = ANCHORS[-1]
"""The farthest step that can be forecast: a week of 5-minute intervals after the coming one."""


def require(ahead: int) -> None:
    """Raise InputError for an interval that cannot be forecast."""
    if not 0 <= ahead < FARTHEST:
        what = f"is {ahead}, not 0 to {FARTHEST - 1} intervals"
        raise InputError(Problem(what, "ahead", suggestion="a week is as far as it goes"))


def within_reach(ahead: Ints) -> Ints:
    """Return what stands in for so many intervals ahead: itself, up to a week.

    Farther away it is the same place in the last week that can be forecast.
    """
    week = FARTHEST - 1
    weeks_beyond = np.maximum(-(-(ahead - week) // week), 0)
    return np.asarray(ahead - weeks_beyond * week)


def anchors(steps: Iterable[int]) -> tuple[int, ...]:
    """Return the anchors that forecasts of so many `steps` need, rising.

    The first of all is among them: how much more a horizon errs is measured in its errors.
    """
    needed = {1}
    for each in steps:
        left, right, _ = between(each, ANCHORS)
        needed |= {ANCHORS[left], ANCHORS[right]}
    return tuple(sorted(needed))


def between(steps: int, places: tuple[int, ...]) -> tuple[int, int, float]:
    """Return which two of the rising `places` are around `steps`, and the share of the second.

    Shares are linear in the logarithm: errors grow with the horizon, fast at first. Beyond the
    last place, and at one, that place alone counts.
    """
    right = next((i for i, place in enumerate(places) if place >= steps), len(places) - 1)
    if places[right] <= steps or right == 0:
        return right, right, 0.0
    low, high = places[right - 1], places[right]
    return right - 1, right, (log(steps) - log(low)) / (log(high) - log(low))
