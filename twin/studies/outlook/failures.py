"""The busy value of each link under the worst single failure, and how it grows.

Under a failure a link carries its own load and what is moved to it. The first grows as the link
does; the second, which comes from elsewhere, as the demand of the whole network.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from twin.core.arrays import Floats
from twin.demand.busy import BusyStatistic
from twin.routing.shortest_paths import ShortestPaths
from twin.studies.contingency.failures import single_failures


class Worst(NamedTuple):
    """What the worst failure leaves on each link."""

    busy_mbps: Floats
    """[links]; at least the busy value without a failure."""
    failure: list[str]
    """Its name, by link; empty where no failure moves anything to the link."""


def worst_failures(
    routing: ShortestPaths, flows: Floats, statistic: BusyStatistic, tick_s: int
) -> Worst:
    """Return the worst failure of each link in one window.

    `flows` is the demand in the window, Mbit/s, [samples, flows]. Samples with a missing demand are
    left out. A failed link itself carries nothing.
    """
    window_s = float(len(flows) * tick_s)
    flows = flows.copy()
    flows[np.isnan(flows).any(axis=1)] = np.nan
    known = ~np.isnan(flows[:, 0])
    transposed = np.where(known, flows.T, 0.0)
    intact = routing.matrix(np.zeros(len(routing.links), dtype=np.bool_))
    loads = np.asarray(intact @ transposed)
    loads[:, ~known] = np.nan
    worst = statistic.windows(loads.T, window_s, tick_s)[:, 0]
    names = [""] * len(routing.links)
    for failure in single_failures(routing.topology):
        changed = routing.matrix(failure.down) - intact
        changed.eliminate_zeros()
        rows = np.flatnonzero(np.diff(changed.indptr))
        rows = rows[~failure.down[rows]]
        if not len(rows):
            continue
        under = loads[rows] + np.asarray(changed[rows] @ transposed)
        busy = statistic.windows(under.T, window_s, tick_s)[:, 0]
        # What is left of a difference of sums moves nothing.
        for row, value in zip(rows.tolist(), busy.tolist(), strict=True):
            if value > worst[row] * (1 + 1e-9):
                worst[row], names[row] = value, failure.name
    return Worst(worst, names)
