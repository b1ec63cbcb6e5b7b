"""A discrete-event digital twin of an operator's network.

>>> import twin
>>> result = twin.run("baseline", policies=["static_p95"])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "run": "twin.api.run",
    "batch": "twin.batches.batch",
    "Batch": "twin.batches.batch",
    "load": "twin.api.run",
    "Simulation": "twin.api.simulation",
    "LiveSource": "twin.telemetry.source",
    "RoutingTable": "twin.routing.table",
    "Surge": "twin.events.surge",
    "LinkEvent": "twin.events.base",
    "LinkFailure": "twin.events.link_failure",
    "NodeFailure": "twin.events.node_failure",
    "SrlgFailure": "twin.events.srlg_failure",
    "CapacityChange": "twin.events.capacity_change",
    "CapacityProfile": "twin.events.capacity_profile",
    "Ddos": "twin.events.ddos",
    "DemandGrowth": "twin.events.growth",
    "DemandShift": "twin.events.demand_shift",
    "ForecastOutage": "twin.events.forecast_outage",
    "Maintenance": "twin.events.maintenance",
    "PolicyFreeze": "twin.events.policy_freeze",
    "RandomFailures": "twin.events.random_failures",
    "RetryStorm": "twin.events.retry_storm",
    "TelemetryBias": "twin.events.telemetry_bias",
    "TelemetryDelay": "twin.events.telemetry_delay",
    "TelemetryGap": "twin.events.telemetry_gap",
    "TelemetryNoise": "twin.events.telemetry_noise",
    "Upgrade": "twin.events.upgrade",
    "Event": "twin.events.base",
    "Result": "twin.results.result",
    "Scenario": "twin.scenario.load",
    "AdaptiveMargin": "twin.policy.margin",
    "RelativeMargin": "twin.policy.relative_margin",
    "Commitment": "twin.policy.commitment",
    "Policy": "twin.policy.base",
    "model_for_kpis": "twin.forecast.names",
    "History": "twin.policy.base",
    "Observation": "twin.policy.base",
    "Prices": "twin.policy.prices",
    "Trace": "twin.demand.trace",
    "KPIS": "twin.demand.kpis",
    "Duration": "twin.core.units",
    "Margin": "twin.core.units",
    "Percentile": "twin.core.units",
    "Share": "twin.core.units",
    "Window": "twin.core.units",
    "seconds": "twin.core.units",
    "InputError": "twin.core.errors",
    "RunError": "twin.core.errors",
    "TwinError": "twin.core.errors",
}

_MODULES = ("gym",)
"""Modules that need an extra; ``import twin`` alone loads none of them."""

if TYPE_CHECKING:
    from twin.api.run import load, run
    from twin.api.simulation import Simulation
    from twin.batches.batch import Batch, batch
    from twin.core.errors import InputError, RunError, TwinError
    from twin.core.units import Duration, Margin, Percentile, Share, Window, seconds
    from twin.demand.kpis import KPIS
    from twin.demand.trace import Trace
    from twin.events.base import Event, LinkEvent
    from twin.events.capacity_change import CapacityChange
    from twin.events.capacity_profile import CapacityProfile
    from twin.events.ddos import Ddos
    from twin.events.demand_shift import DemandShift
    from twin.events.forecast_outage import ForecastOutage
    from twin.events.growth import DemandGrowth
    from twin.events.link_failure import LinkFailure
    from twin.events.maintenance import Maintenance
    from twin.events.node_failure import NodeFailure
    from twin.events.policy_freeze import PolicyFreeze
    from twin.events.random_failures import RandomFailures
    from twin.events.retry_storm import RetryStorm
    from twin.events.srlg_failure import SrlgFailure
    from twin.events.surge import Surge
    from twin.events.telemetry_bias import TelemetryBias
    from twin.events.telemetry_delay import TelemetryDelay
    from twin.events.telemetry_gap import TelemetryGap
    from twin.events.telemetry_noise import TelemetryNoise
    from twin.events.upgrade import Upgrade
    from twin.forecast.names import model_for_kpis
    from twin.policy.base import History, Observation, Policy
    from twin.policy.commitment import Commitment
    from twin.policy.margin import AdaptiveMargin
    from twin.policy.prices import Prices
    from twin.policy.relative_margin import RelativeMargin
    from twin.results.result import Result
    from twin.routing.table import RoutingTable
    from twin.scenario.load import Scenario
    from twin.telemetry.source import LiveSource

__all__ = [
    "KPIS", "AdaptiveMargin", "Batch", "CapacityChange", "CapacityProfile", "Commitment", "Ddos",
    "DemandGrowth", "DemandShift", "Duration", "Event", "ForecastOutage", "History", "InputError",
    "LinkEvent", "LinkFailure", "LiveSource", "Maintenance", "Margin", "NodeFailure",
    "Observation", "Percentile", "Policy", "PolicyFreeze", "Prices", "RandomFailures",
    "RelativeMargin", "Result", "RetryStorm", "RoutingTable", "RunError", "Scenario", "Share",
    "Simulation", "SrlgFailure", "Surge", "TelemetryBias", "TelemetryDelay", "TelemetryGap",
    "TelemetryNoise", "Trace", "TwinError", "Upgrade", "Window", "batch", "load",
    "model_for_kpis", "run", "seconds",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # Names are fetched when first used, so that `twin --help` imports next to nothing.
    if name in _MODULES:
        return importlib.import_module(f"twin.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'twin' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
