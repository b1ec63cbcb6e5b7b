"""How each policy did against the SLA, from the summary and the aggregated intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twin.report.run.aggregate import Aggregates
from twin.report.run.source import RunData
from twin.report.run.verdict import SlaScore, SlaTerms

if TYPE_CHECKING:
    import pandas as pd

_STATIC = ("static_mean2sigma", "static_p95")
"""The paper's baselines."""


def sla_scores(run: RunData, aggregates: Aggregates) -> list[SlaScore]:
    """Return the score of every policy that is not a bound, in the scenario's order."""
    pooled = {str(name): row for name, row in run.pooled.iterrows()}
    uses = _uses(run.scenario)
    scores = []
    for policy in run.ranked:
        links = run.by_link[run.by_link["policy"] == policy]
        # A link without a known interval has no violation.
        rates = links["sla_violation_rate"].fillna(0.0).to_numpy()
        worst, row = int(rates.argmax()), pooled[policy]
        totals = aggregates.totals[policy]
        forced = totals.unservable / np.maximum(_known(links), 1)
        scores.append(
            SlaScore(
                name=policy,
                within=int((rates <= run.target).sum()),
                within_servable=int((rates - forced <= run.target + 1e-12).sum()),
                links=len(rates),
                worst_link=str(links["link"].iloc[worst]),
                worst_rate=float(rates[worst]),
                minutes=float(row["sla_violation_minutes"]),
                waste_pct=float(row["over_provisioning_pct"]),
                allocated=float(row["allocated_mean_mbps"]),
                causes=totals.causes(row),
                static=uses.get(policy) in _STATIC,
            )
        )
    return scores


def sla_terms(run: RunData, aggregates: Aggregates) -> SlaTerms:
    """Return what the SLA asks for, and where the capacity alone forbids it."""
    known = _known(run.by_link[run.by_link["policy"] == run.policies[0]])
    shares = {
        link: float(short / count)
        for link, short, count in zip(run.links, aggregates.unservable, known, strict=True)
        if count and short / count > run.target
    }
    return SlaTerms(run.target, run.intervals, run.tick_s, shares)


def _known(links: pd.DataFrame) -> NDArray[np.float64]:
    """Return the intervals of each link whose demand is known."""
    known: NDArray[np.float64] = (links["intervals"] - links["missing_intervals"]).to_numpy()
    return known


def _uses(scenario: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: str(entry.get("use", "")) for entry in scenario["policies"]}
