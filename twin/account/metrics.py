"""The metrics of an interval, as the project's users know them from the paper.

For an allocation a, a demand d and a capacity c:

- efficiency = min(d / a, 1)
- wastage = max((a - d) / a, 0)
- utilization = d / a, which may exceed 1
- over-provisioning = max(a - d, 0)
- served = min(d, a, c), unmet = d - served
- violated: the seconds with unmet > 0
- overloaded: the seconds with d > c, violated whatever the allocation

Each is measured on a span in which nothing changes; a ramp counts with its mean over that span. Of
an interval with segments of t_s seconds and metrics m_s, the metric is sum(t_s m_s) / sum(t_s): an
average of ratios, not a ratio of averages. Seconds are summed.
With a = 0: efficiency 1 and wastage 0; utilization 0 without demand, infinite with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twin.core.arrays import Floats

_SECONDS = ("violation_s", "overload_s")


@dataclass(frozen=True, slots=True)
class Metrics:
    """Metrics of intervals or of their segments, all in one shape."""

    efficiency: Floats
    wastage: Floats
    utilization: Floats
    over_provisioning: Floats
    """Mbit/s"""
    served: Floats
    """Mbit/s"""
    unmet: Floats
    """Mbit/s"""
    violation_s: Floats
    """Seconds with unmet demand."""
    overload_s: Floats
    """Seconds with demand above capacity; read-only zeros where that is unlimited."""

    def joined(self, seconds: Floats) -> Metrics:
        """Return the metrics of an interval from those of its segments, [segments, links].

        `seconds` are the lengths of the segments, [segments]. Seconds of violation add up;
        everything else is averaged by time.
        """
        values = {
            name: average(getattr(self, name), seconds)
            for name in self.__slots__
            if name not in _SECONDS
        }
        sums = {name: getattr(self, name).sum(axis=0) for name in _SECONDS}
        return Metrics(**values, **sums)


def average(values: Floats, seconds: Floats) -> Floats:
    """Return the average over time of `values` [segments, links], exact where all are equal."""
    mean = np.sum((seconds / seconds.sum())[:, None] * values, axis=0)
    exact: Floats = np.where((values == values[0]).all(axis=0), values[0], mean)
    return exact


def measure(
    demand: Floats, allocated: Floats, capacity: Floats | None, seconds: float | Floats
) -> Metrics:
    """Return the metrics of each entry, which lasts `seconds`.

    `demand`, `allocated` and `capacity`, all in Mbit/s, are of shapes that broadcast; `capacity`
    is None where it is unlimited. A missing demand (NaN) makes every metric NaN but
    `violation_s` and `overload_s`, which are 0.
    """
    limit = allocated if capacity is None else np.minimum(allocated, capacity)
    served = np.minimum(demand, limit)
    over_provisioning = np.maximum(allocated - demand, 0.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        utilization = demand / allocated
        wastage = over_provisioning / allocated
    efficiency = np.minimum(utilization, 1.0)
    nothing = allocated == 0
    if nothing.any():
        idle = nothing & (demand == 0)
        known = nothing & ~np.isnan(demand)
        utilization = np.where(idle, 0.0, utilization)
        efficiency = np.where(known, 1.0, efficiency)
        wastage = np.where(known, 0.0, wastage)
    none = np.broadcast_to(0.0, served.shape)
    return Metrics(
        efficiency,
        wastage,
        utilization,
        over_provisioning,
        served,
        demand - served,
        np.where(demand > limit, seconds, 0.0),
        none if capacity is None else np.where(demand > capacity, seconds, 0.0),
    )
