"""Names of forecasters: those that are no model files, and variants of shipped ones."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from twin.demand.kpis import KPIS

AUTO: Final = "auto"
"""For each link what did best on its history (see :mod:`twin.forecast.auto`)."""
PERSISTENCE: Final = "persistence"
"""What was last known, stays."""
LINEAR: Final = "ridge"
NETWORKS: Final = ("compact",)
"""Those that cost little enough to be tried on every link."""


def model_for_kpis(model: str, kpis: Collection[str]) -> str:
    """Return the variant of a shipped model for a trace with `kpis`.

    Those trained on all four KPIs have a twin called ``NAME_traffic`` that needs `internet` alone.
    """
    return model if set(KPIS) <= set(kpis) else f"{model}_traffic"


def auto_members(kpis: Collection[str]) -> tuple[str, ...]:
    """Return the models that are picked from on a trace with `kpis`, the linear one first."""
    return tuple(model_for_kpis(name, kpis) for name in (LINEAR, *NETWORKS))


def files(model: str, kpis: Collection[str]) -> tuple[str, ...]:
    """Return the model files, by name or path, that a forecaster consists of."""
    if model == PERSISTENCE:
        return ()
    return auto_members(kpis) if model == AUTO else (model,)
