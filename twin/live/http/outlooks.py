"""The next hours of all links: worked out beside the twin, and no more often than that is worth."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from twin.live.http.answering import Task
from twin.live.http.errors import HttpError
from twin.live.http.tasks import HORIZONS_S, LEVELS, RISK_S, FanOfLinks, Key, outlook

_REST: Final = 1.0
"""Time without work after an outlook, as a share of what it took: others want the worker too."""

WorkOut = Callable[[Callable[[Key], Task]], Awaitable[Any]]
"""Lets a worker do the task for the key of what it is given, and returns what it answers."""


class Outlooks:
    """The latest outlook for each horizon."""

    def __init__(
        self,
        links: tuple[str, ...],
        tick_s: int,
        begins_s: float,
        interval: Callable[[], int],
        acting: Callable[[], str],
        work_out: WorkOut,
    ) -> None:
        self._links, self._tick_s, self._begins_s = links, tick_s, begins_s
        self._place = {name: i for i, name in enumerate(links)}
        self._interval, self._acting, self._work_out = interval, acting, work_out
        self._fans: dict[int, FanOfLinks] = {}
        self._rested: dict[int, float] = {}
        self._under_way: dict[int, asyncio.Task[FanOfLinks]] = {}

    async def fan(self, ahead_s: float) -> FanOfLinks:
        """Return an outlook that goes so far, as young as it is worth. Raises HttpError."""
        horizon = _horizon(ahead_s)
        kept = self._fans.get(horizon)
        resting = time.monotonic() < self._rested.get(horizon, 0.0)
        reaches = kept is not None and self._left(kept) * self._tick_s >= ahead_s
        if kept is not None and (kept.made == self._interval() or (resting and reaches)):
            return kept
        if horizon not in self._under_way:
            task = asyncio.create_task(self._make(horizon))
            self._under_way[horizon] = task
            task.add_done_callback(lambda _: self._under_way.pop(horizon, None))
        return await asyncio.shield(self._under_way[horizon])

    def _left(self, fan: FanOfLinks) -> int:
        """Return how many of its intervals are still to come."""
        return len(fan.quantiles_mbps) - (self._interval() - fan.made)

    async def _make(self, horizon: int) -> FanOfLinks:
        begun = time.monotonic()
        acting = self._acting()
        fan: FanOfLinks = await self._work_out(
            lambda key: partial(outlook, key=key, acting=acting, horizon_s=horizon)
        )
        self._fans[horizon] = fan
        ended = time.monotonic()
        self._rested[horizon] = ended + _REST * (ended - begun)
        return fan

    async def forecast(self, link: str, ahead_s: float, *, waits: bool = True) -> dict[str, Any]:
        """Return the forecast of one link from the interval under way on.

        Whoever does not wait gets the latest that there is, which may be none. Raises HttpError.
        """
        fan = await self.fan(ahead_s) if waits else self._fans.get(_horizon(ahead_s))
        now = self._interval()
        values: list[list[float]] = []
        if fan is not None:
            gone = now - fan.made
            rows = fan.quantiles_mbps[gone : gone + max(int(ahead_s // self._tick_s), 1)]
            values = rows[:, self._place[link]].tolist()
        if waits and not values:
            raise HttpError.later(503, "the forecast is behind the clock", self._tick_s)
        return {
            "link": link,
            "tick_s": self._tick_s,
            "made": None if fan is None else self._time(fan.made),
            "times": [self._time(now + k) for k in range(len(values))],
            "levels": list(LEVELS),
            "median_mbps": [row[LEVELS.index(0.5)] for row in values],
            "quantiles_mbps": values,
        }

    def latest(self) -> dict[str, Any] | None:
        """Return what the youngest outlook says of the next RISK_S, None before there is one."""
        fan = self._fans.get(HORIZONS_S[0])
        if fan is None:
            return None
        risky = {
            link: round(chance, 3)
            for link, chance in zip(self._links, fan.chances.tolist(), strict=True)
        }
        return {
            "made": self._time(fan.made),
            "for_s": RISK_S,
            "chances": risky,
            "policy": fan.answer["policies"][0],
        }

    def _time(self, interval: int) -> str:
        time = datetime.fromtimestamp(self._begins_s + interval * self._tick_s, UTC)
        return time.replace(tzinfo=None).isoformat() + "Z"


def _horizon(ahead_s: float) -> int:
    return next((each for each in HORIZONS_S if each >= ahead_s), HORIZONS_S[-1])
