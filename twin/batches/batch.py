"""One call from a sweep to its tables."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from twin.batches.execute.execution import Execution, Progress, Run, WorkerPool
from twin.batches.execute.executors import local
from twin.batches.execute.folder import (
    BEST,
    COMPARISONS,
    INTERVALS,
    MANIFEST,
    RUNS,
    hold_folder,
    put,
    put_json,
    remove_unfinished,
)
from twin.batches.execute.journal import FILE as JOURNAL
from twin.batches.execute.journal import FileJournal, Journal, MemoryJournal
from twin.batches.plan.plan import Plan
from twin.batches.plan.planner import plan
from twin.batches.statistics.best import best_frame
from twin.batches.statistics.comparisons import comparison_frame
from twin.batches.statistics.stopping import wanted_replications
from twin.batches.statistics.tables import run_frame, run_schema, run_tables
from twin.batches.status import manifest, resume_notes
from twin.core.errors import InputError, Problem
from twin.core.units import counted
from twin.forecast.forecaster import usable_cores
from twin.results.manifest import bounds

if TYPE_CHECKING:
    import pandas as pd

RETRIES = 3
"""Times that a run is tried again after its worker died."""


def _write_csv(table: pd.DataFrame, stream: BinaryIO) -> None:
    stream.write(table.to_csv(index=False, lineterminator="\n").encode())


class Batch:
    """The results of a batch. Tables are made when first asked for."""

    def __init__(
        self, plan: Plan, journal: Journal, folder: Path | None, progress: Progress
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.progress = progress
        self._journal = journal

    def __repr__(self) -> str:
        done, failed = self.progress.done, self.progress.failed
        return f"<Batch {self.plan.spec.name}: {counted(done, 'run')}, {failed} failed>"

    @cached_property
    def runs(self) -> pd.DataFrame:
        """A row for each run and policy: the varied keys, the seed, the metrics over all links."""
        return run_frame(self.plan, self._journal)

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """The paired differences of each policy to the first, at each point and of each metric."""
        return comparison_frame(self.plan, self._journal)

    @cached_property
    def best(self) -> pd.DataFrame:
        """The best policy at each point: who keeps the SLA on every link at least cost or waste."""
        return best_frame(self.runs, bounds(self.plan.scenario))


def batch(
    sweep: str | Path | dict[str, Any] | Plan,
    *,
    out: str | Path | None = None,
    executor: Executor | None = None,
    workers: int = 0,
    chunks: int | None = None,
    retry_failed: bool = False,
    retries: int = RETRIES,
    progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Batch:
    """Run what is missing of a sweep, and return the results of all its runs.

    `sweep` is a file, or a dict with the content of one. With `out` every finished run is kept in
    that folder at once, and the same call resumes what was interrupted; without it nothing is
    written. The work is done by `executor`, which the caller makes and shuts down (processes, or a
    Dask client's `client.get_executor(pure=False)`), with at most `chunks` submitted at a time;
    without one by `workers` processes, or in this process where that is 0. When a worker dies, the
    runs of its chunk are tried again, each up to `retries` times. `retry_failed` tries runs again
    that failed in an earlier call. `progress` is called as runs finish; `say` is called with
    sentences for the user: what the batch holds, and what its folder held before.

    Raises InputError for a sweep or an argument that cannot be used, and RunError where the batch
    cannot go on. A run that fails does not raise: it is a row of the tables.
    """
    planned = sweep if isinstance(sweep, Plan) else plan(sweep)
    folder = None if out is None else Path(out)
    for name, value, least in (
        ("workers", workers, 0),
        ("retries", retries, 0),
        ("chunks", chunks, 1),
    ):
        if value is not None and value < least:
            raise InputError(Problem(f"must be at least {least}, not {value}", name))
    if planned.spec.intervals and folder is None:
        raise InputError(Problem("'intervals' needs a folder to be kept in", ("intervals",)))
    with hold_folder(folder) if folder is not None else nullcontext():
        work = _Work(planned, folder, say or (lambda _: None))
        own = local(workers) if executor is None else executor
        out_at_a_time = (workers or 1) if executor is None else (chunks or 2 * usable_cores())
        pool = WorkerPool(own, out_at_a_time, retries)
        stopped = True
        try:
            work.run(pool, progress or (lambda _: None), again=retry_failed)
            stopped = False
        finally:
            for future in pool.pending:
                future.cancel()
            if executor is None:
                own.shutdown(wait=not stopped, cancel_futures=True)
        return work.finish("complete")


class _Work:
    """One call of a batch, from the state of its folder to its tables."""

    def __init__(self, plan: Plan, folder: Path | None, say: Callable[[str], None]) -> None:
        self._plan = plan
        # A policy that changes the working directory must not move the folder.
        self._folder = folder = None if folder is None else folder.absolute()
        self._progress = Progress()
        self._journal: Journal = MemoryJournal()
        say(plan.summary())
        if not plan.random and plan.spec.replications > 1:
            say("nothing in the scenario is random: every replication gives the same numbers")
        if folder is not None:
            self._journal = journal = FileJournal(folder / JOURNAL, len(plan.policies))
            removed = remove_unfinished(folder)
            for sentence in [*removed, *journal.damaged, *resume_notes(plan, journal, folder)]:
                say(sentence)
            journal.mend()
            self._put_manifest("running")

    def run(self, pool: WorkerPool, show: Callable[[Progress], None], *, again: bool) -> None:
        """Run what is missing, round by round; with `again` also, once, what failed before."""
        if self._plan.spec.intervals:
            pool.keep_intervals = self._keep_intervals
        try:
            while missing := self._missing(again):
                Execution(self._plan, self._journal, pool, self._progress, show).run(missing)
                again = False
        except KeyboardInterrupt:
            self.finish("stopped")
            raise

    def finish(self, status: str) -> Batch:
        """Write the tables, where there is a folder, and return the results."""
        batch = Batch(self._plan, self._journal, self._folder, self._progress)
        if self._folder is not None:
            put(self._folder / RUNS, self._write_runs)
            put(self._folder / COMPARISONS, partial(_write_csv, batch.comparisons))
            put(self._folder / BEST, partial(_write_csv, batch.best))
            self._put_manifest(status)
        return batch

    def _missing(self, again: bool) -> list[Run]:
        """Return the runs that are wanted and not kept yet, and count those that are.

        The first replications of all points come first, then the second: runs of one seed share
        the trace that is generated from it.
        """
        progress, missing = self._progress, []
        progress.total = progress.done = progress.failed = 0
        points = self._plan.points
        counts = [wanted_replications(self._plan, self._journal, point) for point in points]
        for replication in range(max(counts)):
            for point, count in zip(points, counts, strict=True):
                if replication >= count:
                    continue
                progress.total += 1
                status = self._status(self._plan.run_id(point, replication))
                if status is None or (again and status == "failed"):
                    missing.append((point, replication))
                else:
                    progress.done += 1
                    progress.failed += status == "failed"
        return missing

    def _status(self, run_id: str) -> str | None:
        status = self._journal.status(run_id)
        kept = self._intervals_of(run_id)
        lacks = status == "done" and kept is not None and not kept.is_file()
        return None if lacks else status

    def _intervals_of(self, run_id: str) -> Path | None:
        if not self._plan.spec.intervals or self._folder is None:
            return None
        return self._folder / INTERVALS / f"{run_id}.parquet"

    def _keep_intervals(self, run_id: str, table: bytes) -> None:
        path = self._intervals_of(run_id)
        if path is not None:
            put(path, lambda stream: stream.write(table))

    def _write_runs(self, stream: BinaryIO) -> None:
        import pyarrow.parquet as pq

        with pq.ParquetWriter(stream, run_schema(self._plan), compression="zstd") as writer:
            for table in run_tables(self._plan, self._journal):
                writer.write_table(table)

    def _put_manifest(self, status: str) -> None:
        if self._folder is not None:
            put_json(self._folder / MANIFEST, manifest(self._plan, self._folder, status))
