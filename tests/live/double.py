"""A small twin in memory, with the interface of the living one: no disk, no clock, no rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import twin
from twin.live.samples import Receipt, Samples

BEGINS = 1_775_000_000 // 300 * 300
HISTORY = 600


def demand(samples: int, links: int) -> np.ndarray:
    """A wave for each link, Mbit/s, [samples, links]."""
    times = np.arange(samples)[:, None] * 2 * np.pi / 288
    return 100 + 10 * np.arange(links) + 30 * np.sin(times + np.arange(links))


class MemoryTwin:
    """Takes samples of all links at once, and closes an interval when its end has passed."""

    def __init__(self, links: int = 3, policies: tuple[str, ...] = ("rolling_max", "last_value")):
        frame = pd.DataFrame(
            demand(HISTORY, links), columns=[f"link-{i + 1}" for i in range(links)]
        )
        start = pd.Timestamp(BEGINS - HISTORY * 300, unit="s", tz="UTC")
        frame.index = pd.date_range(start, periods=HISTORY, freq="5min")
        self.source = twin.LiveSource(twin.Trace.from_frame(frame, tick="5min"))
        self.simulation = twin.Simulation(self.source, policies=list(policies))
        self.simulation.start()
        self.scenario = self.simulation.scenario
        self.links, self.policies, self.acting = self.simulation.links, policies, policies[0]
        self.tick_s, self.begins_s = 300, float(BEGINS)
        self.counts: Counter[str] = Counter()
        self.ready, self.why_not = True, None
        self.rows: dict[int, dict[str, float]] = {}
        self.callbacks: list[Callable[[Any], object]] = []
        self.closed_down = False

    def take(self, samples: Samples, now: float) -> Receipt:
        outcomes: Counter[str] = Counter()
        for link, time_ms, value in zip(samples.link, samples.time_ms, samples.values, strict=True):
            name, k = samples.links[link], int((time_ms / 1000 - BEGINS) // 300)
            known = name in self.links
            outcomes["taken" if known else "unknown_link"] += 1
            if known:
                self.rows.setdefault(k, {})[name] = float(value)
        self.counts.update(outcomes)
        return Receipt(dict(outcomes), ())

    def advance(self, now: float) -> int:
        closed = 0
        while now >= BEGINS + 300 * (self.simulation.closed + 1):
            row = self.rows.pop(self.simulation.closed, {})
            values = [row.get(name, np.nan) for name in self.links]
            self.source.deliver({name: values for name in self.source.kpis})
            latest = self.simulation.step()
            closed += 1
            for callback in self.callbacks:
                callback(latest)
        return closed

    def subscribe(self, callback: Callable[[Any], object]) -> None:
        self.callbacks.append(callback)

    def close(self) -> None:
        self.closed_down = True

    def _row(self) -> dict[str, Any]:
        return self.allocations()

    def state(self) -> dict[str, Any]:
        asked = {row["link"]: row["allocated_mbps"] for row in self.allocations()["links"]}
        return {
            "links": [
                {"link": name, "demand_mbps": 100.0, "allocated_mbps": asked[name],
                 "capacity_mbps": float("inf"), "down": False}
                for name in self.links
            ]
        }  # fmt: skip

    def state_at(self, time: float) -> dict[str, Any]:
        return self.state()

    def allocations(self, policy: str | None = None) -> dict[str, Any]:
        name = policy or self.acting
        lane = next(lane for lane in self.simulation._lanes if lane.name == name)
        k = self.simulation.closed
        rows = [
            {"link": link, "allocated_mbps": float(mbps)}
            for link, mbps in zip(self.links, lane.latest, strict=True)
        ]
        return {"policy": name, "interval": k, "start": self.begins_s + 300 * k, "links": rows}

    def decisions(self, since: int | None = None) -> list[dict[str, Any]]:
        return [{"interval": k} for k in range(since or 0, self.simulation.closed + 1)]

    def forecast(self, link: str, ahead_s: float) -> dict[str, Any]:
        count = int(-(-ahead_s // 300))
        first = self.begins_s + 300 * self.simulation.closed
        return {
            "link": link,
            "tick_s": 300,
            "time": [first + 300 * i for i in range(count)],
            "median": [100.0] * count,
            "quantiles": {"0.05": [90.0] * count, "0.95": [110.0] * count},
        }
