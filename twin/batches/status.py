"""How a batch stands: what its folder holds against what its sweep asks for."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from twin.batches.execute.folder import COMPARISONS, MANIFEST, RUNS, at_work
from twin.batches.execute.journal import FILE as JOURNAL
from twin.batches.execute.journal import FileJournal, Journal
from twin.batches.plan.plan import Plan
from twin.batches.statistics.stopping import wanted_replications
from twin.core.errors import InputError, Problem
from twin.core.units import counted
from twin.results.manifest import bounds, versions

_ERRORS_SHOWN = 5


def manifest(plan: Plan, folder: Path, status: str) -> dict[str, Any]:
    """Return what the folder of a batch says of it, ready for JSON."""
    spec = plan.spec
    tables = {name: _digest(folder / name) for name in (RUNS, COMPARISONS)}
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
    """Return what has to be said of a folder before the batch goes on, a sentence each.

    Raises InputError where it holds the batch of another sweep, none of whose runs are wanted.
    """
    before = _read(folder / MANIFEST)
    if before is None:
        return []
    asked = set(plan.ids())
    there = [run_id for run_id in journal.ids() if run_id in asked]
    failed = sum(journal.status(run_id) == "failed" for run_id in there)
    strangers = sum(1 for run_id in journal.ids() if run_id not in asked)
    notes = []
    others = before.get("file")
    if strangers and not there and plan.file and others not in (None, str(plan.file.resolve())):
        what, remedy = f"--out: holds the batch of {others}", "choose another folder"
        raise InputError(Problem(what, file=folder, suggestion=remedy))
    if before.get("sweep_sha256") != _sweep_digest(plan):
        notes.append(
            f"the sweep, or what it is made of, has changed: {len(asked) - len(there)} of its "
            f"runs are new; {counted(strangers, 'finished run')} no longer "
            f"belong{'s' * (strangers == 1)} to it, kept but left out of the tables"
        )
    for name, digest in before.get("sha256", {}).items():
        if _digest(folder / name) != digest:
            notes.append(f"{folder / name}: was changed or damaged: made again from the journal")
    if there:
        again = "; --retry-failed tries those again" if failed else ""
        notes.append(f"{len(there)} of {len(asked)} runs are there, {failed} of them failed{again}")
    return notes


def status(plan: Plan, folder: Path) -> list[str]:
    """Return how a batch stands, line by line; nothing is changed."""
    journal = FileJournal(folder / JOURNAL)
    asked = [
        plan.run_id(point, replication)
        for point in plan.points
        for replication in range(wanted_replications(plan, journal, point))
    ]
    counts = Counter(journal.status(run_id) for run_id in asked)
    errors = Counter(
        journal.read(run_id)["error"] for run_id in asked if journal.status(run_id) == "failed"
    )
    done, failed = counts["done"], counts["failed"]
    state = "at work" if at_work(folder) else "not at work"
    lines = [
        plan.summary(),
        f"{folder}: {state}: {done} done, {failed} failed, {counts[None]} to go",
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


def _read(file: Path) -> dict[str, Any] | None:
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None
