"""What a caller of a scenario hands over, and what it overrides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from twin.demand.trace import Trace
from twin.routing.table import Routing
from twin.scenario.choices import GivenPolicy
from twin.telemetry.source import TelemetrySource


@dataclass(frozen=True, slots=True)
class Given:
    """Objects that a caller hands over instead of names."""

    policies: Mapping[str, GivenPolicy] = field(default_factory=dict)
    """By the names that stand for them."""
    trace: Trace | None = None
    source: TelemetrySource | None = None
    """What delivers telemetry as it comes, after the samples of `trace`."""
    routing: Routing | None = None
    living: bool = False
    """Whether it is for a living twin: one may begin before anything is known of its links."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a caller overrides in the file."""

    overrides: tuple[str, ...] = ()
    """Texts ``KEY=VALUE``."""
    policies: tuple[str, ...] | None = None
    """Names among the scenario's own first, then among the shipped, or paths."""
    seed: int | None = None
    values: tuple[tuple[str, Any], ...] = ()
    """Overrides as keys and values, from Python."""
