"""Means over all points of a batch, and how sure replications make them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from twin.batches.statistics.intervals import student
from twin.core.arrays import Floats, Ints


class Estimate(NamedTuple):
    """What the runs say of a mean."""

    n: int
    """Replications that it rests on."""
    mean: Floats
    half_width: Floats
    """Half of Student's 95 % interval; NaN where there are fewer than two replications."""


def estimate(values: Floats, points: Ints, replications: Ints) -> Estimate:
    """Return the mean over points of each column of `values`, [runs, columns].

    `points` and `replications` say of each run what it is of. Every point counts the same, with the
    mean of its replications. A replication has one seed at all points, so that its runs err
    together: the interval is made from what each replication as a whole adds to the mean. Where
    every replication has every point, that is Student's interval of the replications' means. Where
    some runs are missing, all others count, and the replications as far as they are complete. A
    column takes the runs that have a number there.
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
    columns = values.shape[1]
    if not len(values):
        return Estimate(0, np.full(columns, np.nan), np.full(columns, np.nan))
    _, at = np.unique(points, return_inverse=True)
    seeds, of = np.unique(replications, return_inverse=True)
    runs = np.bincount(at)
    weight = 1 / (len(runs) * runs[at])
    means = _sums(values, at) / runs[:, None]
    added = _sums((values - means[at]) * weight[:, None], of)
    # Replications, each by its share of the weight: less than their number if some lack points.
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
