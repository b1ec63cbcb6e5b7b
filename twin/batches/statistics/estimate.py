"""Means over all points of a batch, with confidence intervals over replications."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from twin.batches.statistics.intervals import student
from twin.core.arrays import Floats, Ints


class Estimate(NamedTuple):
    """Means of some columns, each with its confidence interval."""

    n: int
    """Number of replications that the means rest on."""
    mean: Floats
    half_width: Floats
    """Half of Student's 95 % interval; NaN where there are fewer than two replications."""


def estimate(values: Floats, points: Ints, replications: Ints) -> Estimate:
    """Return the mean over points of each column of `values`, [runs, columns].

    `points` and `replications` number the point and the replication of each run. Every point
    counts the same, with the mean of its replications. A replication has the same seed at all
    points, so that its runs err together: the interval is computed from what each replication as a
    whole contributes to the mean. Where every replication has every point, that is Student's
    interval of the replications' means. Where runs are missing, all others count, and replications
    count in proportion to the points that they have. A column uses the runs that have a number in
    it.
    """
    known = np.isfinite(values)
    if known.all():
        return _estimate(values, points, replications)
    each = [
        _estimate(values[mask, i : i + 1], points[mask], replications[mask])
        for i, mask in enumerate(known.T)
    ]
    mean = np.array([column.mean[0] for column in each])
    width = np.array([column.half_width[0] for column in each])
    return Estimate(max((column.n for column in each), default=0), mean, width)


def _estimate(values: Floats, points: Ints, replications: Ints) -> Estimate:
    """Return the estimate of columns that have a number in every run."""
    columns = values.shape[1]
    if not len(values):
        return Estimate(0, np.full(columns, np.nan), np.full(columns, np.nan))
    _, at = np.unique(points, return_inverse=True)
    seeds, of = np.unique(replications, return_inverse=True)
    runs = np.bincount(at)
    weight = 1 / (len(runs) * runs[at])
    means = _sums(values, at) / runs[:, None]
    # With the weight w of a replication and its mean residual r, `added` is w r. For n replications
    # of equal weight 1/n, the sum of their squares is s^2 (n - 1) / n^2, where s is the standard
    # deviation of the replications' means: n / (n - 1) times that is s^2 / n, the squared standard
    # error. With unequal weights n is Kish's effective number, 1 / (sum of w^2).
    added = _sums((values - means[at]) * weight[:, None], of)
    n = round(1 / float((np.bincount(of, weight) ** 2).sum()), 9)
    width = np.full(columns, np.nan)
    if n >= 2:
        width = student(n - 1) * np.sqrt(n / (n - 1) * (added**2).sum(axis=0))
    return Estimate(len(seeds), weight @ values, width)


def point_means(values: Floats, points: Ints, count: int) -> Floats:
    """Return the mean of each point, [points, columns], over the runs that have a number there."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        sums = _sums(np.where(known, values, 0.0), points, count)
        return sums / _sums(known.astype(np.float64), points, count)


def _sums(values: Floats, groups: Ints, count: int = 0) -> Floats:
    return np.column_stack([np.bincount(groups, column, count) for column in values.T])
