"""The journal of a batch: a line for each finished run, whole or not there.

A line carries the digest of what it says. One that is cut off or damaged is told and counts for
nothing, so that its run is made again; all others stand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from twin.batches.execute.folder import put
from twin.batches.execute.worker import Outcome
from twin.core.errors import InputError, Problem
from twin.core.files import write_end

FILE = "journal.jsonl"


class Journal(Protocol):
    """Finished runs, the latest outcome of each."""

    def status(self, run_id: str) -> str | None:
        """Return ``done``, ``failed``, or None for a run that is not there."""

    def read(self, run_id: str) -> dict[str, Any]:
        """Return what is known of a run: `rows`, `error`, `traceback`, `wall_s`, `worker`."""

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Keep outcomes; once this returns they are kept."""

    def ids(self) -> Iterator[str]:
        """Yield the ids of all runs that are there."""


class MemoryJournal:
    """A journal for a batch that writes nothing."""

    def __init__(self) -> None:
        self._runs: dict[str, dict[str, Any]] = {}

    def status(self, run_id: str) -> str | None:
        """Return ``done``, ``failed``, or None for a run that is not there."""
        return None if run_id not in self._runs else _status(self._runs[run_id])

    def read(self, run_id: str) -> dict[str, Any]:
        """Return what is known of a run."""
        return self._runs[run_id]

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Keep outcomes."""
        self._runs |= {outcome.run_id: _facts(outcome) for outcome in outcomes}

    def ids(self) -> Iterator[str]:
        """Yield the ids of all runs that are there."""
        yield from self._runs


class FileJournal:
    """A journal in a file; only where each run lies is kept in memory."""

    def __init__(self, path: Path) -> None:
        """Open the journal at `path`, which need not be there yet. Raises OSError."""
        self.path = path
        self.damaged: list[str] = []
        """What was found that is no whole line, a sentence each."""
        self._places: dict[str, tuple[int, int, str]] = {}
        self._end = 0
        if path.exists():
            self._scan()

    def status(self, run_id: str) -> str | None:
        """Return ``done``, ``failed``, or None for a run that is not there."""
        return self._places[run_id][2] if run_id in self._places else None

    def read(self, run_id: str) -> dict[str, Any]:
        """Return what is known of a run."""
        start, length, _ = self._places[run_id]
        with self.path.open("rb") as stream:
            stream.seek(start)
            facts = _whole(stream.read(length))
        if facts is None:
            raise InputError(Problem(f"the line of run {run_id} was changed", file=self.path))
        return facts

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Write outcomes to the file, all or none; once this returns they outlast the machine."""
        lines = [_line(outcome) for outcome in outcomes]
        write_end(self.path, self._end, b"".join(lines))
        for outcome, line in zip(outcomes, lines, strict=True):
            self._places[outcome.run_id] = (self._end, len(line), _status(_facts(outcome)))
            self._end += len(line)

    def ids(self) -> Iterator[str]:
        """Yield the ids of all runs that are there."""
        yield from self._places

    def mend(self) -> None:
        """Write the file again without what is damaged, whole or not at all."""
        if not self.damaged:
            return
        with self.path.open("rb") as stream:
            whole = [line for line in stream if _whole(line) is not None]
        put(self.path, lambda stream: stream.writelines(whole))
        self._places.clear()
        self._end = 0
        self._scan()

    def _scan(self) -> None:
        with self.path.open("rb") as stream:
            start = 0
            for number, line in enumerate(stream, 1):
                facts = _whole(line)
                cut_off = not line.endswith(b"\n")
                if facts is None:
                    what = "is cut off" if cut_off else "is damaged"
                    self.damaged.append(f"{self.path}:{number}: {what}: its run is made again")
                else:
                    self._places[facts["run_id"]] = (start, len(line), _status(facts))
                start += len(line)
                if not cut_off:
                    self._end = start


def _facts(outcome: Outcome) -> dict[str, Any]:
    keys = ("run_id", "rows", "error", "traceback", "wall_s", "worker")
    return {key: getattr(outcome, key) for key in keys}


def _line(outcome: Outcome) -> bytes:
    text = json.dumps(_facts(outcome), ensure_ascii=False).encode()
    return b'{"digest": "%s", "run": %s}\n' % (_digest(text), text)


def _whole(line: bytes) -> dict[str, Any] | None:
    """Return what a line says, None where it is not whole."""
    head, _, text = line.rstrip(b"\n").removesuffix(b"}").partition(b', "run": ')
    if head != b'{"digest": "%s"' % _digest(text) or not line.endswith(b"\n"):
        return None
    facts: dict[str, Any] = json.loads(text)
    return facts


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:16].encode()


def _status(facts: dict[str, Any]) -> str:
    return "failed" if facts["rows"] is None else "done"
