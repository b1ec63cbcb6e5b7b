"""The living twin: one object that takes samples, closes intervals, decides, and keeps it all.

It knows no HTTP and no wall clock: `now` is an argument, in seconds since 1970-01-01T00:00Z. Where
the trace has no dates, its first sample is at 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from twin.api.simulation import Simulation
from twin.engine.actions import ClosedInterval
from twin.events.base import Event
from twin.live.samples import Receipt, Samples
from twin.results.result import Result
from twin.scenario.load import Scenario


class LivingTwin:
    """Links under policies, in step with their network."""

    scenario: Scenario
    """What is simulated; its trace is the history."""
    links: tuple[str, ...]
    tick_s: int
    begins_s: float
    """When interval 0 begins: the end of the history."""
    policies: tuple[str, ...]
    acting: str
    """The policy whose allocations count; all others decide in shadow."""
    simulation: Simulation
    """The present state. Fork it to ask what if."""
    counts: Counter[str]
    """Samples by outcome since the state was begun, and `missing`, and `closed` intervals."""
    ready: bool
    """Whether it decides."""
    why_not: str | None
    """Why it does not decide, in words."""

    @classmethod
    def open(
        cls,
        scenario: Scenario,
        state: Path,
        *,
        split: bool = False,
        begins: float | None = None,
        ahead_s: float | None = None,
    ) -> Self:
        """Begin, or go on where the folder `state` ends.

        All of the scenario's trace is history. With `split` only what is before its replay is, so
        that the rest can be fed as if it came now. `begins` is when the live begins, at the
        earliest when the history ends: what lies between is missing; a trace without dates then
        ends there. Samples more than `ahead_s` after `now` are refused, by default a tick. Raises
        InputError, also where another process has the folder.
        """
        raise NotImplementedError

    def take(self, samples: Samples, now: float) -> Receipt:
        """Take samples; once this returns they are on disk.

        Those of links that it does not know are counted and named, and the others are taken. Raises
        BacklogError where too much waits, NotWrittenError where the disk fails; nothing is taken then.
        """
        raise NotImplementedError

    def advance(self, now: float) -> int:
        """Close the intervals that are due, decide, and return their number.

        An interval is due a grace after its end, or at its end once all its samples have come.
        Raises RunError where a policy fails that has no fallback, NotWrittenError where the disk does.
        """
        raise NotImplementedError

    def add(self, *events: Event) -> None:
        """Let events happen from now on; kept like samples. Raises InputError."""
        raise NotImplementedError

    def act(self, policy: str) -> None:
        """Let another of its policies act. Raises InputError for one that it does not have."""
        raise NotImplementedError

    def refit(self, why: str) -> None:
        """Begin anew on all that is known now, so that everything is fitted again; kept."""
        raise NotImplementedError

    def close(self) -> None:
        """Write a checkpoint and let go of the folder."""
        raise NotImplementedError

    def result(self) -> Result:
        """Return what was recorded since it began, or began anew. Raises InputError before."""
        raise NotImplementedError

    def subscribe(self, callback: Callable[[ClosedInterval], object]) -> None:
        """Call `callback` after each interval that closes, once its decision is there."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Return the present: time, intervals closed, links with demand, capacity, down."""
        raise NotImplementedError

    def state_at(self, time: float) -> dict[str, Any]:
        """Return the state in the interval of a past instant. Raises InputError where unknown."""
        raise NotImplementedError

    def allocations(self, policy: str | None = None) -> dict[str, Any]:
        """Return what a policy, by default the acting one, asks for in the coming interval."""
        raise NotImplementedError

    def decisions(self, since: int | None = None) -> list[dict[str, Any]]:
        """Return the acting policy's decisions for the intervals from number `since` on."""
        raise NotImplementedError

    def forecast(self, link: str, ahead_s: float) -> dict[str, Any]:
        """Return the forecast of a link as far as `ahead_s`: times, median, quantiles."""
        raise NotImplementedError


def listen(callbacks: Iterable[Callable[[ClosedInterval], object]], closed: ClosedInterval) -> None:
    """Tell all who subscribed of a closed interval."""
    for callback in callbacks:
        callback(closed)
