"""The state of the links: nominal capacity, and which are down."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.core.sealed import sealed


class _Limit(NamedTuple):
    """A change of nominal capacity that is in force."""

    start: float
    links: Bools
    mbps: float | None
    factor: float


class Network:
    """Capacities and failures of all links at the present instant, Mbit/s, [links]."""

    def __init__(self, base_capacity: Floats) -> None:
        self._base = base_capacity
        self._failures: Ints = np.zeros(len(base_capacity), dtype=np.int64)
        self._drains: Ints = np.zeros(len(base_capacity), dtype=np.int64)
        self._extensions: Floats = np.zeros(len(base_capacity))
        self._limits: dict[str, _Limit] = {}
        self.nominal = base_capacity
        """Capacity without failures; what limits an allocation."""
        self._shown: tuple[Bools, Floats] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A copy of what cannot be written to could be.
        return self.__dict__ | {"_shown": None}

    @property
    def shown(self) -> tuple[Bools, Floats]:
        """Which links are down and the nominal capacity, in arrays that nobody can write to."""
        if self._shown is None:
            self._shown = sealed(self.down), sealed(self.nominal)
        return self._shown

    @property
    def down(self) -> Bools:
        """Links with at least one failure."""
        down = self._failures > 0
        down.setflags(write=False)
        return down

    @property
    def drained(self) -> Bools:
        """Links that traffic is moved away from, where it can."""
        return self._drains > 0

    @property
    def built(self) -> Floats:
        """Capacity with its upgrades, whatever limits it for a time."""
        return self._base + self._extensions

    @property
    def capacity(self) -> Floats:
        """Capacity with failures: 0 on links that are down."""
        return np.where(self.down, 0.0, self.nominal)

    def fail(self, links: Bools) -> None:
        """Begin one failure of each of `links`."""
        self._failures = self._failures + links
        self._shown = None

    def repair(self, links: Bools) -> None:
        """End one failure of each of `links`; overlapping ones keep a link down."""
        self._failures = self._failures - links
        self._shown = None

    def drain(self, links: Bools) -> None:
        """Begin to move traffic away from `links`, which are up."""
        self._drains = self._drains + links

    def undrain(self, links: Bools) -> None:
        """End one drain of each of `links`."""
        self._drains = self._drains - links

    def extend(self, mbps: Floats) -> None:
        """Build so much more capacity, Mbit/s, [links]."""
        self._extensions = self._extensions + mbps
        self.nominal, self._shown = self._combined(), None

    def limit(
        self, key: str, start: float, links: Bools, mbps: float | None, factor: float
    ) -> None:
        """Begin a change of nominal capacity, to `mbps` or by `factor`."""
        self._limits[key] = _Limit(start, links, mbps, factor)
        self.nominal, self._shown = self._combined(), None

    def unlimit(self, key: str) -> None:
        """End the change of nominal capacity that began under `key`."""
        del self._limits[key]
        self.nominal, self._shown = self._combined(), None

    def rebase(self, base_capacity: Floats) -> None:
        """Replace the capacity that changes start from."""
        self._base = base_capacity
        self.nominal, self._shown = self._combined(), None

    def _combined(self) -> Floats:
        # Limits act on what is built: of stated capacities the latest to begin holds, factors
        # multiply.
        nominal, scale = self.built, np.ones(len(self._base))
        for limit in sorted(self._limits.values(), key=lambda limit: limit.start):
            if limit.mbps is not None:
                nominal[limit.links] = limit.mbps
            else:
                scale[limit.links] *= limit.factor
        return nominal * scale
