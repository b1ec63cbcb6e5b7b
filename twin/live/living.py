"""The living twin: one object that takes samples, closes intervals, decides, and keeps it all.

It knows no HTTP and no wall clock: `now` is an argument, in seconds since 1970-01-01T00:00Z. Where
the trace has no dates and nobody says when the live begins, its first sample is at 0.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

from twin.api.simulation import Simulation
from twin.core.errors import InputError, Problem, RunError
from twin.core.files import locked
from twin.engine.actions import ClosedInterval
from twin.events.base import Event
from twin.live import answers
from twin.live.beginning import begun_epoch, first_epoch
from twin.live.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from twin.live.days import Days
from twin.live.epoch import CHECKPOINT, Epoch, epochs, read_epoch
from twin.live.journal import Journal, Place, Record, read
from twin.live.moved import identity, living_scenario, moment_of, under_way
from twin.live.present import (
    ACT,
    CLOSE,
    EVENT,
    REFIT,
    SAMPLES,
    Present,
    refuse_unknown,
    samples_record,
    written,
)
from twin.live.samples import BacklogError, Receipt, Samples
from twin.results.result import Result
from twin.scenario.load import Scenario
from twin.telemetry.spec import TelemetrySpec

JOURNAL: Final = "journal"
"""The folder of a state that `twin run --journal` replays."""
_MOST_WAITING: Final = 5_000_000
"""Samples of open intervals that are held; they and their keys take 16 bytes each."""
_REPLAY_S: Final = 2.0
"""Seconds that a restart may spend on deciding again; then a checkpoint is written."""


class LivingTwin:
    """Links under policies, in step with their network."""

    def __init__(self, base: Scenario, state: Path, present: Present, journal: Journal) -> None:
        """Go on with what :meth:`open` has found."""
        self.scenario = base
        """What is simulated, its events counted from when the live began."""
        self._state, self._present, self._journal = state, present, journal
        self._stack = ExitStack()
        self._lock = threading.RLock()
        self._callbacks: list[Callable[[ClosedInterval], object]] = []
        self._failure: str | None = None
        self._spent = 0.0
        self._written_in = 0.0
        telemetry = base.spec.telemetry or TelemetrySpec()
        self._telemetry = telemetry
        self._days = Days(state / "days", telemetry.retention, telemetry.late)
        self.ahead_s = float(self.tick_s)
        """Samples that are so much later than now are of the future, and do not count."""
        self.trouble: str | None = None
        """What the disk has not taken beside the journal, such as a checkpoint; in words."""

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
        ends there. Samples more than `ahead_s` after `now` are refused, by default a tick. A state
        of another scenario (or version) is gone on with anew: on the history that it has. Raises
        InputError, also where another process has the folder.
        """
        with ExitStack() as stack:
            try:
                (state / JOURNAL).mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(state / "lock"))
                twin = cls._opened(scenario, state, split, begins)
            except BlockingIOError:
                what = "is in use by another living twin"
                raise InputError(Problem(what, file=state)) from None
            except OSError as error:
                what = f"cannot be used as a state: {error.strerror or error}"
                raise InputError(Problem(what, file=error.filename or state)) from None
            if ahead_s is not None:
                twin.ahead_s = ahead_s
            twin._stack = stack.pop_all()
        return twin

    @classmethod
    def _opened(cls, scenario: Scenario, state: Path, split: bool, begins: float | None) -> Self:
        folders = epochs(state / JOURNAL)
        if not folders:
            base, epoch = first_epoch(scenario, state / JOURNAL, split, begins)
        else:
            epoch = read_epoch(folders[-1])
            refuse_others(scenario, epoch)
            begin = None if epoch.history.starts is None else moment_of(epoch.facts.live_ms / 1000)
            base = living_scenario(scenario, epoch.history, begin)
            if identity(base) != epoch.facts.identity:
                epoch = _changed(base, epoch, state)
        return cls._resumed(base, epoch, state)

    @classmethod
    def _resumed(cls, base: Scenario, epoch: Epoch, state: Path) -> Self:
        """Return the twin after all records of an epoch."""
        begin = time.perf_counter()
        present, place = _latest(base, epoch)
        failure = None
        records = read(epoch.records, place)
        try:
            present.start()
            for record, after in records:
                place = after
                present.apply(record)
        except RunError as error:
            # Samples are still kept, until the scenario is mended.
            failure = str(error)
            for record, after in records:
                place = after
                if record.kind == SAMPLES:
                    present.apply(record)
        twin = cls(base, state, present, Journal(epoch.records, place))
        twin._failure = failure
        twin._spent = time.perf_counter() - begin
        return twin

    # What it is

    @property
    def links(self) -> tuple[str, ...]:
        """Names of the links."""
        return self.scenario.links

    @property
    def flows(self) -> tuple[str, ...]:
        """What samples are of: links, or flows where these are routed over links."""
        return self._present.source.flows

    @property
    def tick_s(self) -> int:
        """Length of an interval, seconds."""
        return self._present.tick_s

    @property
    def begins_s(self) -> float:
        """When the live began, and with it interval 0: seconds since 1970."""
        return self._present.epoch.facts.live_ms / 1000

    @property
    def interval(self) -> int:
        """Number of the interval that is under way."""
        return self._present.interval

    @property
    def first(self) -> int:
        """Number of the first interval since it began, or began anew."""
        return self._present.after

    @property
    def policies(self) -> tuple[str, ...]:
        """Names of the policies."""
        return tuple(choice.name for choice in self.scenario.policies)

    @property
    def acting(self) -> str:
        """The policy whose allocations count; all others decide in shadow."""
        return self._present.acting

    @property
    def simulation(self) -> Simulation:
        """The present state. Fork it to ask what if."""
        return self._present.simulation

    @property
    def counts(self) -> Counter[str]:
        """Samples by outcome since the state was begun, `missing` ones, and `closed` intervals."""
        return self._present.counts

    @property
    def waiting(self) -> int:
        """Number of samples that wait for their interval to close."""
        return self._present.assembler.waiting

    @property
    def ready(self) -> bool:
        """Whether it decides."""
        return self._failure is None

    @property
    def why_not(self) -> str | None:
        """Why it does not decide, in words."""
        return self._failure

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
            assembler = self._present.assembler
            if assembler.waiting + len(samples) > _MOST_WAITING:
                raise BacklogError(f"{assembler.waiting} samples wait for their intervals to close")
            ahead_ms = int(self.ahead_s * 1000)
            kept, outcomes, unknown = assembler.sort(samples, int(now * 1000), ahead_ms)
            if outcomes:
                self._record(SAMPLES, samples_record(kept, outcomes))
            return Receipt(outcomes, unknown)

    def advance(self, now: float, most: int | None = None) -> int:
        """Close the intervals that are due, at most so many, decide, and return their number.

        An interval is due a grace after its end, or at its end once all its samples have come.
        Raises RunError where a policy fails that has no fallback, NotWrittenError where the disk
        does.
        """
        closed = 0
        with self._lock:
            while self._due(now) and (most is None or closed < most):
                if self._failure is not None:
                    raise RunError(self._failure)
                self._close()
                closed += 1
        return closed

    def _due(self, now: float) -> bool:
        end = self._present.ends_s()
        if now < end:
            return False
        return now >= end + self._telemetry.grace_s(self.tick_s) or self._present.assembler.complete

    def _close(self) -> None:
        begin = time.perf_counter()
        try:
            latest = self._record(CLOSE, b"")
        except RunError as error:
            self._failure = str(error)
            raise
        self._spent += time.perf_counter() - begin
        self._tidy()
        assert latest is not None
        for callback in self._callbacks:
            callback(latest)

    def add(self, *events: Event) -> None:
        """Let events happen from now on; kept like samples. Raises InputError."""
        with self._lock:
            timed = self._present.resolved(events)
            self._record(EVENT, json.dumps([written(each) for each in timed]).encode())

    def act(self, policy: str) -> None:
        """Let another of its policies act. Raises InputError for one that it does not have."""
        refuse_unknown(policy, self.policies)
        with self._lock:
            self._record(ACT, policy.encode())

    def refit(self, why: str) -> None:
        """Begin anew on what is known when the next interval has closed; kept.

        All that policies and models learn from the history, they then learn again.
        """
        with self._lock:
            self._record(REFIT, why.encode())

    def _record(self, kind: bytes, payload: bytes) -> ClosedInterval | None:
        self._journal.append(kind, payload)
        return self._present.apply(Record(kind, payload))

    # What is kept, and how much of it

    def _tidy(self) -> None:
        """Write what is to be kept elsewhere than in the journal; what fails is said, no more."""
        if (why := self._anew_now()) is not None:
            self._begin_anew(why)
        try:
            self._days.keep(self._present)
            # No more than a tenth of the time goes into checkpoints.
            if self._spent > max(_REPLAY_S, 10 * self._written_in):
                self._checkpoint()
            self.trouble = None
        except OSError as error:
            self.trouble = f"{error.filename or self._state}: {error.strerror or error}"

    def _anew_now(self) -> str | None:
        """Return why it is to begin anew, if it is."""
        present = self._present
        if present.refit is not None:
            return present.refit
        keep, began = self._kept, present.epoch.history.samples
        if present.source.ready < max(2 * keep, began + keep):
            return None
        later = present.source.ready < max(3 * keep, began + 2 * keep)
        simulation = present.simulation
        # An event that is under way, and a period of the SLA, end first.
        if later and (under_way(simulation.planned, simulation.now) or self._in_period()):
            return None
        return f"more than {keep} samples came"

    @property
    def _kept(self) -> int:
        return max(int(self._telemetry.keep // self.tick_s), 1)

    def _in_period(self) -> bool:
        period = self.scenario.spec.sla.period
        return period is not None and bool(self._present.interval * self.tick_s % period)

    def _begin_anew(self, why: str) -> None:
        self._days.finish(self._present)
        old, journal = self._present, self._journal
        epoch = begun_epoch(self.scenario, old, self._state / JOURNAL, self._kept, why)
        present = Present(self.scenario, epoch)
        present.latest = old.latest
        present.start()
        self._journal = Journal(epoch.records, Place())
        for record, place in read(epoch.records):
            present.apply(record)
            self._journal.close()
            self._journal = Journal(epoch.records, place)
        self._present = present
        journal.close()
        self._spent = 0.0
        self._forget_epochs()

    def _forget_epochs(self) -> None:
        """Remove epochs whose last interval is older than what is retained."""
        folders = epochs(self._state / JOURNAL)
        now = self._present.interval * self.tick_s
        for folder, following in pairwise(folders):
            ended = read_epoch(following).facts.after * self.tick_s
            if now - ended > self._telemetry.retention:
                shutil.rmtree(folder, ignore_errors=True)

    def _checkpoint(self) -> None:
        begin = time.perf_counter()
        checkpoint = Checkpoint(self._journal.place, self._present.moment())
        write_checkpoint(self._present.epoch.folder / CHECKPOINT, checkpoint)
        self._written_in = time.perf_counter() - begin
        self._spent = 0.0

    def close(self) -> None:
        """Write a checkpoint and let go of the folder."""
        with self._lock, self._stack:
            if self._failure is None:
                with suppress(OSError, InputError):
                    self._checkpoint()
            self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Out

    def result(self) -> Result:
        """Return what was recorded since it began, or began anew. Raises InputError before."""
        with self._lock:
            return self.simulation.result

    def state(self) -> dict[str, Any]:
        """Return the present: time, interval, and of each link demand, capacity, allocation."""
        with self._lock:
            return answers.state(self)

    def state_at(self, time: float) -> dict[str, Any]:
        """Return the same of the interval of a past instant. Raises InputError where unknown."""
        with self._lock:
            return answers.state_at(self, time, self._days)

    def allocations(self, policy: str | None = None) -> dict[str, Any]:
        """Return what a policy, by default the acting one, asks for in the coming interval."""
        with self._lock:
            return answers.allocations(self, policy or self.acting)

    def decisions(self, since: int | None = None, most: int = 288) -> list[dict[str, Any]]:
        """Return the acting policy's decisions from interval number `since` on, at most so many.

        Without `since` the last one.
        """
        with self._lock:
            return answers.decisions(self, since, most)

    def forecast(self, link: str, ahead_s: float) -> dict[str, Any]:
        """Return the forecast of a link as far as `ahead_s`: times, median, quantiles."""
        with self._lock:
            return answers.forecast(self, link, ahead_s)

    @property
    def latest(self) -> ClosedInterval | None:
        """The interval that closed last."""
        return self._present.latest


def refuse_others(scenario: Scenario, epoch: Epoch) -> None:
    """Raise InputError where a state is of other links, KPIs or another tick."""
    trace, history = scenario.trace, epoch.history
    pairs = (
        ("links", trace.links, history.links),
        ("KPIs", tuple(trace.kpis), tuple(history.kpis)),
        ("tick", trace.tick_s, history.tick_s),
    )
    for what, asked, there in pairs:
        if asked != there:
            said = f"is a state of other {what} than those of the scenario"
            remedy = "name another folder with --state"
            raise InputError(Problem(said, file=epoch.folder, suggestion=remedy))


def _latest(base: Scenario, epoch: Epoch) -> tuple[Present, Place]:
    """Return the present of the last checkpoint, else that of the epoch's beginning."""
    checkpoint = read_checkpoint(epoch.folder / CHECKPOINT)
    size = epoch.records.stat().st_size
    if checkpoint is not None and checkpoint.place.position <= size:
        with suppress(InputError):
            return Present.at(checkpoint.moment, epoch), checkpoint.place
    return Present(base, epoch), Place()


def _changed(base: Scenario, epoch: Epoch, state: Path) -> Epoch:
    """Return a new epoch of another scenario, on all that is known at the end of this one."""
    present = Present(base, epoch, decides=False)
    for record, _ in read(epoch.records):
        present.apply(record)
    if present.acting not in [choice.name for choice in base.policies]:
        present.acting = base.policies[0].name
    kept = max(int((base.spec.telemetry or TelemetrySpec()).keep // present.tick_s), 1)
    why = "the scenario, a policy, a model or the version has changed"
    return begun_epoch(base, present, state / JOURNAL, kept, why)
