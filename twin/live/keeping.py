"""What a living twin keeps on disk: journal, epochs, checkpoints, days; and going on from it."""

from __future__ import annotations

import gc
import json
import shutil
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Self

from twin.core.errors import InputError, Problem, RunError
from twin.engine.actions import ClosedInterval
from twin.live.beginning import first_epoch, next_epoch
from twin.live.checkpoint import read_checkpoint
from twin.live.collecting import HistoryCollection
from twin.live.days import Days
from twin.live.epoch import CHECKPOINT, JOURNAL, Epoch, epochs, read_epoch, write_epoch
from twin.live.journal import Position, Record, RecordJournal, read
from twin.live.learning import LearningAside, ticks_ahead
from twin.live.moved import identity, living_scenario, moment_of, stored, under_way
from twin.live.present import CLOSE, PREPARE, SAMPLES, LivePresent, Prepared, taken
from twin.live.samples import NotWrittenError
from twin.live.upkeep import Upkeep
from twin.scenario.load import Scenario
from twin.telemetry.spec import TelemetrySpec


class Keeper:
    """The folder of a living twin's state, and the present that follows from it."""

    def __init__(
        self, base: Scenario, state: Path, present: LivePresent, journal: RecordJournal
    ) -> None:
        """Go on with what :meth:`opened` has found."""
        self.base, self.present = base, present
        self.telemetry = base.spec.telemetry or TelemetrySpec()
        days = Days(state / "days", self.telemetry.retention, self.telemetry.late)
        self._upkeep = Upkeep(days)
        self.collection = (
            HistoryCollection(self.telemetry, present.tick_s) if base.spec.is_collected else None
        )
        """What is collected, where the scenario has no trace."""
        self._state, self._journal = state, journal
        self._learning = LearningAside(state)
        self._ahead = ticks_ahead(base, present.tick_s)
        self._untold = False
        """Whether the latest decision is not in the journal yet."""
        self._hindered: str | None = None
        self._not_before = 0
        self.failure: str | None = None
        """Why it does not decide, in words."""
        self.trouble: str | None = None
        """What the disk has not taken beside the journal, such as a checkpoint; in words."""

    @classmethod
    def opened(cls, scenario: Scenario, state: Path, split: bool, begins: float | None) -> Self:
        """Return the keeper of a state, which is begun where there is none. Raises InputError."""
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
        """Return the keeper after all records of an epoch."""
        present, place = _latest(base, epoch)
        # Another checkpoint would not spare the reading of one.
        begin = time.perf_counter()
        failure, untold, decides, begun = None, False, False, place == Position()
        records = taken(read(epoch.records, place), place)
        try:
            for record, timed_out, after in records:
                place = after
                # Time limits hold for a decision that nobody was told of.
                decides = begun if record is None else record.kind == CLOSE
                untold = decides and timed_out is None
                if record is None:
                    present.start(timed_out)
                else:
                    present.apply(record, timed_out)
        except RunError as error:
            # Samples are still kept, until the scenario is mended.
            failure, untold = str(error), False
            for record, _, after in records:
                place = after
                if record is not None and record.kind == SAMPLES:
                    present.apply(record)
        keeper = cls(base, state, present, RecordJournal(epoch.records, place))
        keeper.failure, keeper._untold = failure, untold
        if failure is None and present.prepared is not None:
            with suppress(OSError):
                keeper._learning.begin(base, present)
        keeper._upkeep.spent = time.perf_counter() - begin
        if decides and not untold and failure is None:
            # It may have ended before it looked.
            keeper._renew()
        with suppress(NotWrittenError):
            keeper.settle()
        if keeper.failure is None and not keeper._untold:
            path = keeper.present.epoch.folder / CHECKPOINT
            keeper._upkeep.after_start(path, keeper.present, keeper._journal.place)
            keeper.trouble = keeper._upkeep.trouble or keeper._hindered
        return keeper

    @property
    def days(self) -> Days:
        """Days that are over."""
        return self._upkeep.days

    def record(self, kind: bytes, payload: bytes) -> None:
        """Write a record and let it have its effect; :meth:`settle` comes before and after.

        Raises NotWrittenError, and RunError where a policy fails that has no fallback.
        """
        begin = time.perf_counter()
        self._journal.append(kind, payload)
        try:
            self.present.apply(Record(kind, payload))
        except RunError as error:
            self.failure = str(error)
            raise
        if kind == CLOSE:
            self._untold = True
            self._upkeep.spent += time.perf_counter() - begin

    def settle(self) -> ClosedInterval | None:
        """Write who decided last, if that is not written; then the decision can be told.

        Return the interval that closed before it. Raises NotWrittenError.
        """
        if not self._untold:
            return None
        self._journal.append(*self.present.decided())
        self._untold = False
        if self.present.closed:
            self._tidy()
        return self.present.latest

    def _tidy(self) -> None:
        """Write what is to be kept elsewhere than in the journal; what fails is said, no more."""
        epoch = self.present.epoch.number
        self._renew()
        if self.present.epoch.number != epoch:
            # What went before is in cycles, and as large as what is there now.
            gc.collect()
        path = self.present.epoch.folder / CHECKPOINT
        self._upkeep.after_tick(path, self.present, self._journal.place)
        self.trouble = self._upkeep.trouble or self._hindered

    def _renew(self) -> None:
        """Begin an epoch if it is time to, or let policies learn for one where that takes long."""
        present, prepared = self.present, self.present.prepared
        if (why := self._anew()) is None:
            return
        if prepared is not None:
            if present.interval >= prepared.at:
                self._begin_anew(prepared.why)
            return
        # What policies learn from has to be final, whenever they do.
        fitted = present.source.ready - present.assembler.terms.window
        if not self._ahead or fitted - self._since < (present.source.ready - self._since) // 2:
            self._begin_anew(why)
            return
        coming = Prepared(why, present.interval + self._ahead, self._since, fitted)
        try:
            self.record(PREPARE, json.dumps(coming._asdict()).encode())
            self._learning.begin(self.base, present)
        except (OSError, NotWrittenError):
            # They learn when it begins, or it is prepared later.
            return

    def _anew(self) -> str | None:
        """Return why it is to begin anew, if it is."""
        present = self.present
        if present.source.ready < self._not_before:
            return None
        if present.refit is not None:
            return present.refit
        if self.collection is not None and (why := self.collection.due(present)) is not None:
            return why
        keep, began = self._kept, present.epoch.history.samples
        if present.source.ready < max(2 * keep, began + keep):
            return None
        later = present.source.ready < max(3 * keep, began + 2 * keep)
        simulation = present.simulation
        ahead = self._ahead if present.prepared is None else 0
        # An event that is under way, and a period of the SLA, end first.
        if later and (under_way(simulation.planned, simulation.now) or self._in_period(ahead)):
            return None
        return f"more than {keep} samples came"

    @property
    def _since(self) -> int:
        """The first sample that is kept where it begins anew now."""
        present, keep = self.present, self._kept
        if self.collection is not None:
            keep = max(min(keep, self.collection.known(present)), 1)
        return max(present.source.ready - keep, 0)

    @property
    def _kept(self) -> int:
        return max(int(self.telemetry.keep // self.present.tick_s), 1)

    def _in_period(self, ahead: int) -> bool:
        """Return whether the interval so many after this one is inside of a period of the SLA."""
        period = self.base.spec.sla.period
        begins = (self.present.interval + ahead) * self.present.tick_s
        return period is not None and bool(begins % period)

    def _begin_anew(self, why: str) -> None:
        """Begin an epoch; what hinders that is said, and it is tried again later."""
        old = self.present
        prepared, learnt = old.prepared, self._learning.learnt()
        first, fitted = (self._since, 0) if prepared is None else prepared[2:]
        epoch, carried = next_epoch(self.base, old, self._state / JOURNAL, first, why, fitted)
        try:
            # Fitted before it is written: one that cannot be fitted would be there for good.
            begin = time.perf_counter()
            present = LivePresent(self.base, epoch)
            present.latest = old.latest
            present.start(learnt=learnt)
            took = time.perf_counter() - begin
            self._upkeep.finish(old)
            write_epoch(epoch, stored(self.base), (present.decided(), carried))
            present.apply(carried)
            *_, (_, place) = read(epoch.records)
            journal = RecordJournal(epoch.records, place)
        except (OSError, RunError, InputError) as error:
            shutil.rmtree(epoch.folder, ignore_errors=True)
            self._hindered = f"cannot begin anew: {error}"
            self._not_before = old.source.ready + max(self._kept // 8, 1)
            if epoch.folder.exists():
                # A restart would go on with that epoch, so nothing may be added to this one.
                self.failure = self._hindered
                self._journal.close()
            return
        self._journal.close()
        self.present, self._journal = present, journal
        # A restart would let policies learn, where they did so beside the twin.
        self._upkeep.spent = took + (0.0 if learnt is None else self._learning.took_s)
        self._hindered = None
        self._learning.end()
        self._forget_epochs()

    def _forget_epochs(self) -> None:
        """Remove epochs whose last interval is older than what is retained."""
        folders = epochs(self._state / JOURNAL)
        now = self.present.interval * self.present.tick_s
        for folder, following in pairwise(folders):
            ended = read_epoch(following).facts.after * self.present.tick_s
            if now - ended > self.telemetry.retention:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Write a checkpoint, where that can be, and let go of the journal."""
        self._learning.end()
        if self.failure is None and not self._untold:
            self.checkpoint()
        else:
            self._upkeep.wait()
        self._journal.close()

    def checkpoint(self) -> None:
        """Write a checkpoint now, where that can be."""
        path = self.present.epoch.folder / CHECKPOINT
        self._upkeep.checkpoint(path, self.present, self._journal.place)


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


def _latest(base: Scenario, epoch: Epoch) -> tuple[LivePresent, Position]:
    """Return the present of the last checkpoint, else that of the epoch's beginning."""
    kept = read_checkpoint(epoch.folder / CHECKPOINT, epoch)
    if kept is not None:
        return kept
    return LivePresent(base, epoch), Position()


def _changed(base: Scenario, epoch: Epoch, state: Path) -> Epoch:
    """Return a new epoch of another scenario, on all that is known at the end of this one."""
    present = LivePresent(base, epoch, decides=False)
    for record, _ in read(epoch.records):
        present.apply(record)
    if present.acting not in [choice.name for choice in base.policies]:
        present.acting = base.policies[0].name
    kept = max(int((base.spec.telemetry or TelemetrySpec()).keep // present.tick_s), 1)
    why = "the scenario, a policy, a model or the version has changed"
    first = max(present.source.ready - kept, 0)
    begun, carried = next_epoch(base, present, state / JOURNAL, first, why)
    # Fitted before it is written: one that cannot be fitted would be there for good.
    anew = LivePresent(base, begun)
    anew.start()
    write_epoch(begun, stored(base), (anew.decided(), carried))
    return begun
