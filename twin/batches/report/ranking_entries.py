"""Each policy over the whole batch: how often it keeps the SLA, and what that takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twin.batches.report.source import BURN, OVER, RATE, Found
from twin.batches.statistics.intervals import CONFIDENCE
from twin.core.arrays import Ints

_HAIR = 1e-12


@dataclass(frozen=True, slots=True)
class Standing:
    """One policy."""

    index: int
    name: str
    bound: bool
    rank: int | None
    """From 1; None for a bound."""
    points: int
    """Points at which its mean over replications is within the SLA."""
    runs: int
    """Runs that are within the SLA."""
    broke: int
    """Runs that failed because of it."""
    burn: float
    """Mean share of the SLA's allowance that it uses."""
    over: float
    """Mean over-provisioning, % of demand."""
    beside: bool
    """Whether over-provisioning and violations do not tell it from the one ranked before it."""


def standings(found: Found) -> list[Standing]:
    """Return all policies, best first, bounds last; none where no run ended well.

    First is who keeps the SLA at most points, then who provisions least too much; among those that
    keep it nowhere, who comes closest. Policies that made runs fail come after all others, since
    where they failed their numbers are missing.
    """
    if not len(found.points):
        return []
    points = (found.kept <= 1 + _HAIR).sum(axis=0)
    runs = (found.values(BURN) <= 1 + _HAIR).sum(axis=0)
    burn, over = found.mean(BURN).mean, found.mean(OVER).mean
    lost = np.where(points == 0, burn, 0.0)

    broke = [_broke(found, name) for name in found.policies]

    def place(i: int) -> tuple[float, ...]:
        return (broke[i] > 0, -points[i], _last(lost[i]), _last(over[i]), _last(burn[i]), i)

    order = sorted(found.ranked, key=place)
    bounds = [i for i, name in enumerate(found.policies) if name in found.bounds]
    return [
        Standing(
            index=i,
            name=found.policies[i],
            bound=i in bounds,
            rank=None if i in bounds else at + 1,
            points=int(points[i]),
            runs=int(runs[i]),
            broke=broke[i],
            burn=float(burn[i]),
            over=float(over[i]),
            beside=0 < at < len(order) and _beside(found, i, order[at - 1]),
        )
        for at, i in enumerate([*order, *bounds])
    ]


def surely_kept(found: Found, policy: int) -> Ints | None:
    """Return the points at which the 95 % interval is within the SLA, None without intervals."""
    from scipy.special import stdtrit

    if found.most_replications < 2:
        return None
    values, mean = found.values(BURN)[:, policy], found.kept[:, policy]
    count = np.bincount(found.points)
    spread = np.bincount(found.points, (values - mean[found.points]) ** 2)
    several = count > 1
    free = np.where(several, count - 1, 1)
    width = stdtrit(free, (1 + CONFIDENCE) / 2) * np.sqrt(spread / free / count)
    sure: Ints = np.flatnonzero(several & (mean + width <= 1 + _HAIR))
    return sure


def told_apart(found: Found, metric: str, one: int, other: int) -> bool | None:
    """Return whether the interval of two policies' difference leaves out 0; None without one."""
    apart = found.apart(metric, other)
    mean, width = float(apart.mean[one]), float(apart.half_width[one])
    return None if np.isnan(width) else abs(mean) > width


def _broke(found: Found, policy: str) -> int:
    return sum(str(error).startswith(f"policy {policy}:") for error in found.failed["error"])


def _beside(found: Found, one: int, other: int) -> bool:
    return all(told_apart(found, metric, one, other) is False for metric in (RATE, OVER))


def _last(value: float) -> float:
    return float("inf") if np.isnan(value) else float(value)
