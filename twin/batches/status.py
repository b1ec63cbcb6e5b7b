"""The state of a batch: what its folder holds, compared with what its sweep asks for."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from twin.batches.execute.folder import BEST, COMPARISONS, MANIFEST, RUNS, at_work, read_batch
from twin.batches.execute.journal import FILE as JOURNAL
from twin.batches.execute.journal import FileJournal, Journal
from twin.batches.plan.plan import Plan
from twin.batches.statistics.stopping import wanted_replications
from twin.core.errors import InputError, Problem
from twin.core.units import counted
from twin.results.manifest import bounds, versions

_ERRORS_SHOWN = 5


def manifest(plan: Plan, folder: Path, status: str) -> dict[str, Any]:
    """Return the manifest of a batch, ready for JSON."""
    spec = plan.spec
    tables = {name: _digest(folder / name) for name in (RUNS, COMPARISONS, BEST)}
    return {
        "status": status,
        "name": spec.name,
        "file": None if plan.file is None else str(plan.file.resolve()),
        "sweep": spec.model_dump(mode="json", exclude_none=True),
        "sweep_sha256": _sweep_digest(plan),
        "scenario": str(plan.scenario.path.resolve()),
        "demand": plan.scenario.trace.origin,
        "sla_target": plan.scenario.spec.sla.target,
        "links": len(plan.scenario.trace.links),
        "seed": plan.seed,
        "random": plan.random,
        "keys": list(spec.keys),
        "points": len(plan.points),
        "policies": list(plan.policies),
        "bounds": bounds(plan.scenario),
        "versions": versions(),
        "sha256": tables if status != "running" else {},
    }


def resume_notes(plan: Plan, journal: Journal, folder: Path) -> list[str]:
    """Return what a user should know of the folder before the batch resumes, a sentence each.

    Raises InputError where it holds the batch of another sweep and no run of this one.
    """
    try:
        earlier = read_batch(folder)
    except InputError:
        return [f"{folder / MANIFEST}: was changed or damaged: made again"]
    if earlier is None:
        return []
    wanted_ids = set(plan.ids())
    kept = [run_id for run_id in journal.ids() if run_id in wanted_ids]
    failed = sum(journal.status(run_id) == "failed" for run_id in kept)
    unwanted = sum(1 for run_id in journal.ids() if run_id not in wanted_ids)
    notes = []
    other_file = earlier.get("file")
    if unwanted and not kept and plan.file and other_file not in (None, str(plan.file.resolve())):
        what, remedy = f"--out: holds the batch of {other_file}", "choose another folder"
        raise InputError(Problem(what, file=folder, suggestion=remedy))
    if earlier.get("sweep_sha256") != _sweep_digest(plan):
        notes.append(
            f"the sweep, or what it is made of, has changed: {len(wanted_ids) - len(kept)} of its "
            f"runs are new; {counted(unwanted, 'finished run')} no longer "
            f"belong{'s' * (unwanted == 1)} to it, kept but left out of the tables"
        )
    for name, digest in earlier.get("sha256", {}).items():
        if _digest(folder / name) != digest:
            notes.append(f"{folder / name}: was changed or damaged: made again from the journal")
    if kept:
        again = "; --retry-failed tries those again" if failed else ""
        notes.append(
            f"{len(kept)} of {len(wanted_ids)} runs are there, {failed} of them failed{again}"
        )
    return notes


def status(plan: Plan, folder: Path, *, whole: bool = True) -> list[str]:
    """Return the state of a batch, line by line; nothing is changed.

    Unless the plan is `whole`, its ids are not those of the runs, and all in the folder count.
    """
    journal = FileJournal(folder / JOURNAL, len(plan.policies))
    ids = [
        plan.run_id(point, replication)
        for point in plan.points
        for replication in range(wanted_replications(plan, journal, point))
    ]
    to_go = sum(journal.status(run_id) is None for run_id in ids)
    if not whole:
        there = list(journal.ids())
        ids, to_go = there, max(len(ids) - len(there), 0)
    counts = Counter(journal.status(run_id) for run_id in ids)
    errors = Counter(
        journal.read(run_id)["error"] for run_id in ids if journal.status(run_id) == "failed"
    )
    done, failed = counts["done"], counts["failed"]
    state = "at work" if at_work(folder) else "not at work"
    lines = [
        plan.summary(),
        f"{folder}: {state}: {done} done, {failed} failed, {to_go} to go",
        *journal.damaged,
    ]
    lines += [f"{counted(count, 'run')}: {e}" for e, count in errors.most_common(_ERRORS_SHOWN)]
    return lines


def _sweep_digest(plan: Plan) -> str:
    points = " ".join(point.digest for point in plan.points)
    text = f"{points} {plan.seed} {plan.spec.replications}"
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(file: Path) -> str | None:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None
