"""History that is collected where a scenario has no trace: how much there is, and what it is for.

A twin that knows nothing begins at once. A link of which nothing has come gets its capacity; what
policies can learn from, they learn anew as it grows: when there is an hour or more, when there is
*enough*, and at each doubling until as much is there as is kept.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from twin.core.units import format_duration
from twin.engine.load import DEMAND
from twin.live.present import LivePresent
from twin.telemetry.spec import TelemetrySpec

_LEAST_S: Final = 3600
"""History that is not worth learning from."""


class CollectedHistory(NamedTuple):
    """How much has been collected, and how much is enough."""

    samples: int
    """Of the time since the first one came."""
    needed: int
    tick_s: int

    @property
    def text(self) -> str:
        """It, in words."""
        there, all_of_it = (format_duration(n * self.tick_s) for n in self[:2])
        return f"collecting history: {there if self.samples else 'nothing'} of {all_of_it}"

    def as_dict(self) -> dict[str, int]:
        """Return it as plain values."""
        return {"samples": self.samples, "needed": self.needed}


class HistoryCollection:
    """Watches what a twin without a trace has collected."""

    def __init__(self, telemetry: TelemetrySpec, tick_s: int) -> None:
        self._tick_s = tick_s
        self.needed = self._ticks(telemetry.enough)
        self._steps = tuple(self._sizes(self._ticks(telemetry.keep)))
        self._present: LivePresent | None = None
        self._empty = 0

    def _ticks(self, seconds: float) -> int:
        return max(int(-(-seconds // self._tick_s)), 1)

    def _sizes(self, most: int) -> list[int]:
        """Return the sizes of history that are learnt from, rising."""
        sizes, size = [self.needed], self.needed
        while (size := size // 2) * self._tick_s >= _LEAST_S:
            sizes.append(size)
        size = self.needed
        while (size := size * 2) <= most:
            sizes.append(size)
        return sorted(sizes)

    def known(self, present: LivePresent) -> int:
        """Return the samples since the first one that anything came of."""
        if present is not self._present:
            self._present, self._empty = present, 0
        source = present.source
        while self._empty < source.ready:
            if not np.isnan(source.values(DEMAND, self._empty, self._empty + 1)).all():
                break
            self._empty += 1
        return source.ready - self._empty

    def collected(self, present: LivePresent) -> CollectedHistory | None:
        """Return how much there is, until it is enough."""
        known = self.known(present)
        return None if known >= self.needed else CollectedHistory(known, self.needed, self._tick_s)

    def due(self, present: LivePresent) -> str | None:
        """Return why policies are to learn from what there is now, if they are."""
        known = self.known(present)
        fitted = known - present.closed
        due = [size for size in self._steps if fitted < size <= known]
        if not due:
            return None
        there = format_duration(known * self._tick_s)
        return f"{there} of history came{', which is enough' * (self.needed in due)}"
