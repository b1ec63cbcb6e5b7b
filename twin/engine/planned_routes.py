"""Which matrix routes the flows, from instant to instant."""

from __future__ import annotations

import copy
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from twin.core.arrays import Bools, Floats
from twin.engine.routes import RouteState, shares
from twin.routing.table import Routing, lost, routed

if TYPE_CHECKING:
    from scipy import sparse

_SAMPLES: Final = 512
"""Samples that are routed at a time: there may be many flows."""


class Route(NamedTuple):
    """What is in force from an instant on."""

    time: float
    """Seconds from the start of the replay."""
    matrix: sparse.csr_array[Any]
    """The share of each flow on each link, [links, flows]."""


class PlannedRoutes:
    """The routes of a replay, as far as they are planned. It never changes: others replace it."""

    def __init__(self, routing: Routing) -> None:
        self.routing = routing
        self.states: tuple[RouteState, ...] = ()
        self.intact = routing.matrix(np.zeros(len(routing.links), dtype=np.bool_))
        """The matrix while nothing is down."""
        self.routes = [Route(0.0, self.intact)]

    def __deepcopy__(self, memo: dict[int, Any]) -> PlannedRoutes:
        return self

    def by(self, states: Sequence[RouteState]) -> PlannedRoutes:
        """Return the routes that follow from other states; these, where the states are the same."""
        if len(states) == len(self.states) and all(map(_same, states, self.states)):
            return self
        other = copy.copy(self)
        other.states, other.routes = tuple(states), []
        made: dict[bytes, sparse.csr_array[Any]] = {}
        for state in states:
            key = np.packbits([state.seen, state.drained]).tobytes()
            if key not in made:
                made[key] = shares(self.routing, state)
            other.routes.append(Route(state.time, made[key]))
        return other

    def at(self, time: float) -> sparse.csr_array[Any]:
        """Return the matrix that is in force from `time` on."""
        return self.routes[self._place(time)].matrix

    def edges(self, start: float, end: float) -> list[float]:
        """Return when routes change in between, with both ends."""
        first = bisect_right(self.routes, start, key=_time)
        last = bisect_left(self.routes, end, key=_time)
        return [start, *(route.time for route in self.routes[first:last]), end]

    def stretches(self, end: float) -> Iterator[tuple[sparse.csr_array[Any], float, float]]:
        """Yield each matrix with when it begins and ceases to be in force, until `end`."""
        begins = [min(route.time, end) for route in self.routes]
        for route, begin, stop in zip(self.routes, begins, [*begins[1:], end], strict=True):
            if begin < stop:
                yield route.matrix, begin, stop

    def losses(self, closed: int, tick_s: int) -> Iterator[tuple[Floats, int, float, float]]:
        """Yield the share of each flow that has no path, an interval, and when within it.

        Of the first `closed` intervals those in which any flow has none; shares are [flows].
        """
        for matrix, begin, stop in self.stretches(float(closed * tick_s)):
            share = lost(self.routing, matrix)
            if not share.any():
                continue
            for interval in range(int(begin // tick_s), int(np.ceil(stop / tick_s))):
                start, end = max(begin, interval * tick_s), min(stop, (interval + 1) * tick_s)
                yield share, interval, start, end

    def reached(self, flows: Bools, upto: float) -> Bools:
        """Return the links that carry any of `flows` at any time until `upto`, [links]."""
        wanted = flows.astype(np.float64)
        carrying = np.asarray(self.intact @ wanted) > 0
        matrices = {id(route.matrix): route.matrix for route in self.routes if route.time <= upto}
        for matrix in matrices.values():
            carrying |= np.asarray(matrix @ wanted) > 0
        return carrying

    def changing(self, time: float) -> Bools:
        """Return the links whose load changes at `time` since flows move there or away, [links]."""
        place = self._place(time)
        if not place or self.routes[place].time != time:
            return np.zeros(self.intact.shape[0], dtype=np.bool_)
        moved = abs(self.routes[place].matrix - self.routes[place - 1].matrix)
        return np.asarray(moved.sum(axis=1)) > 0

    def means(self, flows: Floats, tick_s: int) -> tuple[Floats, set[int]]:
        """Return the mean loads of intervals, [intervals, links], and which of them are left out.

        `flows` are the means of the flows. Left out are those in which routes change.
        """
        links = np.empty((len(flows), self.intact.shape[0]))
        for matrix, begin, stop in self.stretches(float(len(flows) * tick_s)):
            whole = slice(int(-(-begin // tick_s)), int(stop // tick_s))
            if whole.start < whole.stop:
                links[whole] = carried(matrix, flows[whole])
        divided = {int(route.time // tick_s) for route in self.routes if route.time % tick_s}
        return links, {interval for interval in divided if interval < len(flows)}

    def _place(self, time: float) -> int:
        """Return the number of the route that is in force from `time` on."""
        return bisect_right(self.routes, time, key=_time) - 1


def carried(matrix: sparse.csr_array[Any], flows: Floats) -> Floats:
    """Return the load of links, [..., links], a few samples at a time."""
    if flows.ndim == 1:
        return routed(matrix, flows)
    links = np.empty((len(flows), matrix.shape[0]))
    for start in range(0, len(flows), _SAMPLES):
        some = slice(start, start + _SAMPLES)
        links[some] = routed(matrix, flows[some])
    return links


def _time(route: Route) -> float:
    return route.time


def _same(one: RouteState, other: RouteState) -> bool:
    return one.time == other.time and all(map(np.array_equal, one[1:], other[1:]))
