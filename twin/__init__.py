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
    "Result": "twin.results.result",
    "Scenario": "twin.scenario.load",
    "AdaptiveMargin": "twin.policy.margin",
    "Policy": "twin.policy.base",
    "model_for_kpis": "twin.policy.base",
    "History": "twin.policy.base",
    "Observation": "twin.policy.base",
    "Trace": "twin.demand.trace",
    "KPIS": "twin.demand.trace",
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

if TYPE_CHECKING:
    from twin.api.run import run
    from twin.batches.batch import Batch, batch
    from twin.core.errors import InputError, RunError, TwinError
    from twin.core.units import Duration, Margin, Percentile, Share, Window, seconds
    from twin.demand.trace import KPIS, Trace
    from twin.policy.base import History, Observation, Policy, model_for_kpis
    from twin.policy.margin import AdaptiveMargin
    from twin.results.result import Result
    from twin.scenario.load import Scenario

__all__ = [
    "KPIS",
    "AdaptiveMargin",
    "Batch",
    "Duration",
    "History",
    "InputError",
    "Margin",
    "Observation",
    "Percentile",
    "Policy",
    "Result",
    "RunError",
    "Scenario",
    "Share",
    "Trace",
    "TwinError",
    "Window",
    "batch",
    "model_for_kpis",
    "run",
    "seconds",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # Names are fetched when first used, so that `twin --help` imports next to nothing.
    if name not in _HOMES:
        raise AttributeError(f"module 'twin' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
