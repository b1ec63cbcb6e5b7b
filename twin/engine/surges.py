"""Demand as events change it: a KPI under its courses, averaged between any two instants."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.polynomial.legendre import leggauss

from twin.core.arrays import Bools, Floats
from twin.events.course import Course, Shift


class SurgedDemand:
    """A base under courses: base as moved x product of factors + sum of additions, at least 0.

    The base is constant within an interval; shifts move parts of it from flow to flow, in the order
    of their start. Between two breakpoints the share of each course is a polynomial in time, or
    nearly one: its factor is 1 + share (factor - 1), its addition share x addition. So the sum is a
    polynomial there, of the sum of their degrees at most, and is integrated as one.
    """

    def __init__(self, courses: Sequence[Course], tick_s: int, *, additive: bool) -> None:
        """Take the courses of all events; without `additive` their additions do not count."""
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
        if len(edges) == 2:
            return self._between(base, np.array(start), np.array(end))
        parts = [
            self._between(base, np.array(a), np.array(b)) * ((b - a) / (end - start))
            for a, b in pairwise(edges)
        ]
        # Where no course touches a flow, the parts add up to its base but for the last digit.
        touched = _touched(self._active_within(start, end), len(base))
        return np.where(touched, np.sum(parts, axis=0), base)

    def at_breakpoint(self, time: float, flows: int) -> Bools:
        """Return the flows with a breakpoint of a course at `time`, [flows]."""
        return _touched(self._changing.get(time, ()), flows)

    @property
    def moves(self) -> bool:
        """Whether demand moves from flow to flow at any time."""
        return any(isinstance(course, Shift) for course in self._courses)

    def reached(self, flows: Bools) -> Bools:
        """Return `flows`, and those that their demand moves to at any time, [flows]."""
        reached = flows.copy()
        for place in self._order.tolist():
            course = self._courses[place]
            if isinstance(course, Shift):
                to = course.targets[reached[course.sources]]
                reached[to[to >= 0]] = True
        return reached

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
            whole = slice(-int(-start // self._tick_s), int(end // self._tick_s))
            if whole.start < whole.stop and not self._may_cross(active, start, end):
                # Many whole intervals between two changes: all at once.
                ticks = np.arange(whole.start, whole.stop, dtype=np.float64) * self._tick_s
                mean[whole] = self._between(base[whole], ticks, ticks + self._tick_s)
                touched |= {k for k in (first, last - 1) if not whole.start <= k < whole.stop}
            else:
                touched.update(range(first, last))
        for k in touched:
            mean[k] = self.over(base[k], float(k * self._tick_s), float((k + 1) * self._tick_s))
        return mean

    def _active_within(self, start: float, end: float) -> list[Course]:
        """Return the courses of which some is within [start, end), in their order."""
        # None before `first` lasts beyond `start`, and none from `last` on begins before `end`.
        first = int(np.searchsorted(self._ended, start, side="right"))
        last = int(np.searchsorted(self._starts, end, side="left"))
        some = self._order[first:last][self._ends[first:last] > start]
        return [self._courses[place] for place in np.sort(some).tolist()]

    def _active(self, start: float, end: float) -> list[Course]:
        return [each for each in self._active_within(start, end) if each.start < each.end]

    def _may_cross(self, active: Sequence[Course], start: float, end: float) -> bool:
        """Return whether the sum may cross 0 inside the span, where it is at least 0."""
        changes = any(course.degree(start, end) for course in active)
        return self._additive and changes and any(course.lowers for course in active)

    def _between(self, base: Floats, starts: Floats, ends: Floats) -> Floats:
        """Return the mean of `base` over spans of equal length without a change between them.

        `starts` and `ends` are those of one span, [], with `base` [flows], or of intervals, [n],
        with `base` [n, flows].
        """
        start, end = float(starts.flat[0]), float(ends.flat[-1])
        active = self._active(start, end)
        if not active:
            return base
        length = float(ends.flat[0] - starts.flat[0])
        degree = sum(course.degree(start, start + length) for course in active)
        if starts.ndim == 0 and self._may_cross(active, start, end):
            return self._floored(base, active, start, end, degree)
        # Gauss-Legendre with n nodes integrates polynomials up to degree 2 n - 1 exactly, and with
        # n = degree // 2 + 1 that is at least `degree`. On [-1, 1] its weights sum to 2.
        nodes, weights = _nodes(degree // 2 + 1)
        if len(nodes) == 1:
            return np.maximum(self._at(base, active, (starts + ends) / 2), 0.0)
        mean: Floats = np.zeros_like(base)
        for node, weight in zip(nodes, weights, strict=True):
            value = self._at(base, active, starts + (ends - starts) * (node + 1) / 2)
            mean += np.maximum(value, 0.0) * (weight / 2)
        # The weights sum to 2 but for the last digit.
        return np.where(_touched(active, base.shape[-1]), mean, base)

    def _at(self, base: Floats, active: Sequence[Course], times: Floats) -> Floats:
        """Return the sum before it is floored, [..., flows], at instants [...]."""
        for course in sorted(active, key=lambda course: course.start):
            if isinstance(course, Shift):
                base = course.moved(base, times)
        scale, shift = np.ones((*times.shape, base.shape[-1])), np.zeros(base.shape)
        for course in active:
            if isinstance(course, Shift):
                continue
            share = course.share(times)[..., None]
            # At its height the factor itself: the other form would lose a tiny one.
            part = np.where(share == 1, course.factor, 1 + share * (course.factor - 1))
            scale[..., course.flows] *= part
            if self._additive:
                shift[..., course.flows] += share * _of(course.add_mbps, course.flows)
        return np.asarray(base * scale + shift)

    def _floored(
        self, base: Floats, active: Sequence[Course], start: float, end: float, degree: int
    ) -> Floats:
        """Return the mean where the sum may cross 0 between `start` and `end`, [flows].

        Its part above 0 is then no polynomial. The polynomial itself follows from its values at
        degree + 1 nodes of Chebyshev, and is integrated between those of its roots where it is
        above 0.
        """
        nodes = (1 - np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))) / 2
        times = start + (end - start) * nodes
        values = np.stack([self._at(base, active, np.array(time)) for time in times])
        mean = base.copy()
        for flow in np.flatnonzero(_touched(active, len(base))).tolist():
            mean[flow] = _positive_mean(nodes, values[:, flow])
        return mean


@lru_cache(maxsize=64)
def _nodes(count: int) -> tuple[Floats, Floats]:
    """Return nodes and weights of Gauss-Legendre, which nothing may write to."""
    nodes, weights = leggauss(count)
    return nodes, weights


def _touched(courses: Iterable[Course], flows: int) -> Bools:
    touched = np.zeros(flows, dtype=np.bool_)
    for course in courses:
        touched |= course.flows
    return touched


def _of(add_mbps: float | Floats, flows: Bools) -> float | Floats:
    """Return the additions of some flows."""
    return add_mbps if isinstance(add_mbps, int | float) else add_mbps[flows]


def _positive_mean(nodes: Floats, values: Floats) -> float:
    """Return the mean over [0, 1] of max(p, 0), p the polynomial through the points."""
    if not np.isfinite(values).all():
        return float("nan")
    line = Chebyshev.fit(nodes, values, len(nodes) - 1, domain=[0, 1])
    roots = np.asarray(line.roots(), dtype=np.complex128)
    real = roots.real[np.abs(roots.imag) < 1e-12]
    inside = sorted(float(root) for root in real if 0 < root < 1)
    whole = line.integ()
    parts = ((a, b) for a, b in pairwise([0.0, *inside, 1.0]) if line((a + b) / 2) > 0)
    return float(sum(whole(b) - whole(a) for a, b in parts))
