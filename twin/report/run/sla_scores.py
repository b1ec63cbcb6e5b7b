"""How each policy did against the SLA, from the summary and the aggregated intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twin.account.ranking import Ranking, kept_by
from twin.account.summary import ENDS
from twin.report.run.aggregate import Aggregates
from twin.report.run.source import RunData
from twin.report.run.verdict import SlaScore, SlaTerms

if TYPE_CHECKING:
    import pandas as pd

_STATIC = ("static_mean2sigma", "static_p95")
"""What many provision by: the baselines."""


def sla_scores(run: RunData, aggregates: Aggregates) -> list[SlaScore]:
    """Return the score of every policy that is not a bound, in the scenario's order."""
    pooled = {str(name): row for name, row in run.pooled.iterrows()}
    uses, kept = _uses(run.scenario), kept_by(run.by_link)
    scores = []
    for policy in run.ranked:
        links = run.by_link[run.by_link["policy"] == policy]
        row, totals = pooled[policy], aggregates.totals[policy]
        # A link without a known interval has no violation.
        worst = links.iloc[int(links["worst_burn_rate"].fillna(-1.0).to_numpy().argmax())]
        # A target of 0 is used up without bound.
        burn = min(float(worst["worst_burn_rate"]), np.finfo(float).max)
        scores.append(
            SlaScore(
                name=policy,
                within=kept[policy],
                within_servable=int(totals.servable.sum()),
                links=len(links),
                worst_link=str(worst["link"]),
                worst_rate=float(np.nan_to_num(run.target * burn)),
                allowed=int(worst["sla_allowed_intervals"]),
                used=int(worst["sla_used_intervals"]),
                interval=(float(worst[ENDS[0]]), float(worst[ENDS[1]])),
                minutes=float(row["sla_violation_minutes"]),
                waste_pct=float(row["over_provisioning_pct"]),
                allocated=float(row["allocated_mean_mbps"]),
                causes=totals.causes(row),
                static=uses.get(policy) in _STATIC,
                cost=float(row["cost"]),
            )
        )
    return scores


def ranking(run: RunData, aggregates: Aggregates) -> Ranking:
    """Return what policies are ranked by, and how sure their differences are."""
    sums = {name: totals.sums for name, totals in aggregates.totals.items()}
    return Ranking(sums, run.settlement, run.tick_s)


def sla_terms(run: RunData, aggregates: Aggregates) -> SlaTerms:
    """Return what the SLA asks for, and where the capacity alone forbids it."""
    known = _known(run.by_link[run.by_link["policy"] == run.policies[0]])
    shares = {
        link: float(short / count)
        for link, short, count in zip(run.links, aggregates.unservable, known, strict=True)
        if count and short / count > run.target
    }
    period = run.settlement.sla_period or run.intervals
    return SlaTerms(run.target, min(period, run.intervals), run.tick_s, shares)


def _known(links: pd.DataFrame) -> NDArray[np.float64]:
    """Return the intervals of each link whose demand is known."""
    known: NDArray[np.float64] = (links["intervals"] - links["missing_intervals"]).to_numpy()
    return known


def _uses(scenario: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: str(entry.get("use", "")) for entry in scenario["policies"]}
