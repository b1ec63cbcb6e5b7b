"""Intervals that no longer hold what they should: coverage of forecasts, watched on each link.

An interval that holds demand in all but a share p of cases is missed independently, if it is right.
Against the share r p (r = 3) the log likelihood ratio of a miss is ln r and of a hit
ln((1 - r p) / (1 - p)); its sum, never below 0, is Page's test, which is best for this (Moustakides
1986). It is on average above h after exp(h) samples or more though nothing is wrong (Lorden 1971),
so that h = 10 costs less than one false alarm in two months of 5-minute samples. Misses of one
surprise come together: more than two on end count as two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from twin.core.arrays import Bools

_RATIO: Final = 3.0
_ALARM: Final = 10.0
_ON_END: Final = 2
"""Misses on end that count."""


class CoverageLoss(NamedTuple):
    """A link whose intervals are missed too often."""

    link: str
    since: int
    """The first sample of it, counted as :meth:`CoverageMonitor.update` was called."""
    at: int
    """The sample after which it is said."""
    missed: float
    """Share of samples since then that were missed."""


class CoverageMonitor:
    """Watches all links at once, one sample at a time."""

    def __init__(self, links: Sequence[str], nominal: float = 0.1) -> None:
        """Take the share of samples that intervals should miss, which has to be below a third."""
        if not 0 < nominal < 1 / _RATIO:
            raise ValueError(f"a share of {nominal:g} misses cannot triple")
        self.links = tuple(links)
        self._miss = float(np.log(_RATIO))
        self._hit = float(np.log((1 - _RATIO * nominal) / (1 - nominal)))
        self._sum = np.zeros(len(self.links))
        self._on_end, self._since, self._misses, self._known = np.zeros(
            (4, len(self.links)), dtype=np.int64
        )
        self._samples = 0

    def update(self, missed: Bools, known: Bools | None = None) -> list[CoverageLoss]:
        """Take which links' intervals were missed by a sample, of those that are `known`.

        Returns the links on which too many were; they are watched anew from there on.
        """
        known = np.ones(len(self.links), dtype=np.bool_) if known is None else known
        fresh = known & (self._sum == 0)
        self._since[fresh], self._misses[fresh], self._known[fresh] = self._samples, 0, 0
        self._on_end = np.where(known, np.where(missed, self._on_end + 1, 0), self._on_end)
        counted = missed & (self._on_end <= _ON_END)
        step = np.where(counted, self._miss, np.where(missed, 0.0, self._hit))
        self._sum = np.where(known, np.maximum(self._sum + step, 0.0), self._sum)
        self._misses += missed & known
        self._known += known
        found = [
            CoverageLoss(
                self.links[i], int(self._since[i]), self._samples,
                float(self._misses[i] / self._known[i]),
            )
            for i in np.flatnonzero(self._sum > _ALARM).tolist()
        ]  # fmt: skip
        self._sum[self._sum > _ALARM] = 0.0
        self._samples += 1
        return found
