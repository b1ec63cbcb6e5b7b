"""The last intervals of every link, as the page draws them; bounded for any number of links."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.api.simulation import Simulation
from twin.core.arrays import Floats
from twin.engine.actions import ClosedInterval
from twin.engine.load import DEMAND

_MOST: Final = 576
_MOST_NUMBERS: Final = 8_000_000
"""Numbers that are kept of all links together; 4 bytes each."""

Row = NDArray[np.float32]


class _Kept(NamedTuple):
    start_s: float
    """Seconds since 1970."""
    demand: Row
    allocated: dict[str, Row]
    """By policy."""


class RecentIntervals:
    """What was demanded and granted lately. It is filled and read in the twin's thread."""

    def __init__(self, links: tuple[str, ...], policies: tuple[str, ...], tick_s: int) -> None:
        self._place = {name: i for i, name in enumerate(links)}
        columns = len(links) * (1 + len(policies))
        self._tick_s = tick_s
        self._kept: deque[_Kept] = deque(maxlen=max(min(_MOST, _MOST_NUMBERS // columns), 12))

    def fill(self, simulation: Simulation, begins_s: float) -> None:
        """Begin with what a simulation that began at `begins_s` knows: its history, and since."""
        recorded, most = simulation.recording(), self._kept.maxlen or 0
        for k, demand in enumerate(reversed(_history(simulation, most - recorded.intervals)), 1):
            self._kept.appendleft(_Kept(begins_s - k * self._tick_s, demand, {}))
        for k in range(max(recorded.intervals - most, 0), recorded.intervals):
            allocated = {lane.name: lane.allocated[k] for lane in recorded.lanes}
            self._keep(begins_s + k * self._tick_s, recorded.demand[k], allocated)

    def add(self, closed: ClosedInterval, begins_s: float) -> None:
        """Note down an interval that has closed."""
        self._keep(begins_s + closed.start_s, closed.demand_mbps, closed.allocated_mbps)

    def _keep(self, start_s: float, demand: Floats, allocated: dict[str, Floats]) -> None:
        rows = {name: row.astype(np.float32) for name, row in allocated.items()}
        self._kept.append(_Kept(start_s, demand.astype(np.float32), rows))

    def of(self, link: str, seconds: float) -> dict[str, Any]:
        """Return one link's last `seconds`: starts of intervals, demand, and allocations."""
        count = max(int(seconds // self._tick_s), 1)
        kept, i = list(self._kept)[-count:], self._place[link]
        policies = list(kept[-1].allocated) if kept else []
        return {
            "time_s": [each.start_s for each in kept],
            "demand_mbps": [_short(each.demand[i]) for each in kept],
            "allocated_mbps": {
                name: [
                    _short(each.allocated[name][i]) if name in each.allocated else None
                    for each in kept
                ]
                for name in policies
            },
        }


def _history(simulation: Simulation, most: int) -> Row:
    """Return the last demand of the links before the simulation began, [intervals, links]."""
    source, stop = simulation.source, simulation.span.first
    rows = source.values(DEMAND, max(stop - max(most, 0), 0), stop)
    routing = simulation.scenario.routing
    if routing is not None:
        usual = routing.matrix(np.zeros(len(simulation.links), dtype=np.bool_))
        rows = np.asarray((usual @ rows.T).T)
    return rows.astype(np.float32)


def _short(value: np.float32) -> float:
    """Return a number as it is drawn: no more digits than it has."""
    return float(f"{value:.6g}")
