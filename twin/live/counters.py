"""Readings of counters that come one by one, turned into the rates of intervals.

Between two readings the rate is known as its mean over the span. An interval's rate is the mean
over what readings cover of it, where that is at least nine tenths: readings are seldom to the
second. A reading after a gap of up to an hour says what was in the gap, and the intervals there
become known with it; a longer gap, and the span in which a counter began again, stay missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.demand.repair import LONGEST_S

_COVERED: Final = 0.9
"""Least share of an interval that readings have to cover."""
_OVER: Final = 1.05
"""How much faster than its capacity a link may seem: clocks of pollers are not exact."""


class Counters:
    """Turns readings into rates, a second's worth in the counter's own unit."""

    def __init__(self, bits: int, limits: Floats, kpis: int) -> None:
        """`limits` are how fast each link can be, a second, [links]; infinite where unknown."""
        self._size = 2.0**bits
        self._limits = np.tile(limits, kpis) * _OVER

    def reach(self, tick_ms: int) -> int:
        """Return how many intervals before its own a reading may say something of."""
        return int(max(LONGEST_S * 1000, 1.5 * tick_ms) // tick_ms) + 1

    def rates(
        self, readings: Mapping[int, tuple[Ints, Floats]], number: int, tick_ms: int
    ) -> Floats:
        """Return the rate of an interval, [cells], NaN where it is not known.

        `readings` are by interval: their keys (cell x tick + milliseconds), in order, and counts.
        """
        row = self._within(readings, number, tick_ms, 1, None)
        missing = np.isnan(row)
        if missing.any():
            row = self._within(readings, number, tick_ms, self.reach(tick_ms), missing, row)
        return row

    def _within(
        self,
        readings: Mapping[int, tuple[Ints, Floats]],
        number: int,
        tick_ms: int,
        reach: int,
        wanted: Bools | None,
        row: Floats | None = None,
    ) -> Floats:
        """Return the rates of an interval by readings at most `reach` intervals away, [cells].

        Of all cells, or of those `wanted`, which are put into `row`.
        """
        parts = []
        for k in range(number - reach, number + reach + 1):
            if k in readings:
                cell, offset = np.divmod(readings[k][0], tick_ms)
                part = (cell, offset + (k - number) * tick_ms, readings[k][1])
                parts.append(part if wanted is None else tuple(c[wanted[cell]] for c in part))
        row = np.full(len(self._limits), np.nan) if row is None else row
        if not parts:
            return row
        cell, time, count = (np.concatenate(column) for column in zip(*parts, strict=True))
        # Buckets are in order of time, and within one readings are in order of cell and time.
        order = np.argsort(cell, kind="stable")
        cell, time, count = cell[order], time[order], count[order]
        rate, known = self._rate(cell, time, count, tick_ms)
        overlap = np.minimum(time[1:], tick_ms) - np.maximum(time[:-1], 0)
        some = known & (overlap > 0)
        held = overlap[some].astype(np.float64)
        covered = np.bincount(cell[1:][some], held, len(row))
        amount = np.bincount(cell[1:][some], held * rate[some], len(row))
        enough = covered >= _COVERED * tick_ms
        row[enough] = amount[enough] / covered[enough]
        return row

    def _rate(self, cell: Ints, time: Ints, count: Floats, tick_ms: int) -> tuple[Floats, Bools]:
        """Return the rate after each reading but the last, and where it is known."""
        span = np.diff(time)
        same = (np.diff(cell) == 0) & (span > 0)
        seconds = np.where(same, span, 1) / 1000
        grown = np.diff(count)
        fell = grown < 0
        rate = np.where(fell, grown + self._size, grown) / seconds
        # A counter that fell has passed its largest value, or has begun again. What no link can
        # do, and what nobody could tell apart since its capacity is unknown, is the latter.
        limit = self._limits[cell[1:]]
        wrapped = fell & np.isfinite(limit) & (rate <= limit)
        apart = span > max(LONGEST_S * 1000, 1.5 * tick_ms)
        known: Bools = same & ~apart & (~fell | wrapped)
        return rate, known
