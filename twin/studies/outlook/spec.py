"""What an outlook is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from twin.core.calendar import CalendarSpan
from twin.core.units import DAY_S
from twin.demand.busy import BusyStatistic
from twin.demand.growth import Growths

Curve = Literal["compound", "linear"]


@dataclass(frozen=True)
class OutlookSpec:
    """How far an outlook goes, what is busy in it, and what counts as run out."""

    growth: Growths | None = None
    """In place of the scenario's `demand.growth`."""
    ahead: CalendarSpan = field(default_factory=lambda: CalendarSpan.of("24mo"))
    at: float = 0.8
    """The target: a share of the capacity."""
    of: BusyStatistic = field(default_factory=lambda: BusyStatistic("p95"))
    over_s: float = 7.0 * DAY_S
    """The window of the busy value, seconds."""
    curve: Curve = "compound"
    """What is fitted where no growth is stated."""
