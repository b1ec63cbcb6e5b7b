"""Horizons: how many samples ahead of the last known one a forecast is for.

`steps` counts samples from the last known one: 1 is the coming interval. What users call `ahead`
counts intervals after that one: ahead = steps - 1.
"""

from __future__ import annotations

from math import log
from typing import Final

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


def anchors(reach: int) -> tuple[int, ...]:
    """Return the anchors that forecasts of up to `reach` steps need."""
    last = next(place for place, anchor in enumerate(ANCHORS) if anchor >= reach)
    return ANCHORS[: last + 1]


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
