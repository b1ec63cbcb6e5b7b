"""How many replications a point needs until its interval is narrow enough."""

from __future__ import annotations

import numpy as np

from twin.batches.execute.journal import Journal
from twin.batches.plan.plan import Plan, PlannedPoint
from twin.batches.plan.spec import METRICS, UntilSpec
from twin.batches.statistics.intervals import half_width


def wanted_replications(plan: Plan, journal: Journal, point: PlannedPoint) -> int:
    """Return how many replications a point needs, judged by those that are finished.

    After each block of them the interval is looked at, and another block follows while it is too
    wide. Which runs a batch holds follows from their results alone, not from who made them.
    """
    until, cap = plan.spec.until, plan.spec.replications
    if until is None:
        return cap
    count = min(until.block, cap)
    while count < cap and _precise_enough(plan, journal, point, until, count) is False:
        count = min(count + until.block, cap)
    return count


def _precise_enough(
    plan: Plan, journal: Journal, point: PlannedPoint, until: UntilSpec, count: int
) -> bool | None:
    """Return whether the interval is narrow enough, None while some runs are not done."""
    ids = [plan.run_id(point, replication) for replication in range(count)]
    if any(journal.status(run_id) is None for run_id in ids):
        return None
    column = METRICS.index(until.metric)
    tables = [journal.read(run_id)["rows"] for run_id in ids]
    values = np.array(
        [[row[column] for row in rows] for rows in tables if rows is not None], dtype=np.float64
    )
    values = values.reshape(-1, len(plan.policies))
    if until.difference:
        values = values - values[:, :1]
    if until.policy is not None:
        values = values[:, [plan.policies.index(until.policy)]]
    elif until.difference:
        values = values[:, 1:]
    if not len(values):
        # Where every run fails, more replications would tell nothing.
        return True
    return len(values) > 1 and bool((half_width(values) <= until.half_width).all())
