"""How a reader sees the metrics of the account: in what unit, in what order, which end is best."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from twin.account.catalogue import METRICS

Better = Literal["low", "high", ""]


@dataclass(frozen=True, slots=True)
class Shown:
    """How a column is shown."""

    better: Better = ""
    digits: int = 3
    scale: float = 1.0
    unit: str | None = None
    """Unit once it is multiplied by `scale`; None for the account's own."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One column of a summary as a reader sees it."""

    column: str
    name: str
    unit: str
    meaning: str
    shown: Shown

    def text(self, value: float) -> str:
        """Return a value of the column as text, with thousands apart."""
        value = float(value) * self.shown.scale
        if math.isnan(value):
            return "\N{EN DASH}"
        if math.isinf(value):
            return "\N{INFINITY}" if value > 0 else "\N{MINUS SIGN}\N{INFINITY}"
        return f"{value:,.{self.shown.digits}f}".replace("-", "\N{MINUS SIGN}")


_SHOWN: Final = {
    "sla_violation_rate": Shown("low", 2, 100, "% of intervals"),
    "sla_violation_minutes": Shown("low", 0),
    "unavoidable_violation_minutes": Shown("", 0),
    "onset_violation_minutes": Shown("low", 0),
    "violation_episodes": Shown("low", 0),
    "violation_longest_minutes": Shown("low", 0),
    "violation_mean_minutes": Shown("", 1),
    "error_budget_left_pct": Shown("high", 1),
    "burn_rate": Shown("low", 2),
    "unmet_mbit": Shown("low", 1, 1e-3, "Gbit"),
    "unmet_pct": Shown("low", 3),
    "over_provisioning_mean_mbps": Shown("low", 1),
    "over_provisioning_pct": Shown("low", 1),
    "allocated_mean_mbps": Shown("", 1),
    "cost": Shown("low", 1),
    "cost_efficiency": Shown("high", 3),
    "p95_bill_mbps": Shown("", 1),
    "allocation_changes": Shown("low", 0),
    "churn_mbps": Shown("low", 0),
    "efficiency_median": Shown("high", 3),
    "efficiency_mean": Shown("high", 3),
    "wastage_mean": Shown("low", 3),
    "utilization_mean": Shown("", 3),
    "mae": Shown("low", 2),
    "rmse": Shown("low", 2),
    "intervals": Shown("", 0),
    "missing_intervals": Shown("", 0),
    "infinite_utilization_intervals": Shown("low", 0),
    "fallback_intervals": Shown("low", 0),
}
"""In the order of a page: the SLA, what it wastes and costs, the paper's metrics, counts."""

KEY: Final = (
    "within_sla", "sla_violation_rate", "sla_violation_minutes", "unmet_pct",
    "over_provisioning_pct", "allocated_mean_mbps", "cost", "efficiency_median", "mae",
)  # fmt: skip
"""The columns of the first table; the second has them all."""

WITHIN: Final = Metric(
    "within_sla", "Links within SLA", "", "Links that stay within the target.", Shown("high", 0)
)


def metric(column: str) -> Metric:
    """Return the metric of a column that the account declares."""
    declared, shown = METRICS[column], _SHOWN.get(column, Shown())
    title, meaning = declared.title, declared.meaning
    unit = declared.unit if shown.unit is None else shown.unit
    if not meaning.startswith(("min(", "max(")):
        meaning = meaning[:1].upper() + meaning[1:]
    return Metric(column, title[:1].upper() + title[1:], unit, f"{meaning}.", shown)


def present(columns: Iterable[object]) -> list[Metric]:
    """Return the metrics that a summary with these columns has, what is not known here last."""
    have = {str(column) for column in columns}
    order = [*_SHOWN, *(column for column in METRICS if column not in _SHOWN)]
    return [metric(column) for column in order if column in have and column in METRICS]
