"""The living twin: one object that takes samples, closes intervals, decides, and keeps it all.

It knows no HTTP and no wall clock: `now` is an argument, in seconds since 1970-01-01T00:00Z. Where
the trace has no dates and nobody says when the live begins, its first sample is at 0.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from twin.api.simulation import Simulation
from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem, RunError
from twin.core.files import locked
from twin.engine.actions import ClosedInterval
from twin.events.base import Event
from twin.live import answers
from twin.live.collecting import CollectedHistory
from twin.live.epoch import JOURNAL
from twin.live.keeping import Keeper
from twin.live.present import (
    ACT,
    CLOSE,
    EVENT,
    REFIT,
    SAMPLES,
    refuse_unknown,
    samples_record,
    written,
)
from twin.live.samples import BacklogError, Receipt, Samples
from twin.results.result import Result
from twin.scenario.load import Scenario

_MOST_WAITING: Final = 5_000_000
"""Samples of open intervals that are held; they and their keys take 16 bytes each."""


class LivingTwin:
    """Links under policies, in step with their network."""

    def __init__(self, keeper: Keeper, stack: ExitStack, ahead_s: float | None) -> None:
        """Go on with what :meth:`open` has found."""
        self._keeper, self._stack = keeper, stack
        self._lock = threading.RLock()
        self._callbacks: list[Callable[[ClosedInterval], object]] = []
        self.scenario = keeper.base
        """What is simulated, its events counted from when the live began."""
        self.ahead_s = float(self.tick_s) if ahead_s is None else ahead_s
        """Samples that are so much later than now are of the future, and do not count."""

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
        ends there. Where the scenario has no trace, the live begins with nothing
        known. Samples more than `ahead_s` after `now` are refused, by default a tick. A state
        of another scenario (or version) is gone on with anew: on the history that it has. Raises
        InputError, also where another process has the folder.
        """
        with ExitStack() as stack:
            try:
                state.parent.mkdir(parents=True, exist_ok=True)
                # Its checkpoints are programs, and what it holds is the operator's affair.
                state.mkdir(mode=0o700, exist_ok=True)
                stack.callback(_remove_empty, state / JOURNAL)
                (state / JOURNAL).mkdir(exist_ok=True)
                stack.enter_context(locked(state / "lock"))
                keeper = Keeper.opened(scenario, state, split, begins)
            except BlockingIOError:
                what = "is in use by another living twin"
                raise InputError(Problem(what, file=state)) from None
            except OSError as error:
                what = f"cannot be used as a state: {error.strerror or error}"
                raise InputError(Problem(what, file=error.filename or state)) from None
            return cls(keeper, stack.pop_all(), ahead_s)

    # What it is

    @property
    def links(self) -> tuple[str, ...]:
        """Names of the links."""
        return self.scenario.links

    @property
    def flows(self) -> tuple[str, ...]:
        """What samples are of: links, or flows where these are routed over links."""
        return self._keeper.present.source.flows

    @property
    def tick_s(self) -> int:
        """Length of an interval, seconds."""
        return self._keeper.present.tick_s

    @property
    def begins_s(self) -> float:
        """When the live began, and with it interval 0: seconds since 1970."""
        return self._keeper.present.epoch.facts.live_ms / 1000

    @property
    def interval(self) -> int:
        """Number of the interval that is under way."""
        return self._keeper.present.interval

    @property
    def first(self) -> int:
        """Number of the first interval since it began, or began anew."""
        return self._keeper.present.after

    @property
    def why(self) -> str:
        """Why it began, or began anew."""
        return self._keeper.present.epoch.facts.why

    @property
    def refitting(self) -> str | None:
        """Why it is to begin anew when the next interval has closed, if it was asked to."""
        return self._keeper.present.refit

    @property
    def policies(self) -> tuple[str, ...]:
        """Names of the policies."""
        return tuple(choice.name for choice in self.scenario.policies)

    @property
    def acting(self) -> str:
        """The policy whose allocations count; all others decide in shadow."""
        return self._keeper.present.acting

    @property
    def simulation(self) -> Simulation:
        """The present state. Fork it to ask what if."""
        return self._keeper.present.simulation

    @property
    def counts(self) -> Counter[str]:
        """Samples by outcome since the state was begun, `missing` ones, and `closed` intervals."""
        return self._keeper.present.counts

    @property
    def waiting(self) -> int:
        """Number of samples that wait for their interval to close."""
        return self._keeper.present.assembler.waiting

    def heard_s(self) -> Floats:
        """Return up to when each of its flows has sent, seconds since 1970, [flows].

        As far as that is held; when the interval under way begins, where nothing of it waits.
        """
        with self._lock:
            assembler = self._keeper.present.assembler
            kept = assembler.carried()
            heard = np.full(len(self.flows), self.begins_s + self.interval * self.tick_s)
            # As they were sent.
            ends = (kept.time_ms - assembler.terms.shift_ms) / 1000 + self.tick_s
            np.maximum.at(heard, kept.cell % len(self.flows), ends)
            return heard

    @property
    def ready(self) -> bool:
        """Whether it decides."""
        return self._keeper.failure is None

    @property
    def trouble(self) -> str | None:
        """What the disk has not taken beside the journal, such as a checkpoint; in words."""
        return self._keeper.trouble

    @property
    def notices(self) -> list[str]:
        """What an operator should know that hinders nothing, such as a damaged file of a day."""
        return self._keeper.days.notices

    @property
    def collecting(self) -> CollectedHistory | None:
        """What there is of a history where the scenario has no trace, until it is enough."""
        collection = self._keeper.collection
        return None if collection is None else collection.collected(self._keeper.present)

    @property
    def why_not(self) -> str | None:
        """Why it does not decide, in words."""
        return self._keeper.failure

    @property
    def lock(self) -> threading.RLock:
        """What everybody holds who reads more than one thing while others may change them."""
        return self._lock

    def subscribe(self, callback: Callable[[ClosedInterval], object]) -> None:
        """Call `callback` after each interval that closes, once its decision is there.

        Intervals are counted from when the live began.
        """
        self._callbacks.append(callback)

    # In

    def take(self, samples: Samples, now: float) -> Receipt:
        """Take samples; once this returns they are on disk.

        Those of links that it does not know are counted and named, and the others are taken. Raises
        BacklogError where too much waits, NotWrittenError where the disk fails; nothing is taken
        then.
        """
        with self._lock:
            self._settle()
            assembler = self._keeper.present.assembler
            if assembler.waiting + len(samples) > _MOST_WAITING:
                raise BacklogError(f"{assembler.waiting} samples wait for their intervals to close")
            ahead_ms = int(self.ahead_s * 1000)
            kept, outcomes, unknown = assembler.sort(samples, int(now * 1000), ahead_ms)
            if outcomes:
                self._keeper.record(SAMPLES, samples_record(kept, outcomes))
            return Receipt(outcomes, unknown)

    def advance(self, now: float, most: int | None = None) -> int:
        """Close the intervals that are due, at most so many, decide, and return their number.

        An interval is due a grace after its end, or at its end once all its samples have come.
        Raises RunError where a policy fails that has no fallback, NotWrittenError where the disk
        does.
        """
        closed = 0
        with self._lock:
            self._settle()
            while self._due(now) and (most is None or closed < most):
                if self._keeper.failure is not None:
                    raise RunError(self._keeper.failure)
                self._close()
                closed += 1
        return closed

    def _due(self, now: float) -> bool:
        end = self._keeper.present.ends_s()
        if now < end:
            return False
        return (
            now >= end + self._keeper.telemetry.grace_s(self.tick_s)
            or self._keeper.present.assembler.complete
        )

    def _close(self) -> None:
        self._keeper.record(CLOSE, b"")
        self._settle()

    def _settle(self) -> None:
        """Let the latest decision be written and told, unless it was. Raises NotWrittenError."""
        if (latest := self._keeper.settle()) is not None:
            for callback in self._callbacks:
                callback(latest)

    def add(self, *events: Event) -> None:
        """Let events happen from now on; kept like samples. Raises InputError."""
        with self._lock:
            self._settle()
            timed = self._keeper.present.resolved(events)
            self._keeper.record(EVENT, json.dumps([written(each) for each in timed]).encode())

    def act(self, policy: str) -> None:
        """Let another of its policies act. Raises InputError for one that it does not have."""
        refuse_unknown(policy, self.policies)
        with self._lock:
            self._settle()
            self._keeper.record(ACT, policy.encode())

    def refit(self, why: str) -> None:
        """Begin anew on what is known when the next interval has closed; kept.

        All that policies and models learn from the history, they then learn again.
        """
        with self._lock:
            self._settle()
            self._keeper.record(REFIT, why.encode())

    def close(self) -> None:
        """Write a checkpoint and let go of the folder."""
        with self._lock, self._stack:
            self._keeper.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Out

    def result(self) -> Result:
        """Return what was recorded since it began, or began anew. Raises InputError before.

        What was recorded earlier is in the files of :attr:`days_folder`, and in the journals that
        :func:`twin.live.replayed.replayed` decides again.
        """
        with self._lock:
            return self.simulation.result

    def state(self) -> dict[str, Any]:
        """Return the present: time, interval, and of each link demand, capacity, allocation."""
        with self._lock:
            return answers.state(self)

    def state_at(self, time: float) -> dict[str, Any]:
        """Return the same of the interval of a past instant. Raises InputError where unknown."""
        return self.reading_state(time)()

    def reading_state(self, time: float) -> Callable[[], dict[str, Any]]:
        """Return what reads it, which takes a while where the twin has begun anew since.

        It may be called in any thread, and holds up nobody.
        """
        with self._lock:
            return answers.state_at(self, time, self.days_folder)

    def allocations(self, policy: str | None = None) -> dict[str, Any]:
        """Return what a policy, by default the acting one, asks for in the coming interval."""
        with self._lock:
            return answers.allocations(self, policy or self.acting)

    def decisions(self, since: int | None = None, most: int = 288) -> list[dict[str, Any]]:
        """Return the acting policy's decisions from interval number `since` on, at most so many.

        They go back as far as is kept without a hole, by what is kept of days also over times that
        the twin began anew. Without `since` the last one. Raises InputError for a damaged day.
        """
        return self.reading_decisions(since, most)().decisions

    def reading_decisions(self, since: int | None, most: int) -> Callable[[], answers.Decided]:
        """Return what reads them, and from which interval on they are known, in any thread."""
        with self._lock:
            return answers.decisions(self, since, most, self.days_folder)

    @property
    def days_folder(self) -> Path:
        """Where days that are over are kept."""
        return self._keeper.days.folder

    @property
    def latest(self) -> ClosedInterval | None:
        """The interval that closed last."""
        return self._keeper.present.latest


def _remove_empty(folder: Path) -> None:
    """Remove the folder of a journal that was never begun, since the start was refused."""
    with suppress(OSError):
        folder.rmdir()
