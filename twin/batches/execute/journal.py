"""The journal of a batch: a line for each finished run.

A line carries the digest of its content. A line that is cut off or damaged is reported and ignored,
so that its run is made again; all other lines count. One that is whole and says what no batch says
is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from twin.batches.execute.folder import put
from twin.batches.execute.worker import Outcome
from twin.batches.plan.spec import COUNTS, METRICS
from twin.core.errors import InputError, Problem
from twin.core.files import write_end
from twin.core.validation import problems_of

FILE = "journal.jsonl"
_COUNTED = [METRICS.index(name) for name in COUNTS]


class Journal(Protocol):
    """The finished runs of a batch, each with its latest outcome."""

    def status(self, run_id: str) -> str | None:
        """Return ``done``, ``failed``, or None for a run that is not there."""

    def read(self, run_id: str) -> dict[str, Any]:
        """Return what is known of a run: `rows`, `error`, `traceback`, `wall_s`, `worker`."""

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Keep outcomes; once this returns, they are safe."""

    def ids(self) -> Iterator[str]:
        """Yield the ids of all runs that are there."""


class MemoryJournal:
    """A journal for a batch that writes nothing."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[str, Any]] = {}

    def status(self, run_id: str) -> str | None:
        """Return ``done``, ``failed``, or None for a run that is not there."""
        return None if run_id not in self._runs else _status_of(self._runs[run_id])

    def read(self, run_id: str) -> dict[str, Any]:
        """Return what is known of a run."""
        return self._runs[run_id]

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Keep outcomes."""
        self._runs |= {outcome.run_id: _facts(outcome) for outcome in outcomes}

    def ids(self) -> Iterator[str]:
        """Yield the ids of all runs that are there."""
        yield from self._runs


class _Content(BaseModel):
    """What a line says of a run, read from the text of its JSON."""

    model_config = ConfigDict(strict=True)

    run_id: str
    rows: list[list[float | int | None]] | None
    error: str
    traceback: str
    wall_s: float
    worker: str


class _Place(NamedTuple):
    """Where a line is in its file, and what became of its run."""

    start: int
    length: int
    status: str
    number: int


class FileJournal:
    """A journal in a file; memory holds only the place of each run's line."""

    def __init__(self, path: Path, policies: int) -> None:
        """Open the journal of runs of so many policies at `path`, which need not be there yet.

        Raises OSError, and InputError for a line that no batch writes.
        """
        self.path = path
        self._policies = policies
        self.damaged: list[str] = []
        """The lines that are cut off or damaged, a sentence each."""
        self._lines: dict[str, _Place] = {}
        self._count = 0
        self._end = 0
        if path.exists():
            self._scan()

    def status(self, run_id: str) -> str | None:
        """Return ``done``, ``failed``, or None for a run that is not there."""
        return self._lines[run_id].status if run_id in self._lines else None

    def read(self, run_id: str) -> dict[str, Any]:
        """Return what is known of a run."""
        place = self._lines[run_id]
        with self.path.open("rb") as stream:
            stream.seek(place.start)
            facts = _parsed(stream.read(place.length), self.path, place.number)
        if facts is None:
            raise InputError(Problem(f"the line of run {run_id} was changed", file=self.path))
        if facts["rows"] is not None and not self._fits(facts["rows"]):
            what = f"must be {len(METRICS)} metrics for each of {self._policies} policies"
            raise InputError(Problem(what, "rows", self.path, place.number))
        return facts

    def _fits(self, rows: list[list[Any]]) -> bool:
        """Return whether rows are those of a run: one a policy, counts whole numbers."""
        return len(rows) == self._policies and all(
            len(row) == len(METRICS)
            and not any(isinstance(row[i], float) for i in _COUNTED)
            and all(abs(value) < 2**63 for value in row if isinstance(value, int))
            for row in rows
        )

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Write outcomes to the file, all or none; once this returns, they are on the disk."""
        lines = [_line(outcome) for outcome in outcomes]
        write_end(self.path, self._end, b"".join(lines))
        for outcome, line in zip(outcomes, lines, strict=True):
            self._count += 1
            status = _status_of(_facts(outcome))
            self._lines[outcome.run_id] = _Place(self._end, len(line), status, self._count)
            self._end += len(line)

    def ids(self) -> Iterator[str]:
        """Yield the ids of all runs that are there."""
        yield from self._lines

    def mend(self) -> None:
        """Write the file again without its damaged lines, whole or not at all."""
        if not self.damaged:
            return
        with self.path.open("rb") as stream:
            whole = [line for line in stream if _parsed(line, self.path, 0) is not None]
        put(self.path, lambda stream: stream.writelines(whole))
        self._lines.clear()
        self._end = 0
        self._scan()

    def _scan(self) -> None:
        with self.path.open("rb") as stream:
            start = 0
            for number, line in enumerate(stream, 1):
                facts = _parsed(line, self.path, number)
                cut_off = not line.endswith(b"\n")
                if facts is None:
                    damage = "is cut off" if cut_off else "is damaged"
                    self.damaged.append(f"{self.path}:{number}: {damage}: its run is made again")
                else:
                    place = _Place(start, len(line), _status_of(facts), number)
                    self._lines[facts["run_id"]] = place
                self._count = number
                start += len(line)
                if not cut_off:
                    self._end = start


def _facts(outcome: Outcome) -> dict[str, Any]:
    keys = ("run_id", "rows", "error", "traceback", "wall_s", "worker")
    return {key: getattr(outcome, key) for key in keys}


def _line(outcome: Outcome) -> bytes:
    text = json.dumps(_facts(outcome), ensure_ascii=False).encode()
    return b'{"digest": "%s", "run": %s}\n' % (_digest(text), text)


def _parsed(line: bytes, file: Path, number: int) -> dict[str, Any] | None:
    """Return the facts in a line of a file, None where it is cut off or damaged.

    Raises InputError for a whole line that no batch writes.
    """
    head, _, text = line.rstrip(b"\n").removesuffix(b"}").partition(b', "run": ')
    if head != b'{"digest": "%s"' % _digest(text) or not line.endswith(b"\n"):
        return None
    try:
        return _Content.model_validate_json(text).model_dump()
    except ValidationError as error:
        problems = problems_of(error)
        raise InputError(replace(each, file=file, line=number) for each in problems) from None


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:16].encode()


def _status_of(facts: dict[str, Any]) -> str:
    return "failed" if facts["rows"] is None else "done"
