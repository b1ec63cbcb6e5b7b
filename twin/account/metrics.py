"""The metrics of an interval, as the project's users know them from the paper.

For an allocation a, a demand d and a capacity c:

- efficiency = min(d / a, 1)
- wastage = max((a - d) / a, 0)
- utilization = d / a, which may exceed 1
- over-provisioning = max(a - d, 0)
- served = min(d, a, c), unmet = d - served
- violated while unmet > 0

With a = 0: efficiency 1 and wastage 0; utilization 0 without demand, infinite with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Metrics:
    """Metrics of intervals or of pieces of them, all in one shape."""

    efficiency: Floats
    wastage: Floats
    utilization: Floats
    over_provisioning: Floats
    """Mbit/s"""
    served: Floats
    """Mbit/s"""
    unmet: Floats
    """Mbit/s"""
    violated: Floats
    """Share of the time, 0 to 1."""

    def average(self, weights: Floats) -> Metrics:
        """Return the weighted average over the first axis; `weights` sum to 1."""
        return Metrics(
            *(np.sum(weights[:, None] * getattr(self, name), axis=0) for name in self.__slots__)
        )


def measure(demand: Floats, allocated: Floats, capacity: Floats | None) -> Metrics:
    """Return the metrics of each entry; all arguments in Mbit/s and of shapes that broadcast.

    `capacity` is None where it is unlimited. A missing demand (NaN) makes every metric NaN but
    `violated`, which is 0.
    """
    limit = allocated if capacity is None else np.minimum(allocated, capacity)
    served = np.minimum(demand, limit)
    over_provisioning = np.maximum(allocated - demand, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
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
    return Metrics(
        efficiency,
        wastage,
        utilization,
        over_provisioning,
        served,
        demand - served,
        (demand > limit).astype(np.float64),
    )
