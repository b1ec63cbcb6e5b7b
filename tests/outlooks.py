"""Traces whose growth is known, and outlooks on them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin import Scenario, Trace
from twin.core.calendar import CalendarSpan
from twin.core.units import DAY_S, YEAR_S
from twin.demand.growth import growths
from twin.scenario.given import Given
from twin.studies.outlook.spec import OutlookSpec
from twin.studies.outlook.study import Outlook, outlook

HOUR_S = 3600
STARTS = datetime(2024, 1, 1, tzinfo=UTC)

Floats = NDArray[np.float64]


def hours(weeks: int) -> Floats:
    """Return the times of hourly samples from the start on, s."""
    return np.arange(weeks * 168) * float(HOUR_S)


def weekly(times: Floats) -> Floats:
    """Return a factor with a shape of day and week, whose 95th percentile over a week is 1."""
    day = 1 + 0.5 * np.sin(2 * np.pi * times / DAY_S)
    week = np.where(times % (7 * DAY_S) < 5 * DAY_S, 1.0, 0.7)
    first = (day * week)[:168]
    return day * week / np.percentile(first, 95)


def scenario(mbps: Floats, *, dated: bool = True, **blocks: Any) -> Scenario:
    """Return a scenario on hourly demand, [samples] or [samples, links], from 2024 on."""
    mbps = mbps[:, None] if mbps.ndim == 1 else mbps
    names = tuple(f"link-{i + 1}" for i in range(mbps.shape[1]))
    trace = Trace(names, {"internet": mbps}, HOUR_S, STARTS if dated else None)
    links = {"defaults": {"capacity_mbps": 1000}}
    spec = {"name": "made", "tick": "1h", "policies": ["static_p95"], "links": links} | blocks
    return Scenario.load(spec, given=Given(trace=trace))


def look(mbps: Floats, growth: str | None = None, ahead: str = "24mo", **blocks: Any) -> Outlook:
    """Return the outlook on a scenario as above."""
    rates = None if growth is None else growths(growth)
    spec = OutlookSpec(growth=rates, ahead=CalendarSpan.of(ahead))
    return outlook(scenario(mbps, **blocks), spec)


def days_to(factor: float, yearly: float) -> float:
    """Return after how many days demand is `factor` times as high, growing `yearly` a year."""
    return float(np.log(factor) / np.log(yearly) * YEAR_S / DAY_S)
