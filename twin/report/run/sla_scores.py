"""Each policy's standing against the SLA, from the summary and the walk over the intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twin.report.run.aggregate import Gathered
from twin.report.run.source import Report
from twin.report.run.verdict import Standing, Terms

if TYPE_CHECKING:
    import pandas as pd

_STATIC = ("static_mean2sigma", "static_p95")
"""The paper's baselines."""


def standings(report: Report, gathered: Gathered) -> list[Standing]:
    """Return how each policy did that is no bound, in the scenario's order."""
    pooled = {str(name): row for name, row in report.pooled.iterrows()}
    uses = _uses(report.scenario)
    found = []
    for policy in report.ranked:
        links = report.by_link[report.by_link["policy"] == policy]
        # A link without a known interval has violated none.
        rates = links["sla_violation_rate"].fillna(0.0).to_numpy()
        worst, row = int(rates.argmax()), pooled[policy]
        tally = gathered.tallies[policy]
        forced = tally.unservable / np.maximum(_known(links), 1)
        found.append(
            Standing(
                name=policy,
                within=int((rates <= report.target).sum()),
                within_servable=int((rates - forced <= report.target + 1e-12).sum()),
                links=len(rates),
                worst_link=str(links["link"].iloc[worst]),
                worst_rate=float(rates[worst]),
                minutes=float(row["sla_violation_minutes"]),
                waste_pct=float(row["over_provisioning_pct"]),
                allocated=float(row["allocated_mean_mbps"]),
                causes=tally.causes(row),
                static=uses.get(policy) in _STATIC,
            )
        )
    return found


def terms(report: Report, gathered: Gathered) -> Terms:
    """Return what the SLA asks for, and where the capacity alone forbids it."""
    known = _known(report.by_link[report.by_link["policy"] == report.policies[0]])
    shares = {
        link: float(short / count)
        for link, short, count in zip(report.links, gathered.unservable, known, strict=True)
        if count and short / count > report.target
    }
    return Terms(report.target, report.intervals, report.tick_s, shares)


def _known(links: pd.DataFrame) -> NDArray[np.float64]:
    """Return the intervals of each link whose demand is known."""
    known: NDArray[np.float64] = (links["intervals"] - links["missing_intervals"]).to_numpy()
    return known


def _uses(scenario: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: str(entry.get("use", "")) for entry in scenario["policies"]}
