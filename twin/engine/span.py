"""How a trace is cut into a history and what is replayed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReplaySpan:
    """How the grid of the trace is cut, in samples."""

    history: int
    """Samples on which policies may fit: the first of the trace."""
    first: int
    """First replayed sample; those from the history to here are only shown."""
    intervals: int | None
    """Number of replayed samples; None where they are delivered as they come."""

    def horizon(self, tick_s: int) -> float:
        """Return the end of the replay, seconds from its start; infinite where it has none."""
        return float("inf") if self.intervals is None else float(self.intervals * tick_s)
