"""The state of the links: nominal capacity, and which are down."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats
from twin.events.capacity_change import CapacityChange


class Network:
    """Capacities and failures of all links at the present instant, Mbit/s, [links]."""

    def __init__(self, base_capacity: Floats) -> None:
        self._base = base_capacity
        self._failures = np.zeros(len(base_capacity), dtype=np.int64)
        self._changes: list[tuple[CapacityChange, NDArray[np.bool_]]] = []
        self.nominal = base_capacity
        """Capacity without failures; what limits an allocation."""

    @property
    def down(self) -> NDArray[np.bool_]:
        """Links with at least one failure."""
        down = self._failures > 0
        down.setflags(write=False)
        return down

    @property
    def capacity(self) -> Floats:
        """Capacity with failures: 0 on links that are down."""
        return np.where(self.down, 0.0, self.nominal)

    def fail(self, links: NDArray[np.bool_]) -> None:
        """Take links down."""
        self._failures = self._failures + links

    def repair(self, links: NDArray[np.bool_]) -> None:
        """End one failure of each of `links`; overlapping ones keep a link down."""
        self._failures = self._failures - links

    def change(self, spec: CapacityChange, links: NDArray[np.bool_]) -> None:
        """Begin a change of nominal capacity."""
        self._changes.append((spec, links))
        self.nominal = self._combined()

    def restore(self, spec: CapacityChange) -> None:
        """End a change of nominal capacity."""
        self._changes = [change for change in self._changes if change[0] is not spec]
        self.nominal = self._combined()

    def _combined(self) -> Floats:
        # Of several stated capacities the latest to begin holds; factors multiply.
        nominal, scale = self._base.copy(), np.ones(len(self._base))
        for spec, links in sorted(self._changes, key=lambda change: change[0].start):
            if spec.capacity_mbps is not None:
                nominal[links] = spec.capacity_mbps
            else:
                scale[links] *= spec.factor or 1.0
        return nominal * scale
