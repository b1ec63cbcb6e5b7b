"""When a curve reaches a level, and how long it stays there; curves are linear between points."""

from __future__ import annotations

import numpy as np

from twin.core.arrays import Floats
from twin.core.units import DAY_S


def days_until(horizon_s: float) -> Floats:
    """Return the points of curves: each day from 0 on, and the horizon, seconds."""
    return np.append(np.arange(0.0, horizon_s, DAY_S), horizon_s)


def reached(times: Floats, values: Floats, level: float, start: float = 0.0) -> float:
    """Return when a curve is first at or above a level from `start` on; NaN where it never is."""
    if not float(np.interp(start, times, values)) < level:
        return start
    later = np.flatnonzero((times > start) & (values >= level))
    if not len(later):
        return float("nan")
    place = int(later[0])
    before, low = times[place - 1], values[place - 1]
    if before < start:
        before, low = start, float(np.interp(start, times, values))
    share = (level - low) / (values[place] - low)
    return float(before + share * (times[place] - before))


def time_above(times: Floats, values: Floats, level: float, start: float, stop: float) -> float:
    """Return how long a curve is above a level between two instants, seconds."""
    if stop <= start:
        return 0.0
    points = np.unique(np.clip(times, start, stop))
    above = np.interp(points, times, values) - level
    left, right = above[:-1], above[1:]
    length = np.diff(points)
    # Of a piece that crosses the level, the part on the side of its higher end.
    high, low = np.maximum(left, right), np.minimum(left, right)
    share = np.where(low >= 0, 1.0, 0.0)
    crosses = (low < 0) & (high > 0)
    share[crosses] = high[crosses] / (high[crosses] - low[crosses])
    share[(low >= 0) & (high <= 0)] = 0.0
    return float((share * length).sum())
