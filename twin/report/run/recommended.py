"""What a frontier recommends: chosen on the end of the history, then shown in the replay."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twin.core.units import counted, format_duration

if TYPE_CHECKING:
    import pandas as pd

FrontierRow = dict[Hashable, Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """The setting of a policy that did best on the history, and what it gave in both parts."""

    history: FrontierRow
    replay: FrontierRow

    @property
    def policy(self) -> str:
        """The policy's name."""
        return str(self.history["policy"])

    @property
    def bound(self) -> bool:
        """Whether the policy sees the future."""
        return bool(self.history["bound"])

    @property
    def held(self) -> bool:
        """Whether it kept the SLA on every link on the history."""
        return keeps(self.history)

    @property
    def value(self) -> str:
        """The knob's value as text, empty for a policy without a knob."""
        return f"{self.history['value']:.4g}" if self.history["knob"] else ""


def keeps(row: FrontierRow) -> bool:
    """Return whether a setting kept the SLA on every link in its part."""
    return bool(row["links_missing_sla"] == 0)


def criterion(points: pd.DataFrame) -> str:
    """Return the column that is to be least: the cost where there are prices, or else waste."""
    return "cost" if points["cost"].notna().any() else "over_provisioning_pct"


def chosen(points: pd.DataFrame) -> list[Setting]:
    """Return the setting of each policy that did best on the history, the best policy first.

    Best is what keeps the SLA on every link at the least of :func:`criterion`; where nothing does,
    what violates least. `points` are the rows of a frontier.
    """
    best = criterion(points)
    settings = []
    for _, rows in points.groupby("policy", sort=False):
        past, replay = (rows[rows["part"] == part] for part in ("history", "replay"))
        held = past[past["links_missing_sla"] == 0]
        ranked = (
            past.sort_values("sla_violation_rate", kind="stable")
            if held.empty
            else held.sort_values(best, kind="stable")
        )
        # Both parts hold the same settings, in one order.
        place = list(past.index).index(ranked.index[0])
        settings.append(Setting(ranked.iloc[0].to_dict(), replay.iloc[place].to_dict()))
    return sorted(settings, key=lambda one: (not one.held, _number(one.history[best])))


def recommendation(points: pd.DataFrame, tick_s: float) -> str:
    """Return in words what is recommended, on which numbers, and what it then gave."""
    settings = [setting for setting in chosen(points) if not setting.bound]
    past = points[points["part"] == "history"]
    part = f"the last {format_duration(past['intervals'].iloc[0] * tick_s)} of the history"
    if not settings or not settings[0].held:
        return (
            f"Nothing is recommended: on {part} no setting of any policy kept the SLA on every "
            "link."
        )
    best, by = settings[0], criterion(points)
    least = "over-provisioning"
    if by == "cost":
        least = f"cost, {best.history['cost']:,.4g}; over-provisioning"
    to = f" with {best.history['knob']} {best.value}" if best.value else ""
    return (
        f"Recommended: {best.policy}{to}. On {part} it kept the SLA on every link at the least "
        f"{least}: {_numbers(best.history)}. {_then(best.replay, by)}"
    )


def _then(row: FrontierRow, by: str) -> str:
    cost = f", cost {row['cost']:,.4g}" if by == "cost" else ""
    gave = f"In the replay it then gave over-provisioning of {_numbers(row)}{cost}"
    if keeps(row):
        return f"{gave}, and kept the SLA on every link."
    missed, kept = int(row["links_missing_sla"]), int(row["links_within_sla"])
    return f"{gave}, and failed the SLA on {missed} of {counted(missed + kept, 'link')}."


def _numbers(row: FrontierRow) -> str:
    waste = float(row["over_provisioning_pct"])
    over = "no demand at all" if math.isnan(waste) else f"{waste:.1f} % of mean demand"
    return f"{over}, {100 * row['sla_violation_rate']:.2f} % of intervals violated"


def _number(value: Any) -> float:
    return math.inf if math.isnan(value) else float(value)
