"""Surges: a KPI under them, averaged exactly between any two instants."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.polynomial import Polynomial
from numpy.polynomial.legendre import leggauss

from twin.core.arrays import Bools, Floats
from twin.events.course import Course


class SurgedDemand:
    """A base under surges: base x product of factors + sum of additions, floored at 0.

    The base is constant within an interval. Between two breakpoints each course is constant or
    linear in time: its factor is 1 + share (factor - 1), its addition share x addition. So the sum
    is a polynomial there, of the degree of the number of ramps, and is integrated as one.
    """

    def __init__(self, courses: Sequence[Course], tick_s: int, *, additive: bool) -> None:
        """Take the courses of all surges; without `additive` their additions do not count."""
        self._courses = tuple(courses)
        self._tick_s = tick_s
        self._additive = additive
        self._changing: dict[float, list[Course]] = {}
        for course in courses:
            for time in course.breakpoints:
                self._changing.setdefault(time, []).append(course)
        self._breakpoints = sorted(self._changing)
        # By start; and up to each of them, when the last one ends.
        starts, ends = (np.array([getattr(c, at) for c in courses]) for at in ("start", "end"))
        self._order = np.argsort(starts, kind="stable")
        self._starts, self._ends = starts[self._order], ends[self._order]
        self._ended = np.maximum.accumulate(self._ends)

    def over(self, base: Floats, start: float, end: float) -> Floats:
        """Return the mean over [start, end), which lies within one interval, [flows].

        `base` is that of the interval, [flows].
        """
        first, last = bisect_right(self._breakpoints, start), bisect_left(self._breakpoints, end)
        edges = [start, *self._breakpoints[first:last], end]
        parts = [self._between(base, a, b) * ((b - a) / (end - start)) for a, b in pairwise(edges)]
        if len(parts) == 1:
            return parts[0]
        # Where no surge touches a flow, the parts add up to its base but for the last digit.
        touched = np.zeros(len(base), dtype=np.bool_)
        for course in self._active_within(start, end):
            touched |= course.flows
        return np.where(touched, np.sum(parts, axis=0), base)

    def at_breakpoint(self, time: float, flows: int) -> Bools:
        """Return the flows with a breakpoint of a surge at `time`, [flows]."""
        changing = np.zeros(flows, dtype=np.bool_)
        for course in self._changing.get(time, ()):
            changing |= course.flows
        return changing

    def means(self, base: Floats) -> Floats:
        """Return the mean of each interval of the replay, [intervals, flows] like `base`."""
        if not self._courses:
            return base
        mean = base.copy()
        horizon = float(len(base) * self._tick_s)
        edges = sorted({0.0, horizon, *(time for time in self._breakpoints if time < horizon)})
        touched: set[int] = set()
        for start, end in pairwise(edges):
            active = self._active(start, end)
            if not active:
                continue
            first, last = int(start // self._tick_s), -int(-end // self._tick_s)
            if not any(_ramps(course, start, end) for course in active):
                # Constant surges over many whole intervals: one operation.
                whole = slice(-int(-start // self._tick_s), int(end // self._tick_s))
                if whole.start < whole.stop:
                    mean[whole] = self._between(base[whole], start, end)
                touched |= {k for k in (first, last - 1) if not whole.start <= k < whole.stop}
            else:
                touched.update(range(first, last))
        for k in touched:
            mean[k] = self.over(base[k], k * self._tick_s, (k + 1) * self._tick_s)
        return mean

    def _active_within(self, start: float, end: float) -> list[Course]:
        """Return the surges of which some is within [start, end), in their order."""
        # None before `first` lasts beyond `start`, and none from `last` on begins before `end`.
        first = int(np.searchsorted(self._ended, start, side="right"))
        last = int(np.searchsorted(self._starts, end, side="left"))
        some = self._order[first:last][self._ends[first:last] > start]
        return [self._courses[place] for place in np.sort(some).tolist()]

    def _active(self, start: float, end: float) -> list[Course]:
        middle = (start + end) / 2
        return [course for course in self._active_within(start, end) if course.share(middle) > 0]

    def _between(self, base: Floats, start: float, end: float) -> Floats:
        """Return the mean of `base` under the surges over a span without a change."""
        active = self._active(start, end)
        if not active:
            return base
        degree = sum(_ramps(course, start, end) for course in active)
        # Gauss-Legendre with n nodes integrates polynomials up to degree 2 n - 1 exactly, and with
        # n = degree // 2 + 1 that is at least `degree`. On [-1, 1] its weights sum to 2.
        nodes, weights = _nodes(degree // 2 + 1)
        if degree and any(course.add_mbps < 0 for course in active):
            return self._floored(base, active, start, end, degree)
        mean: Floats = np.zeros_like(base)
        for node, weight in zip(nodes, weights, strict=True):
            value = self._at(base, active, start + (end - start) * (node + 1) / 2)
            mean += np.maximum(value, 0.0) * (weight / 2)
        return mean

    def _at(self, base: Floats, active: Sequence[Course], time: float) -> Floats:
        scale, shift = np.ones(base.shape[-1]), np.zeros(base.shape[-1])
        for course in active:
            share = course.share(time)
            # At its height the factor itself: the other form would lose a tiny one.
            part = course.factor if share == 1 else 1 + share * (course.factor - 1)
            scale[course.flows] *= part
            if self._additive:
                shift[course.flows] += share * course.add_mbps
        return base * scale + shift

    def _floored(
        self, base: Floats, active: Sequence[Course], start: float, end: float, degree: int
    ) -> Floats:
        """Return the mean where the sum may cross 0 between `start` and `end`, [flows].

        Its part above 0 is then no polynomial. The polynomial itself follows from degree + 1 of its
        values, and is integrated between those of its roots where it is above 0.
        """
        nodes = (np.arange(degree + 1) + 0.5) / (degree + 1)
        values = np.stack([self._at(base, active, start + (end - start) * x) for x in nodes])
        return np.array([_positive_mean(nodes, values[:, link]) for link in range(len(base))])


@lru_cache(maxsize=64)
def _nodes(count: int) -> tuple[Floats, Floats]:
    """Return nodes and weights of Gauss-Legendre, which nothing may write to."""
    nodes, weights = leggauss(count)
    return nodes, weights


def _ramps(course: Course, start: float, end: float) -> bool:
    return 0 < course.share((start + end) / 2) < 1


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
