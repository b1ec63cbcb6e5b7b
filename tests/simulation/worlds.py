"""What the tests of simulations share: a trace with gaps, and everything that can happen to it."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import twin
from twin.core import content
from twin.core.arrays import Floats
from twin.demand.synthetic import generate
from twin.policy.load import load
from twin.telemetry.source import TelemetrySource

HISTORY, INTERVALS = 1_200, 180
GAPS = (
    # link, first sample, samples: short, at the end of the history, in the replay, and long.
    (0, 400, 5), (1, 1_190, 12), (0, 1_196, 8), (0, 1_230, 1), (1, 1_240, 12), (0, 1_243, 3),
    (2, 1_250, 20), (1, 1_300, 6), (2, 1_310, 12), (0, 1_376, 4),
)  # fmt: skip
EVENTS = (
    twin.Surge(links=["a"], start="1h 1min 20s", duration="3h", factor=1.7, ramp="7min"),
    twin.Surge(start="2h", duration="40min", add_mbps=-60, ramp="10min"),
    twin.LinkFailure(links=["b"], start="2h 2min 30s", duration="45min"),
    twin.CapacityChange(links=["a"], start="3h", duration="2h", factor=0.7),
)
LINKS = {
    "defaults": {"capacity_mbps": 900},
    "a": {"lead_time": {"low": "2min", "high": "20min"}, "step": 10},
    "b": {"cooldown": "15min", "hysteresis_up": 0.02, "max": 800},
}


@cache
def trace() -> twin.Trace:
    """Three links and four KPIs with a daily shape, noise and gaps, from a date on."""
    samples, links = HISTORY + INTERVALS, ("a", "b", "c")
    kpis = {name: values.copy() for name, values in generate(5, 3, samples).items()}
    for link, first, length in GAPS:
        for values in kpis.values():
            values[first : first + length, link] = np.nan
    times = pd.date_range("2026-04-01", periods=samples, freq="5min")
    frame = pd.DataFrame({"time": np.repeat(times, 3), "link": np.tile(links, samples)})
    for name, values in kpis.items():
        frame[name] = values.ravel()
    return twin.Trace.from_frame(frame)


def policies() -> list[Any]:
    """Every shipped policy that sees no future, and every shipped model by itself."""
    names = [
        name for name, path in content.shipped("policies").items() if not load(path).policy.bound
    ]
    models = [
        {"name": f"model-{model}", "use": "forecast", "model": model}
        for model in content.shipped("models")
    ]
    schedule = [{"from": "0h", "use": "static_p95"}, {"from": "4h", "use": "conformal"}]
    return [*names, *models, {"name": "handover", "schedule": schedule}]


def simulation(given: Any = None, **changes: Any) -> twin.Simulation:
    """A simulation of the trace with all that happens to it."""
    options: dict[str, Any] = {
        "policies": policies(),
        "events": EVENTS,
        "links": LINKS,
        # Of the samples exactly HISTORY are history.
        "train": (HISTORY + 0.5) / (HISTORY + INTERVALS),
        "seed": 3,
        # A live simulation knows no end over which to hold the SLA.
        "sla_period": "8h",
    }
    return twin.Simulation(trace() if given is None else given, **options | changes)


def delivered(source: TelemetrySource, sample: int) -> dict[str, Floats]:
    """What a source shows of a sample when it closes, as a live source takes it."""
    return {name: source.rows(name, sample, sample + 1)[0].copy() for name in source.kpis}


def table(result: twin.Result) -> bytes:
    """intervals.parquet, byte by byte."""
    stream = io.BytesIO()
    result.write_intervals(stream)
    return stream.getvalue()
