"""Busy values of links, window by window, in memory that stays bounded."""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.arrays import Floats
from twin.demand.busy import BusyStatistic
from twin.demand.trace import Trace
from twin.routing.table import Routing, routed

_LINKS: Final = 16
"""Links at a time, so that little is copied at once."""


def measured(trace: Trace) -> Floats:
    """Return the demand that was measured, Mbit/s, [samples, links or flows]."""
    return trace.demand_mbps[: trace.measured]


def busy_values(
    demand: Floats, tick_s: int, routing: Routing | None, of: BusyStatistic, window_s: float
) -> Floats:
    """Return the busy values of windows that are counted back from the end, [links, windows].

    `demand` is [samples, links or flows]; with a routing a last row is that of all flows together.
    Raises ValueError for a window that is no whole number of ticks, or longer than the demand.
    """
    if window_s > len(demand) * tick_s:
        raise ValueError("is longer than the trace")
    if routing is not None:
        return _of_routed(demand, tick_s, routing, of, window_s)
    blocks = [
        of.windows(demand[:, first : first + _LINKS], window_s, tick_s)
        for first in range(0, demand.shape[1], _LINKS)
    ]
    return np.concatenate(blocks)


def _of_routed(
    demand: Floats, tick_s: int, routing: Routing, of: BusyStatistic, window_s: float
) -> Floats:
    matrix = routing.matrix(np.zeros(len(routing.links), dtype=np.bool_))
    length = max(int(window_s // tick_s), 1)
    windows = []
    for start in range(len(demand) % length, len(demand), length):
        flows = demand[start : start + length]
        loads = np.column_stack([routed(matrix, flows), flows.sum(axis=1)])
        windows.append(of.windows(loads, window_s, tick_s))
    return np.concatenate(windows, axis=1)
