"""The course of a change of demand: how much of it is there at any instant."""

from __future__ import annotations

from dataclasses import dataclass

from twin.core.arrays import Bools


@dataclass(frozen=True, slots=True)
class Course:
    """Demand becomes base x factor + add_mbps; times in seconds from the start of the replay.

    It is at its height from `start + ramp` to `end - ramp`; before that it rises, and after that it
    falls, linearly.
    """

    start: float
    end: float
    ramp: float
    factor: float
    add_mbps: float
    flows: Bools
    """Demand series that it touches, [flows]."""

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """When it changes: begin, end of the rise, begin of the fall, end."""
        return (self.start, self.start + self.ramp, self.end - self.ramp, self.end)

    def share(self, time: float) -> float:
        """Return its share of its height at `time`, between 0 and 1."""
        if not self.start <= time < self.end:
            return 0.0
        if self.ramp == 0:
            return 1.0
        return min(1.0, (time - self.start) / self.ramp, (self.end - time) / self.ramp)
