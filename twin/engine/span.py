"""How a trace is cut into a history and a replayed part."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReplaySpan:
    """How the grid of the trace is cut, in samples."""

    history: int
    """Samples on which policies may fit: the first of the trace."""
    first: int
    """First replayed sample; those from the history to here are only shown."""
    intervals: int
    """Number of replayed samples; 0 where they are delivered as they come."""
    endless: bool = False
    """Whether they are delivered as they come."""

    @property
    def length(self) -> int | None:
        """Number of replayed samples, None where nobody knows it."""
        return None if self.endless else self.intervals

    def horizon(self, tick_s: int) -> float:
        """Return the end of the replay, seconds from its start; infinite where it has none."""
        return float("inf") if self.endless else float(self.intervals * tick_s)
