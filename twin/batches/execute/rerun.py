"""Repeats one run of a batch, to get all its records."""

from __future__ import annotations

from pathlib import Path

from threadpoolctl import threadpool_limits

from twin.api.run import run
from twin.batches.execute.journal import FILE, FileJournal
from twin.batches.execute.worker import pooled
from twin.batches.plan.identity import seed_of
from twin.batches.plan.payload import UnpackedPayload, seeded
from twin.batches.plan.plan import Plan
from twin.results.result import Result
from twin.scenario.cache import Cache


def rerun(plan: Plan, run_id: str) -> Result:
    """Repeat a run of the plan as a worker runs it. Raises RunError where it fails."""
    place = next(i for i, each in enumerate(plan.ids()) if each == run_id)
    number, replication = divmod(place, plan.spec.replications)
    _, payload = plan.payload.sealed()
    scenario = UnpackedPayload(payload).scenario(plan.packed(plan.points[number]))
    with threadpool_limits(1):
        return run(seeded(scenario, seed_of(plan.seed, replication), Cache()))


def agrees(result: Result, run_id: str, folder: Path) -> bool:
    """Return whether a result has the same numbers as the batch in `folder`, if it has the run."""
    journal = FileJournal(folder / FILE, len(result.recording.lanes))
    if journal.status(run_id) is None:
        return True
    rows: list[list[float | int | None]] | None = journal.read(run_id)["rows"]
    return rows == pooled(result)
