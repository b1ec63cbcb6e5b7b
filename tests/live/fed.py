"""Living twins that are fed what a trace holds, as it might come."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import twin
from twin.live.living import LivingTwin
from twin.live.samples import Samples
from twin.results.result import Result

HISTORY = 600
TICK = 300


def trace(samples: int = HISTORY + 60, links: int = 3, dated: bool = True) -> twin.Trace:
    rng = np.random.default_rng(5)
    t = np.arange(samples)[:, None]
    base = np.array([100.0, 40.0, 7.0, 300.0, 55.0])[:links]
    values = (
        base * (1.2 + np.sin(2 * np.pi * t / 288)) + rng.normal(0, 0.05, (samples, links)) * base
    )
    frame = pd.DataFrame(np.maximum(values, 0), columns=[f"link-{i}" for i in range(links)])
    if dated:
        frame.index = pd.date_range("2026-01-01", periods=samples, freq="5min")
    else:
        frame["time"] = np.arange(samples) * TICK
    return twin.Trace.from_frame(frame)


def scenario(policies: list[Any], past: twin.Trace | None = None, **keys: Any) -> twin.Scenario:
    from twin.scenario.given import Given
    from twin.telemetry.source import head

    history = head(trace(), HISTORY) if past is None else past
    data = {
        "name": "living",
        "policies": policies,
        "demand": {"train": 0.9},
        "tick": "5min",
        **keys,
    }
    return twin.Scenario.load(data, given=Given(trace=history))


def rows_of(whole: twin.Trace, first: int, stop: int, zero: float) -> Samples:
    """The samples of some intervals, in order of time and link."""
    n = len(whole.links)
    links = [link for _ in range(first, stop) for link in whole.links]
    times = np.repeat(zero + np.arange(first, stop) * whole.tick_s, n)
    return Samples.of(links, times, whole.demand_mbps[first:stop].ravel())


def some(samples: Samples, which: np.ndarray) -> Samples:
    """Those of the samples that are marked."""
    columns = (samples.link, samples.kpi, samples.time_ms, samples.values)  # noqa: PD011
    return Samples(samples.links, samples.kpis, *(column[which] for column in columns))


def zero(living: LivingTwin) -> float:
    return living.begins_s - HISTORY * TICK


def table(result: Result) -> bytes:
    stream = io.BytesIO()
    result.write_intervals(stream)
    return stream.getvalue()


def feed(living: LivingTwin, whole: twin.Trace, first: int, stop: int) -> None:
    """Let everything come in time."""
    for k in range(first, stop):
        now = zero(living) + (k + 1) * TICK
        living.take(rows_of(whole, k, k + 1, zero(living)), now)
        living.advance(now)


def opened(folder: Path, policies: list[Any], **keys: Any) -> LivingTwin:
    return LivingTwin.open(scenario(policies, **keys), folder)
