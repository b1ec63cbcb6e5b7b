"""Surges: what they make of a KPI, exactly, between any two instants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.polynomial import Polynomial
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray

from twin.core.arrays import Floats
from twin.events.surge import Surge as SurgeEvent


@dataclass(frozen=True, slots=True)
class Surge:
    """One surge on some links; times in seconds from the start of the replay."""

    start: float
    end: float
    ramp: float
    factor: float
    add_mbps: float
    links: NDArray[np.bool_]
    """[links]"""

    @classmethod
    def of(cls, spec: SurgeEvent, links: NDArray[np.bool_]) -> Surge:
        """Return the surge that `spec` describes, on the links marked in `links`."""
        factor = 1.0 if spec.factor is None else spec.factor
        end = spec.start + spec.duration
        return cls(spec.start, end, spec.ramp, factor, spec.add_mbps or 0.0, links)

    @property
    def changes(self) -> tuple[float, ...]:
        """When its course changes: begin, end of the rise, begin of the fall, end."""
        return (self.start, self.start + self.ramp, self.end - self.ramp, self.end)

    def share(self, time: float) -> float:
        """Return how much of it is there at `time`, between 0 and 1."""
        if not self.start <= time < self.end:
            return 0.0
        if self.ramp == 0:
            return 1.0
        return min(1.0, (time - self.start) / self.ramp, (self.end - time) / self.ramp)


class SurgedSeries:
    """A KPI over the replay under surges: base x product of factors + sum of additions.

    The base, [intervals, links], is constant within an interval; the sum is floored at 0 at
    every instant. Between two changes each surge is constant or a line in time, so the KPI is
    a polynomial there, and is integrated as one.
    """

    def __init__(
        self, base: Floats, surges: Sequence[Surge], tick_s: int, *, additive: bool = True
    ) -> None:
        self._base = base
        self._surges = surges
        self._tick_s = tick_s
        self._additive = additive
        horizon = float(len(base) * tick_s)
        times = {time for surge in surges for time in surge.changes if time < horizon}
        self._changes = sorted({0.0, horizon, *times})
        self.surged = bool(surges)
        self.mean = self._means() if surges else base
        """Mean over each interval, [intervals, links]."""

    def over(self, start: float, end: float) -> Floats:
        """Return the mean over [start, end), which lies within one interval, [links]."""
        base = self._base[int(start // self._tick_s)]
        edges = [start, *(time for time in self._changes if start < time < end), end]
        parts = [self._between(base, a, b) * ((b - a) / (end - start)) for a, b in pairwise(edges)]
        return parts[0] if len(parts) == 1 else np.sum(parts, axis=0)

    def turns(self, time: float) -> NDArray[np.bool_]:
        """Return the links on which the course of a surge changes at `time`, [links]."""
        turning = np.zeros(self._base.shape[1], dtype=np.bool_)
        for surge in self._surges:
            if time in surge.changes:
                turning |= surge.links
        return turning

    def _means(self) -> Floats:
        mean = self._base.copy()
        for start, end in pairwise(self._changes):
            active = self._active(start, end)
            if not active:
                continue
            first, last = int(start // self._tick_s), -int(-end // self._tick_s)
            if not any(_ramps(surge, start, end) for surge in active):
                # Constant surges over many whole intervals: one operation.
                whole = slice(-int(-start // self._tick_s), int(end // self._tick_s))
                if whole.start < whole.stop:
                    mean[whole] = self._between(self._base[whole], start, end)
                touched = {k for k in (first, last - 1) if not whole.start <= k < whole.stop}
            else:
                touched = set(range(first, last))
            for k in touched:
                mean[k] = self.over(k * self._tick_s, (k + 1) * self._tick_s)
        return mean

    def _active(self, start: float, end: float) -> list[Surge]:
        return [surge for surge in self._surges if surge.share((start + end) / 2) > 0]

    def _between(self, base: Floats, start: float, end: float) -> Floats:
        """Return the mean of `base` under the surges over a span without a change."""
        active = self._active(start, end)
        if not active:
            return base
        degree = sum(_ramps(surge, start, end) for surge in active)
        # Gauss-Legendre with n nodes integrates polynomials up to degree 2 n - 1 exactly.
        nodes, weights = leggauss(degree // 2 + 1)
        if degree and any(surge.add_mbps < 0 for surge in active):
            return self._floored(base, active, start, end, degree)
        mean: Floats = np.zeros_like(base)
        for node, weight in zip(nodes, weights, strict=True):
            value = self._at(base, active, start + (end - start) * (node + 1) / 2)
            mean += np.maximum(value, 0.0) * (weight / 2)
        return mean

    def _at(self, base: Floats, active: Sequence[Surge], time: float) -> Floats:
        scale, shift = np.ones(base.shape[-1]), np.zeros(base.shape[-1])
        for surge in active:
            share = surge.share(time)
            # At its height the factor itself: the other form loses tiny ones.
            part = surge.factor if share == 1 else 1 + share * (surge.factor - 1)
            scale[surge.links] *= part
            if self._additive:
                shift[surge.links] += share * surge.add_mbps
        return base * scale + shift

    def _floored(
        self, base: Floats, active: Sequence[Surge], start: float, end: float, degree: int
    ) -> Floats:
        """Return the mean where the sum may cross 0 between `start` and `end`."""
        nodes = (np.arange(degree + 1) + 0.5) / (degree + 1)
        values = np.stack([self._at(base, active, start + (end - start) * x) for x in nodes])
        return np.array([_positive_mean(nodes, values[:, link]) for link in range(len(base))])


def _ramps(surge: Surge, start: float, end: float) -> bool:
    return 0 < surge.share((start + end) / 2) < 1


def _positive_mean(nodes: Floats, values: Floats) -> float:
    """Return the mean over [0, 1] of max(p, 0), p the polynomial through the points."""
    if not np.isfinite(values).all():
        return float("nan")
    line = Polynomial.fit(nodes, values, len(nodes) - 1, domain=[0, 1], window=[0, 1])
    roots = np.asarray(line.roots(), dtype=np.complex128)
    real = roots.real[np.abs(roots.imag) < 1e-12]
    inside = sorted(float(root) for root in real if 0 < root < 1)
    whole = line.integ()
    parts = ((a, b) for a, b in pairwise([0.0, *inside, 1.0]) if line((a + b) / 2) > 0)
    return float(sum(whole(b) - whole(a) for a, b in parts))
