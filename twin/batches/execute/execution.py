"""Runs what is missing: chunks go to workers, and each result is recorded as it comes back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Final

from twin.batches.execute.executors import call_began, worker_died
from twin.batches.execute.journal import Journal
from twin.batches.execute.worker import (
    Chunk,
    OtherVersionsError,
    Outcome,
    PayloadMissingError,
    Task,
    run_chunk,
)
from twin.batches.plan.identity import seed_of
from twin.batches.plan.plan import Plan, PlannedPoint
from twin.core.errors import RunError
from twin.results.manifest import versions

_CHUNK_S: Final = 0.5
"""Seconds of work in a chunk: far more than sending it takes, and little to lose with a worker."""
_LARGEST: Final = 50
"""Runs in a chunk at the most."""
_STARTS: Final = 100
"""Workers of a batch that may die while they start."""

Run = tuple[PlannedPoint, int]
"""A point, and the number of one of its replications."""


@dataclass(slots=True)
class Progress:
    """Numbers of runs: all that are wanted, those that are finished, those of these that failed."""

    total: int = 0
    done: int = 0
    failed: int = 0


@dataclass(slots=True)
class WorkerPool:
    """The workers of a batch, and how much they get at a time."""

    executor: Executor
    chunks: int
    """Chunks that are submitted at a time."""
    retries: int
    """Times that a run is tried again after its worker died."""
    keep_intervals: Callable[[str, bytes], None] | None = None
    """Stores the interval table of a run, given its id; None where they are not wanted."""
    pending: dict[Future[list[Outcome]], list[Run]] = field(default_factory=dict)


class Execution:
    """Runs the missing runs of one batch."""

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        pool: WorkerPool,
        progress: Progress,
        show: Callable[[Progress], None],
    ) -> None:
        self._plan = plan
        self._journal = journal
        self._pool = pool
        self._show = show
        self._progress = progress
        self._digest, self._payload = plan.payload.sealed()
        self._deaths: dict[str, int] = {}
        self._never_began = 0
        self._again: deque[list[Run]] = deque()
        self._seconds, self._timed = 0.0, 0

    def run(self, runs: Iterable[Run]) -> None:
        """Run all `runs`; each is in the journal before it is counted as done.

        Raises RunError where the workers cannot work at all; the journal keeps what was finished.
        """
        self._show(self._progress)
        waiting = iter(runs)
        pending = self._pool.pending
        while True:
            while len(pending) < self._pool.chunks:
                chunk = self._next(waiting)
                if not chunk:
                    break
                self._submit(chunk)
            if not pending:
                return
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                self._receive(future, pending.pop(future))

    def _next(self, waiting: Iterator[Run]) -> list[Run]:
        if self._again:
            return self._again.popleft()
        chunk: list[Run] = []
        for run in waiting:
            chunk.append(run)
            if len(chunk) >= self._chunk_size():
                break
        return chunk

    def _chunk_size(self) -> int:
        if not self._timed:
            return 1
        left = self._progress.total - self._progress.done
        fair = left // (4 * self._pool.chunks)
        each = self._seconds / self._timed
        return max(1, min(int(_CHUNK_S / max(each, 1e-6)), fair, _LARGEST))

    def _submit(self, runs: list[Run], payload: bytes | None = None) -> None:
        points = {point.number: point for point, _ in runs}
        packed = {number: self._plan.packed(point) for number, point in points.items()}
        tasks = tuple(
            Task(self._plan.run_id(point, r), point.number, seed_of(self._plan.seed, r))
            for point, r in runs
        )
        chunk = Chunk(packed, tasks, self._pool.keep_intervals is not None)
        submit = self._pool.executor.submit
        future = submit(run_chunk, self._digest, chunk, versions(), payload)
        self._pool.pending[future] = runs

    def _receive(self, future: Future[list[Outcome]], runs: list[Run]) -> None:
        error = CancelledError() if future.cancelled() else future.exception()
        if error is None:
            self._record(future.result())
        elif isinstance(error, PayloadMissingError):
            self._submit(runs, self._payload)
        elif isinstance(error, OtherVersionsError):
            raise RunError(f"{error}: install the same everywhere")
        elif worker_died(error):
            if call_began(self._pool.executor, future):
                self._retry(runs)
            else:
                self._try_to_start_again(runs)
        else:
            raise error

    def _try_to_start_again(self, runs: list[Run]) -> None:
        """Give the runs of a worker that died while it started to another: they did not kill it."""
        self._never_began += 1
        if self._never_began > _STARTS:
            raise RunError(f"workers died {self._never_began} times while they started")
        self._again.append(runs)

    def _retry(self, runs: list[Run]) -> None:
        """Try the runs of a dead worker again, one by one, since one of them may have killed it."""
        given_up = []
        for run in runs:
            run_id = self._plan.run_id(*run)
            self._deaths[run_id] = self._deaths.get(run_id, 0) + 1
            if self._deaths[run_id] <= self._pool.retries:
                self._again.append([run])
                continue
            error = f"its worker died {self._deaths[run_id]} times"
            given_up.append(Outcome(run_id, None, error))
        if given_up:
            self._record(given_up)

    def _record(self, outcomes: list[Outcome]) -> None:
        if self._pool.keep_intervals is not None:
            for outcome in outcomes:
                if outcome.intervals is not None:
                    self._pool.keep_intervals(outcome.run_id, outcome.intervals)
        try:
            self._journal.append(outcomes)
        except OSError as error:
            what = f"the journal cannot be written: {error.strerror}"
            raise RunError(f"{what}; what it holds is kept, and the same command goes on") from None
        by_workers = [outcome for outcome in outcomes if outcome.worker]
        self._seconds += sum(outcome.wall_s for outcome in by_workers)
        self._timed += len(by_workers)
        self._progress.done += len(outcomes)
        self._progress.failed += sum(outcome.rows is None for outcome in outcomes)
        self._show(self._progress)
