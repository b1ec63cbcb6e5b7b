"""The ranking of policies over the whole batch: who keeps the SLA, and at what cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twin.batches.report.source import BURN, OVER, RATE, BatchData
from twin.batches.statistics.intervals import CONFIDENCE
from twin.core.arrays import Ints

_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class RankingEntry:
    """One policy in the ranking."""

    index: int
    name: str
    look: int
    """The number of its look."""
    bound: bool
    rank: int | None
    """From 1; None for a bound."""
    points: int
    """Points at which it keeps the SLA on every link, its worst link's mean over replications."""
    runs: int
    """Runs in which it keeps the SLA on every link."""
    failed_runs: int
    """Runs that failed because of it."""
    burn: float
    """Mean share of its worst link's error budget that it uses."""
    over: float
    """Mean over-provisioning, % of demand."""
    tied: bool
    """Whether neither what decides nor violations differ surely from the policy before it."""


def rank_policies(batch: BatchData) -> list[RankingEntry]:
    """Return all policies, best first, bounds last; none where every run failed.

    They are in order of the number of points at which they keep the SLA on every link, then of
    cost, or of over-provisioning without prices; those that keep it nowhere are in order of how
    close they come. Policies that made runs fail come after all others, since their numbers are
    missing where they failed.
    """
    if not len(batch.points):
        return []
    points = (batch.mean_burn <= 1 + _TOLERANCE).sum(axis=0)
    runs = (batch.values(BURN) <= 1 + _TOLERANCE).sum(axis=0)
    burn, over = batch.mean(BURN).mean, batch.mean(OVER).mean
    value = batch.mean(batch.deciding).mean
    lost = np.where(points == 0, burn, 0.0)

    failed_runs = [_runs_failed_by(batch, name) for name in batch.policies]

    def place(i: int) -> tuple[float, ...]:
        return (failed_runs[i] > 0, -points[i], _last(lost[i]), _last(value[i]), _last(burn[i]), i)

    order = sorted(batch.ranked, key=place)
    bounds = [i for i, name in enumerate(batch.policies) if name in batch.bounds]
    return [
        RankingEntry(
            index=i,
            name=batch.policies[i],
            look=batch.looks[batch.policies[i]],
            bound=i in bounds,
            rank=None if i in bounds else at + 1,
            points=int(points[i]),
            runs=int(runs[i]),
            failed_runs=failed_runs[i],
            burn=float(burn[i]),
            over=float(over[i]),
            tied=0 < at < len(order) and _tied(batch, i, order[at - 1]),
        )
        for at, i in enumerate([*order, *bounds])
    ]


def surely_kept(batch: BatchData, policy: int) -> Ints | None:
    """Return the points at which the whole 95 % interval is within the SLA, None without one."""
    from scipy.special import stdtrit

    if batch.most_replications < 2:
        return None
    values, mean = batch.values(BURN)[:, policy], batch.mean_burn[:, policy]
    count = np.bincount(batch.points)
    spread = np.bincount(batch.points, (values - mean[batch.points]) ** 2)
    several = count > 1
    free = np.where(several, count - 1, 1)
    width = stdtrit(free, (1 + CONFIDENCE) / 2) * np.sqrt(spread / free / count)
    sure: Ints = np.flatnonzero(several & (mean + width <= 1 + _TOLERANCE))
    return sure


def differ(batch: BatchData, metric: str, one: int, other: int) -> bool | None:
    """Return whether the interval of two policies' difference excludes 0; None without one."""
    difference = batch.difference(metric, other)
    mean, width = float(difference.mean[one]), float(difference.half_width[one])
    return None if np.isnan(width) else abs(mean) > width


def _runs_failed_by(batch: BatchData, policy: str) -> int:
    return sum(str(error).startswith(f"policy {policy}:") for error in batch.failed_runs["error"])


def _tied(batch: BatchData, one: int, other: int) -> bool:
    return all(differ(batch, metric, one, other) is False for metric in (RATE, batch.deciding))


def _last(value: float) -> float:
    return float("inf") if np.isnan(value) else float(value)
