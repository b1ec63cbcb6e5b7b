"""Demand that was lost in outages and comes back, as courses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from twin.core.arrays import Floats
from twin.demand.kpis import KPIS
from twin.engine.routes import RouteState, lost_shares
from twin.engine.span import ReplaySpan
from twin.engine.surges import SurgedDemand
from twin.events.course import Course, Decay
from twin.events.effects import Echo
from twin.routing.table import Routing
from twin.telemetry.source import TelemetrySource

DEMAND = KPIS[0]


class Echoes:
    """Turns what outages lost into courses: all at once where the source knows what is to come.

    Otherwise when the interval closes in which an outage ends. Demand that is missing counts as 0.
    """

    def __init__(self, source: TelemetrySource, span: ReplaySpan, routing: Routing | None) -> None:
        self._source, self._span, self._routing = source, span, routing
        self.planned: tuple[Course, ...] = ()
        """Courses that are no echoes: what is lost is a part of this demand."""
        self._echoes: tuple[Echo, ...] = ()
        self._states: tuple[RouteState, ...] = ()
        self.courses: list[Decay] = []

    @property
    def expected(self) -> bool:
        """Whether anything of what outages lose may come back."""
        return bool(self._echoes)

    def plan(
        self, courses: Sequence[Course], echoes: Sequence[Echo], states: Sequence[RouteState]
    ) -> None:
        """Replace what loses demand, and what of it comes back."""
        self.planned, self._echoes = tuple(courses), tuple(echoes)
        self._states = tuple(states)
        if self._source.ahead:
            self.courses = list(self._returning(0.0, self._span.horizon(self._source.tick_s)))

    def close(self, interval: int) -> bool:
        """Let what outages lost come back that end in an interval; return whether any do."""
        if self._source.ahead or not self._echoes:
            return False
        start, end = (float((interval + k) * self._source.tick_s) for k in (0, 1))
        # An outage that ends with the interval is one of the next.
        if not any(start <= state.time < end for state in self._states):
            return False
        found = list(self._returning(start, end))
        self.courses += found
        return bool(found)

    def _returning(self, start: float, end: float) -> Iterator[Decay]:
        """Yield what comes back after outages that end in [start, end)."""
        if not self._echoes or len(self._states) < 2:
            return
        demand = SurgedDemand(self.planned, self._source.tick_s, additive=True)
        shares = [lost_shares(self._routing, state) for state in self._states]
        for echo in self._echoes:
            lost = np.zeros(len(self._source.flows))
            for (state, then), (share, left) in zip(
                pairwise(self._states), pairwise(shares), strict=True
            ):
                if then.time >= min(end, echo.end):
                    break
                share = np.where(echo.flows, share, 0.0)
                if share.any():
                    lost += share * self._offered(demand, max(state.time, echo.start), then.time)
                over = (lost > 0) & (left == 0)
                if over.any():
                    if then.time >= max(start, echo.start):
                        yield echo.course(then.time, np.where(over, lost, 0.0))
                    lost[over] = 0.0

    def _offered(self, demand: SurgedDemand, start: float, end: float) -> Floats:
        """Return what is offered in [start, end), Mbit, [flows]."""
        offered, tick_s = np.zeros(len(self._source.flows)), self._source.tick_s
        for interval in range(int(start // tick_s), int(np.ceil(end / tick_s))):
            a, b = max(start, interval * tick_s), min(end, (interval + 1) * tick_s)
            if a < b:
                sample = self._span.first + interval
                base = self._source.values(DEMAND, sample, sample + 1)[0]
                offered += np.nan_to_num(demand.over(base, a, b)) * (b - a)
        return offered
