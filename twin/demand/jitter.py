"""Times that a poller kept roughly: moved to the grid that they mean, where they are near it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.core.errors import InputError, Problem
from twin.core.units import DAY_S, counted, format_duration
from twin.demand.dates import Times
from twin.demand.locations import problems_at, refuse
from twin.demand.rows import Rows

SNAP = 0.1
"""How far a time may be off the grid where nothing is stated, as a share of the step."""
_LIKE = 0.05
"""How far the median step may be off a step that divides a day, as a share of that."""
_MOST = 0.9
"""Share of times that must be near a grid for it to be meant."""
_STEPS = np.array([each for each in range(1, DAY_S + 1) if DAY_S % each == 0])


def nominal_s(steps: Ints, per_second: int) -> int | None:
    """Return the step in whole seconds that divides a day and that `steps` mean, if any."""
    if not len(steps):
        return None
    median = float(np.median(steps)) / per_second
    nearest = int(_STEPS[np.abs(np.log(_STEPS / median)).argmin()])
    return nearest if abs(median / nearest - 1) <= _LIKE else None


def snapped(rows: Rows, steps: Ints, snap_s: float | None) -> tuple[Rows, str] | None:
    """Return rows whose times are on a grid, and what was done; None where they mean no grid.

    `steps` are the times between neighbours of a link. A time may be `snap_s` off the grid, by
    default a tenth of its step. Raises InputError for the few that are further away.
    """
    step_s = nominal_s(steps, rows.times.per_second)
    if step_s is None:
        return None
    snap_s = SNAP * step_s if snap_s is None else snap_s
    if snap_s >= step_s / 2:
        what = f"must be less than half of the step, {format_duration(step_s)}"
        raise InputError(Problem(what, "demand.snap"))
    step, limit = step_s * rows.times.per_second, snap_s * rows.times.per_second
    off = off_grid(rows.times.ticks, step, limit)
    far = np.abs(off) > limit
    if far.mean() > 1 - _MOST:
        return None
    lines = np.unique(np.flatnonzero(far) // rows.per_line) * rows.per_line

    def explain(row: int) -> tuple[str, str]:
        time = rows.times.show(int(rows.times.ticks[row]))
        needed = float(np.ceil(abs(off[row]) / rows.times.per_second))
        what = f"wrong step: {time} is not on the grid of {format_duration(step_s)}"
        if needed >= step_s / 2:
            return what, "correct the time, or remove it"
        snap = format_duration(needed)
        return what, f"correct the time, remove it, or write 'snap: {snap}' to have it moved"

    refuse(problems_at(lines.tolist(), rows.locate, rows.names["time"], explain))
    moved = int(np.count_nonzero(off[:: rows.per_line]))
    if not moved:
        return None
    ticks = (rows.times.ticks - off).astype(np.int64)
    most = format_duration(float(np.abs(off).max()) / rows.times.per_second)
    said = f"{counted(moved, 'time')} moved to the grid of {format_duration(step_s)}"
    times = Times(ticks, rows.times.per_second, rows.times.epoch)
    return replace(rows, times=times), f"{said}, by up to {most}"


def off_grid(ticks: Ints, step: int, limit: float) -> Ints:
    """Return how far each time is off the grid of `step` that most are near, [rows].

    A grid of whole multiples of the step is meant wherever most times are within `limit` of it.
    """
    from_round = _remainder(ticks, step)
    if (np.abs(from_round) <= limit).mean() >= _MOST:
        return from_round
    remainder, counts = np.unique(ticks % step, return_counts=True)
    phase = int(remainder[counts.argmax()])
    if counts.max() <= len(ticks) / 2:
        angles: Floats = 2 * np.pi * (ticks % step) / step
        mean = np.arctan2(np.sin(angles).mean(), np.cos(angles).mean())
        phase = round(float(mean) / (2 * np.pi) * step)
        phase += int(np.median(_remainder(ticks - phase, step)))
    return _remainder(ticks - phase, step)


def _remainder(ticks: Ints, step: int) -> Ints:
    """Return how far times are after, or before, the nearest multiple of `step`."""
    half = step // 2
    return (ticks + half) % step - half
