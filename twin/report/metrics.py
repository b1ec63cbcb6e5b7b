"""How metrics are shown to readers: their units, their order, and which end is best."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from twin.account.catalogue import METRICS

Better = Literal["low", "high", ""]


@dataclass(frozen=True, slots=True)
class Display:
    """How a column is shown."""

    better: Better = ""
    digits: int = 3
    scale: float = 1.0
    unit: str | None = None
    """Unit of a value after it is multiplied by `scale`; None for the unit in the account."""


@dataclass(frozen=True, slots=True)
class MetricColumn:
    """A column of the summary, with all that is needed to show it."""

    column: str
    name: str
    unit: str
    meaning: str
    display: Display

    def over_links(self, links: int) -> str:
        """Return the unit of a value of `links` together, with how it was made of theirs."""
        how = "" if links < 2 else _OVER_LINKS.get(self.column, "")
        return ", ".join(part for part in (self.unit, how) if part)

    def text(self, value: float) -> str:
        """Return a value of the column as text, with separated thousands."""
        value = float(value) * self.display.scale
        if math.isnan(value):
            return "\N{EN DASH}"
        if math.isinf(value):
            return "\N{INFINITY}" if value > 0 else "\N{MINUS SIGN}\N{INFINITY}"
        return f"{value:,.{self.display.digits}f}".replace("-", "\N{MINUS SIGN}")


_DISPLAYS: Final = {
    "sla_violation_rate": Display("low", 2, 100, "% of intervals"),
    "sla_violation_minutes": Display("low", 0),
    "unavoidable_violation_minutes": Display("", 0),
    "onset_violation_minutes": Display("low", 0),
    "violation_episodes": Display("low", 0),
    "violation_longest_minutes": Display("low", 0),
    "violation_mean_minutes": Display("", 1),
    "error_budget_left_pct": Display("high", 1),
    "burn_rate": Display("low", 2),
    "worst_burn_rate": Display("low", 2),
    "sla_allowed_intervals": Display("", 0),
    "sla_used_intervals": Display("low", 0),
    "sla_violation_rate_low": Display("", 2, 100, "% of intervals"),
    "sla_violation_rate_high": Display("", 2, 100, "% of intervals"),
    "unmet_mbit": Display("low", 1, 1e-3, "Gbit"),
    "unmet_pct": Display("low", 3),
    "over_provisioning_mean_mbps": Display("low", 1),
    "over_provisioning_pct": Display("low", 1),
    "allocated_mean_mbps": Display("", 1),
    "cost": Display("low", 1),
    "energy_kwh": Display("low", 1),
    "cost_efficiency": Display("high", 3),
    "p95_bill_mbps": Display("", 1),
    "allocation_changes": Display("low", 0),
    "churn_mbps": Display("low", 0),
    "efficiency_median": Display("high", 3),
    "efficiency_mean": Display("high", 3),
    "wastage_mean": Display("low", 3),
    "utilization_mean": Display("", 3),
    "mae": Display("low", 2),
    "rmse": Display("low", 2),
    "intervals": Display("", 0),
    "missing_intervals": Display("", 0),
    "infinite_utilization_intervals": Display("low", 0),
    "fallback_intervals": Display("low", 0),
}
"""In the order of a page: the SLA, waste and cost, how well allocations fit, counts."""

_SUM, _MEAN = "sum over links", "mean per link"
_OVER_LINKS: Final = {
    "sla_violation_minutes": _SUM,
    "unavoidable_violation_minutes": _SUM,
    "onset_violation_minutes": _SUM,
    "violation_episodes": _SUM,
    "violation_longest_minutes": "of any link",
    "unmet_mbit": _SUM,
    "over_provisioning_mean_mbps": _MEAN,
    "allocated_mean_mbps": _MEAN,
    "mae": _MEAN,
    "cost": _SUM,
    "energy_kwh": _SUM,
    "p95_bill_mbps": _SUM,
    "allocation_changes": _SUM,
    "churn_mbps": _SUM,
    "intervals": _SUM,
    "missing_intervals": _SUM,
    "infinite_utilization_intervals": _SUM,
    "fallback_intervals": _SUM,
}
"""How the value of all links together is made of theirs, where a reader could take it wrongly."""

KEY: Final = (
    "within_sla", "sla_used_intervals", "sla_allowed_intervals", "sla_violation_rate",
    "sla_violation_minutes", "unmet_pct", "over_provisioning_pct", "allocated_mean_mbps", "cost",
    "energy_kwh", "efficiency_median", "mae",
)  # fmt: skip
"""The columns of the first table; the second has them all."""

WITHIN: Final = MetricColumn(
    "within_sla", "Links within SLA", "", "Links that stay within the target.", Display("high", 0)
)


def metric(column: str) -> MetricColumn:
    """Return the metric of a column that the account declares."""
    declared, display = METRICS[column], _DISPLAYS.get(column, Display())
    title, meaning = declared.title, declared.meaning
    unit = declared.unit if display.unit is None else display.unit
    if not meaning.startswith(("min(", "max(")):
        meaning = meaning[:1].upper() + meaning[1:]
    return MetricColumn(column, title[:1].upper() + title[1:], unit, f"{meaning}.", display)


def present(columns: Iterable[object]) -> list[MetricColumn]:
    """Return the metrics among `columns`, in the order of a page; unknown ones come last."""
    have = {str(column) for column in columns}
    order = [*_DISPLAYS, *(column for column in METRICS if column not in _DISPLAYS)]
    return [metric(column) for column in order if column in have and column in METRICS]
