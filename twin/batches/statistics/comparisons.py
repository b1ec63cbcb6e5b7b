"""Paired comparisons of each policy with the first, replication by replication.

In a replication all policies meet the same demand, so their metrics x and y rise and fall together.
Intervals are of the mean of x - y, whose variance, var x + var y - 2 cov(x, y), is then far below
that of two independent samples. Replications are independent of each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from twin.account.catalogue import METRICS as CATALOGUE
from twin.batches.execute.journal import Journal
from twin.batches.plan.plan import Plan, PlannedPoint
from twin.batches.plan.spec import METRICS
from twin.batches.statistics.intervals import bootstrap, half_width
from twin.batches.statistics.tables import finished, value_at
from twin.core.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd


MEASURES = (
    "n", "mean", "reference_mean", "mean_difference", "ci_low", "ci_high", "bootstrap_low",
    "bootstrap_high", "win_rate",
)  # fmt: skip
"""The columns for a policy and a metric at a point. The interval `ci` is Student's for the mean of
the differences, `bootstrap` that of the percentile bootstrap, both at 95 %; `win_rate` is the share
of replications in which the policy does better than the reference, with ties as halves."""


def comparison_frame(plan: Plan, journal: Journal) -> pd.DataFrame:
    """Return a row for each point, each policy after the first, and each metric."""
    import pandas as pd

    head = [*plan.spec.keys, "policy", "reference", "metric"]
    # The last digits of a product of matrices depend on the number of threads.
    with threadpool_limits(1):
        rows = [row for point in plan.points for row in _rows(plan, journal, point)]
    table = pd.DataFrame(rows, columns=[*head, *MEASURES])
    return table.astype({"n": "int64"})


def _rows(plan: Plan, journal: Journal, point: PlannedPoint) -> Iterator[tuple[Any, ...]]:
    done = [run.facts["rows"] for run in finished(plan, journal, point) if run.done]
    if not done or len(plan.policies) < 2:
        return
    values = np.array(done, dtype=np.float64)  # [replications, policies, metrics]
    at = tuple(value_at(plan, point, key) for key in plan.spec.keys)
    first = plan.policies[0]
    for i, policy in enumerate(plan.policies[1:], 1):
        by_metric = _compared(values[:, i], values[:, 0])
        for name, measures in zip(METRICS, by_metric, strict=True):
            yield (*at, policy, first, name, *measures)


def _compared(values: Floats, reference: Floats) -> list[tuple[Any, ...]]:
    """Return the measures of each metric, for values [replications, metrics]."""
    by_metric: list[tuple[Any, ...]] = [(0, *(np.nan,) * (len(MEASURES) - 1))] * values.shape[1]
    known = np.isfinite(values) & np.isfinite(reference)
    # Metrics with numbers in the same replications are computed together: nearly always, all.
    masks, groups = np.unique(known, axis=1, return_inverse=True)
    for group, mask in enumerate(masks.T):
        if not mask.any():
            continue
        columns = np.flatnonzero(groups.ravel() == group)
        own, other = values[mask][:, columns], reference[mask][:, columns]
        difference = own - other
        mean, width = difference.mean(axis=0), half_width(difference)
        low, high = bootstrap(difference)
        measures = (
            own.mean(axis=0), other.mean(axis=0), mean, mean - width, mean + width, low, high,
            _win_rate(difference, columns),
        )  # fmt: skip
        for k, column in enumerate(columns):
            by_metric[column] = (int(mask.sum()), *(float(each[k]) for each in measures))
    return by_metric


def _win_rate(difference: Floats, columns: NDArray[np.int64]) -> Floats:
    better = [CATALOGUE[METRICS[column]].better for column in columns]
    sign = np.array([{"lower": -1.0, "higher": 1.0, "neither": np.nan}[word] for word in better])
    rate: Floats = (0.5 * (1 + np.sign(difference * sign))).mean(axis=0)
    return rate
