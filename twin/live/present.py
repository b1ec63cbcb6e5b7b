"""The present of a living twin: what follows from an epoch and the records after its beginning.

The live twin writes a record and then lets it have its effect here; a replay of the journal reads
the records and does the same. There is no third way, so that both come to the same.
"""

from __future__ import annotations

import json
import pickle
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, NamedTuple, Self

import numpy as np

from twin.api.simulation import Simulation
from twin.core.errors import InputError, Problem
from twin.demand.repair import LONGEST_S
from twin.demand.trace import Trace
from twin.engine.actions import ClosedInterval
from twin.engine.additions import begun
from twin.engine.deciding import Learnt
from twin.engine.links import capacities
from twin.events.base import Event, event_of
from twin.live.assembly import Assembler, Kept, Terms
from twin.live.epoch import Epoch
from twin.live.journal import Position, Record
from twin.live.moved import events_later, moved_on
from twin.scenario.build import settings_of
from twin.scenario.load import Scenario
from twin.telemetry.source import LiveSource
from twin.telemetry.spec import TelemetrySpec

SAMPLES: Final = b"S"
"""Samples that count, and how many did not."""
CARRIED: Final = b"K"
"""Samples that an earlier epoch held; the first record of an epoch."""
CLOSE: Final = b"C"
"""The next interval closes, and policies decide."""
EVENT: Final = b"E"
"""An event is added."""
ACT: Final = b"A"
"""Another policy acts."""
REFIT: Final = b"R"
"""A new epoch is to begin when the next interval has closed."""
PREPARE: Final = b"P"
"""Policies learn for a new epoch, which begins later."""
DECIDED: Final = b"D"
"""The decision that precedes it is taken: which policies ran into their time limit."""

_SNAP_MS: Final = 1_000
"""How far a time may be before its interval, where the demand states no `snap`."""


def terms_of(scenario: Scenario, epoch: Epoch) -> Terms:
    """Return what samples are assembled by in an epoch of a living scenario."""
    telemetry = scenario.spec.telemetry or TelemetrySpec()
    demand, history = scenario.spec.demand, epoch.history
    tick_ms = history.tick_s * 1000
    every_ms = tick_ms if telemetry.every is None else max(int(telemetry.every * 1000), 1)
    counter = telemetry.kind == "counter"
    snap_ms = min(_SNAP_MS, every_ms // 10) if demand.snap is None else int(demand.snap * 1000)
    shift_ms = snap_ms - (every_ms if demand.stamp == "end" else 0)
    limits = None
    if counter and scenario.routing is None:
        limits = capacities(settings_of(scenario))
    return Terms(
        history.links,
        tuple(history.kpis),
        tick_ms,
        epoch.facts.zero_ms,
        telemetry.unit_mbps(demand.unit),
        0 if counter else shift_ms,
        # A history that was collected may be shorter than what samples still come for.
        max(history.samples - epoch.facts.after, 0),
        max(tick_ms // every_ms, 1),
        max(int(telemetry.late // history.tick_s), int(LONGEST_S // history.tick_s), 1),
        demand.aggregate,
        (telemetry.bits or 64) if counter else None,
        limits,
    )


class Prepared(NamedTuple):
    """A new epoch to come. Samples are counted from the first of the history of this one."""

    why: str
    at: int
    """The interval that it begins with, or later; counted from when the live began."""
    first: int
    """The first sample of its history."""
    fitted: int
    """The sample before which policies learn."""


class LivePresent:
    """The simulation of an epoch, and what feeds it."""

    def __init__(self, scenario: Scenario, epoch: Epoch, *, decides: bool = True) -> None:
        """Begin an epoch of a living scenario. Raises InputError.

        One that does not decide only knows what has come: a scenario that has changed goes on
        from that.
        """
        self._set(epoch)
        self.source = LiveSource(epoch.history)
        """What the simulation is fed by."""
        self.added = tuple(event_of(each) for each in epoch.facts.events)
        self._simulation: Simulation | None = None
        if decides:
            after, fitted = epoch.facts.after, epoch.facts.fitted
            moved = moved_on(scenario, self.source, after, self.added, fitted)
            self._simulation = Simulation.of(moved)
        self.assembler = Assembler(terms_of(scenario, epoch), epoch.history.samples)
        self.counts = Counter(epoch.facts.counts)
        self.acting = epoch.facts.acting
        self.latest: ClosedInterval | None = None
        self.refit: str | None = None
        self.prepared: Prepared | None = None

    def _set(self, epoch: Epoch) -> None:
        self.epoch = epoch
        self.tick_s = epoch.history.tick_s
        self.after = epoch.facts.after

    @property
    def simulation(self) -> Simulation:
        """What decides."""
        assert self._simulation is not None
        return self._simulation

    @property
    def closed(self) -> int:
        """Number of intervals that have closed since the epoch began."""
        return self.source.ready - self.epoch.history.samples

    @property
    def interval(self) -> int:
        """Number of the interval that is under way, counted from when the live began."""
        return self.after + self.closed

    def ends_s(self) -> float:
        """Return when the interval that is under way ends, seconds since 1970."""
        return self.epoch.facts.live_ms / 1000 + (self.interval + 1) * self.tick_s

    def start(
        self,
        timed_out: Collection[str] | None = None,
        learnt: Learnt | None = None,
    ) -> None:
        """Let the policies fit and decide for the first interval, unless they have.

        `timed_out` as in :meth:`apply`; `learnt` is what others have learnt from that history.
        """
        with quiet():
            self.simulation.fit(learnt)
            self.simulation.start(timed_out)

    def decided(self) -> Record:
        """Return what is to be recorded of the latest decision."""
        return Record(DECIDED, json.dumps(self.simulation.timed_out).encode())

    # What records do

    def apply(
        self, record: Record, timed_out: Collection[str] | None = None
    ) -> ClosedInterval | None:
        """Let a record have its effect, and return the interval that it closes, if it does.

        Where that was decided before, `timed_out` are the policies that ran into their time limit
        then; None: time limits hold. Raises RunError where a policy fails and InputError for an
        event that cannot be.
        """
        if record.kind in (SAMPLES, CARRIED):
            kept, outcomes = samples_in(record.payload)
            self.assembler.put(kept)
            self.counts.update(outcomes)
            if record.kind == CARRIED:
                self.assembler.settle()
        elif record.kind == CLOSE:
            return self._close(timed_out)
        elif record.kind == EVENT:
            events = tuple(event_of(each) for each in json.loads(record.payload))
            if self._simulation is not None:
                self._simulation.add(*events)
            self.added += events
        elif record.kind == ACT:
            self.acting = record.payload.decode()
        elif record.kind == REFIT:
            self.refit = record.payload.decode()
        elif record.kind == PREPARE:
            self.prepared = Prepared(**json.loads(record.payload))
        return None

    def _close(self, timed_out: Collection[str] | None) -> ClosedInterval | None:
        rows, revisions = self.assembler.close()
        self.counts["missing"] += sum(int(np.isnan(row).sum()) for row in rows.values())
        self.counts["closed"] += 1
        self.source.deliver(rows, revisions)
        if self._simulation is None:
            return None
        with quiet():
            closed = self._simulation.step(timed_out)
        number = self.after + closed.interval
        self.latest = closed._replace(interval=number, start_s=float(number * self.tick_s))
        return self.latest

    def resolved(self, events: Sequence[Event]) -> list[Event]:
        """Return events with their starts in seconds from the beginning of the epoch.

        Raises InputError for those that cannot be added; nothing has happened yet.
        """
        timed = begun(events, self.simulation.now, self.source, self.simulation.span)
        # Added to a copy: it refuses what cannot be, before the journal holds it.
        self.simulation.fork().add(*timed)
        return list(timed)

    # Where it begins anew

    def known(self, first: int, stop: int | None = None) -> Trace:
        """Return samples first <= i < stop, by default all from there on, as they are known now.

        They are the history of what comes next.
        """
        source, history = self.source, self.epoch.history
        stop = source.ready if stop is None else stop
        kpis = {name: source.values(name, first, stop).copy() for name in source.kpis}
        starts = history.time(first)
        return Trace(
            history.links, kpis, history.tick_s, starts, history.origin, history.digest,
            timezone=history.timezone,
        )  # fmt: skip

    def to_come(self) -> tuple[dict[str, Any], ...]:
        """Return the added events that are not over, their starts from now on."""
        return tuple(
            written(each) for each in events_later(self.added, float(self.closed * self.tick_s))
        )

    # Checkpoints

    def write(self, stream: BinaryIO) -> None:
        """Write all of it, to go on from. Raises InputError where a policy cannot be kept."""
        rest = (
            self.assembler, self.counts, self.acting, self.latest, self.refit, self.prepared,
            self.added,
        )  # fmt: skip
        pickle.dump(rest, stream)
        self.simulation.write_snapshot(stream)

    @classmethod
    def read(cls, stream: BinaryIO, epoch: Epoch) -> Self:
        """Return the present of a checkpoint. Raises InputError for one of another version."""
        present = cls.__new__(cls)
        present._set(epoch)
        rest = pickle.load(stream)
        present.assembler, present.counts, present.acting = rest[:3]
        present.latest, present.refit, present.prepared, present.added = rest[3:]
        simulation = present._simulation = Simulation.read_snapshot(stream)
        assert isinstance(simulation.source, LiveSource)
        present.source = simulation.source
        return present


@contextmanager
def quiet() -> Iterator[None]:
    """Let nothing be said of means of nothing: links may be there of which nothing is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


class Taken(NamedTuple):
    """A record, and what is known of the decision that it led to."""

    record: Record | None
    """None: the epoch's beginning, or the checkpoint's."""
    timed_out: tuple[str, ...] | None
    """The policies that ran into their time limit. None where nobody was told of a decision yet."""
    after: Position
    """Where the journal goes on."""


def taken(records: Iterable[tuple[Record, Position]], place: Position) -> Iterator[Taken]:
    """Yield what a journal holds from `place` on, with the decisions of records beside them."""
    latest = Taken(None, None, place)
    for record, after in records:
        if record.kind == DECIDED:
            latest = latest._replace(timed_out=tuple(json.loads(record.payload)), after=after)
            continue
        yield latest._replace(timed_out=latest.timed_out or ())
        latest = Taken(record, None, after)
    yield latest


def samples_record(kept: Kept, outcomes: dict[str, int]) -> bytes:
    """Return samples as the payload of a record."""
    head = json.dumps({"n": len(kept.cell), "outcomes": outcomes}).encode()
    columns = (kept.cell.astype("<i4"), kept.time_ms.astype("<i8"), kept.values.astype("<f8"))
    return b"\n".join([head, b"".join(column.tobytes() for column in columns)])


def samples_in(payload: bytes) -> tuple[Kept, dict[str, int]]:
    """Return the samples of a record, and how many there were by outcome."""
    head, _, data = payload.partition(b"\n")
    said = json.loads(head)
    n = said["n"]
    cell = np.frombuffer(data, "<i4", n)
    time = np.frombuffer(data, "<i8", n, 4 * n)
    values = np.frombuffer(data, "<f8", n, 12 * n)
    kept = Kept(cell.astype(np.int64), time.astype(np.int64), values.astype(np.float64))
    return kept, said["outcomes"]


def written(event: Event) -> dict[str, Any]:
    """Return an event as plain values, from which `event_of` makes it again."""
    return event.model_dump(mode="json", by_alias=True, exclude_none=True)


def refuse_unknown(policy: str, policies: Sequence[str]) -> None:
    """Raise InputError for a policy that is not there."""
    if policy not in policies:
        what = f"no policy '{policy}'"
        hint = f"there are: {', '.join(policies)}"
        raise InputError(Problem(what, "policy", suggestion=hint))
