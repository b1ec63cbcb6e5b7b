"""Who comes first under the SLA, and whether the lead over the others is more than chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from twin.account.summary import Settlement
from twin.account.uncertainty import Difference, StretchSums, difference

if TYPE_CHECKING:
    import pandas as pd

OVER, COST = "over_provisioning_pct", "cost"


@dataclass(frozen=True, slots=True)
class Ranking:
    """What policies are ranked by, and how sure their differences are."""

    sums: Mapping[str, StretchSums]
    """Of each policy, on the same demand."""
    settlement: Settlement
    tick_s: int

    @property
    def metric(self) -> str:
        """The column that decides: cost where there are prices, else over-provisioning."""
        return OVER if self.settlement.prices is None else COST

    def difference(self, one: str, other: str) -> Difference:
        """Return how much more of the metric `one` has than `other`.

        In points of % of demand, or in the currency of the prices for all links and intervals.
        """
        a, b, prices = self.sums[one], self.sums[other], self.settlement.prices
        if prices is None:
            found = difference(a.over_provisioning - b.over_provisioning, a.demand)
            return Difference(100 * found.mean, 100 * found.half_width)
        terms = prices, self.settlement.change_cost, self.tick_s
        _, known = a.pooled
        found = difference(a.cost(*terms) - b.cost(*terms), known)
        total = float(known.sum())
        return Difference(total * found.mean, total * found.half_width)

    def alike(self, best: str, others: Iterable[str]) -> list[str]:
        """Return those of `others` that cannot be told apart from `best`."""
        return [name for name in others if not self.difference(name, best).sure]


def kept_by(summary: pd.DataFrame) -> dict[str, int]:
    """Return on how many links each policy keeps the SLA in every period, of rows by link."""
    kept = summary["sla_used_intervals"] <= summary["sla_allowed_intervals"]
    return {str(name): int(count) for name, count in kept.groupby(summary["policy"]).sum().items()}


def in_order(
    names: Sequence[str], kept: Mapping[str, bool], values: Mapping[str, float]
) -> list[str]:
    """Return policies in order: those that keep the SLA first, then by value, NaN last."""

    def place(name: str) -> tuple[bool, float]:
        value = values[name]
        return not kept[name], np.inf if np.isnan(value) else value

    return sorted(names, key=place)
