"""SVG paths of a time series, downsampled so that no peak and no violation is lost.

A unit is half an interval horizontally, 1/5000 of the highest value vertically.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.report.run.event_spans import EventSpan
from twin.report.run.source import RunData

HEIGHT = 5_000
"""Height of a picture, units."""

LANE = 100
"""Height of a row of bars, units."""

_BUDGET = 130_000
"""Buckets of all paths together, while each has enough: a little over a megabyte."""
FEWEST = 96
"""Buckets that a path has at least, where there are very many."""
_AROUND_S = 2 * 3600


def edges(run: RunData, spans: Sequence[EventSpan], paths: int) -> Ints:
    """Return where buckets begin, and their end: single intervals if they fit into the budget.

    Else half of the budget goes to events and what surrounds them, interval by interval, the
    rest to all other times.
    """
    size, most = run.intervals, max(FEWEST, _BUDGET // max(paths, 1))
    if size <= most:
        return np.arange(size + 1)
    fine = np.zeros(size, dtype=np.bool_)
    around = -(-_AROUND_S // run.tick_s)
    for span in spans:
        during = span.touches(size, run.tick_s)
        window = np.zeros(size, dtype=np.bool_)
        window[max(0, during.start - around) : during.stop + around] = True
        if (fine | window).sum() <= most // 2:
            fine |= window
    step = -(-size // (most // 2))
    starts = fine | (np.arange(size) % step == 0)
    starts[1:] |= fine[:-1]
    return np.append(np.flatnonzero(starts), size)


class Extremes(NamedTuple):
    """The lowest and the highest value of each bucket, Mbit/s; NaN where none is known."""

    low: Floats
    high: Floats


def extremes(values: Floats, at: Ints) -> Extremes:
    """Return the extremes of values, [intervals], in the buckets between the edges `at`."""
    with np.errstate(invalid="ignore"):
        return Extremes(np.fmin.reduceat(values, at[:-1]), np.fmax.reduceat(values, at[:-1]))


def line(values: Extremes, at: Ints, top: float) -> str:
    """Return a path with the lowest and the highest value of each bucket; NaN leaves a gap."""
    first = values.low[0]
    if (values.low == first).all() and (values.high == first).all():
        return f"M0 {_y(values.low[:1], top)[0]}h{2 * at[-1]}"
    low, high = _y(values.low, top), _y(values.high, top)
    known = ~np.isnan(values.high)
    # Unknown buckets hold zeros and are skipped.
    parts: list[str] = []
    x, y, drawn = 0, 0, False
    rows = zip(at[:-1].tolist(), np.diff(at).tolist(), low.tolist(), high.tolist(), known.tolist(),
               strict=True)  # fmt: skip
    for start, wide, least, most, here in rows:
        if not here:
            drawn = False
            continue
        near, far = (least, most) if abs(least - y) <= abs(most - y) else (most, least)
        if not drawn:
            parts.append(f"m{2 * start - x} {near - y}" if parts else f"M{2 * start} {near}")
        elif near != y:
            parts.append(f"v{near - y}")
        parts.append(f"h{2 * wide}" if near == far else f"h{wide}v{far - near}h{wide}")
        x, y, drawn = 2 * (start + wide), far, True
    return _joined(parts)


def bars(most: Floats, at: Ints, top: float) -> str:
    """Return a path of bars from the base of a lane, one for each bucket whose most is not 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # A violation must be seen however small it is.
        tall = np.clip(np.rint(LANE * most / top), 25, LANE).astype(np.int64)
    return "".join(
        f"M{2 * at[i]} {LANE}v-{tall[i]}h{2 * (at[i + 1] - at[i])}v{tall[i]}z"
        for i in np.flatnonzero(most > 0)
    )


def _joined(parts: list[str]) -> str:
    """Return a path in which level steps that follow each other are one."""
    merged = [""]
    for part in parts:
        if part[0] == "h" == merged[-1][:1] and "v" not in part + merged[-1]:
            merged[-1] = f"h{int(merged[-1][1:]) + int(part[1:])}"
        else:
            merged.append(part)
    return "".join(merged)


def _y(values: Floats, top: float) -> Ints:
    # What is far above the picture stays above it, in few digits.
    scaled = HEIGHT * (1 - np.minimum(np.nan_to_num(values, posinf=1e300), 3 * top) / top)
    return np.rint(scaled).astype(np.int64)
