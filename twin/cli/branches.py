"""`twin run --fork`: one past, several futures, one table and one report."""

from __future__ import annotations

import hashlib
from pathlib import Path

import typer

from twin.account.summary import ALL
from twin.api.branches import TRUNK, BranchedRun, run_branches
from twin.cli.progress import progress
from twin.core.errors import InputError, Problem
from twin.core.units import duration, format_duration
from twin.report.branches import FutureData, render
from twin.results.folder import check_free, staged
from twin.results.manifest import versions
from twin.results.manifest_file import write_manifest
from twin.results.table import show_rows
from twin.scenario.load import Scenario

_SHOWN = (
    ("violated\n% intervals", "sla_violation_rate", 100.0, "{:.3f}"),
    ("violated\nminutes", "sla_violation_minutes", 1.0, "{:.0f}"),
    ("unmet\nGbit", "unmet_mbit", 0.001, "{:.2f}"),
    ("over-prov.\n% of demand", "over_provisioning_pct", 1.0, "{:.1f}"),
    ("allocated\nMbit/s", "allocated_mean_mbps", 1.0, "{:.1f}"),
)
"""Header, column, factor and format."""


def run_forked(
    scenario: Scenario,
    fork: str,
    branches: list[Path],
    out: Path | None,
    *,
    force: bool,
    report: bool,
) -> None:
    """Run a scenario and its branches, print how they compare and write their folder."""
    try:
        at = duration(fork)
    except ValueError as error:
        raise InputError(Problem(str(error), "--fork")) from None
    folder = out or Path("out") / f"{scenario.spec.name}-forked"
    place = check_free(folder, force=force)
    branches = [file.absolute() for file in branches]
    with progress(scenario.spec.name) as show:
        branched = run_branches(scenario, at, branches, show)
    _save(branched, place, branches, force=force, report=report)
    _print(branched)
    typer.echo(f"\nWritten to {folder}/: branches.csv, and a folder for each future")


def _save(
    branched: BranchedRun, folder: Path, files: list[Path], *, force: bool, report: bool
) -> None:
    texts = {TRUNK: ""} | {
        name: file.read_text(encoding="utf-8")
        for name, file in zip([n for n in branched.results if n != TRUNK], files, strict=True)
    }
    with staged(folder, force=force) as stage:
        for name, result in branched.results.items():
            (stage / name).mkdir()
            result.write(stage / name, figures=report)
            write_manifest(stage / name, result.manifest)
        branched.summary.to_csv(stage / "branches.csv", index=False, lineterminator="\n")
        futures = [FutureData(name, text, name) for name, text in texts.items()]
        scenario = branched.results[TRUNK].scenario
        if report:
            title = f"{scenario.spec.name}: futures"
            page = render(title, format_duration(branched.at), branched.summary, futures)
            (stage / "report.html").write_text(page, encoding="utf-8", newline="\n")
        facts = {
            "status": "complete",
            "name": scenario.spec.name,
            "fork_s": branched.at,
            "branches": {
                name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()
            },
            "versions": versions(),
        }
        write_manifest(stage, facts)


def _print(branched: BranchedRun) -> None:
    pooled = branched.summary[branched.summary["link"] == ALL]
    fork = format_duration(branched.at)
    typer.echo(f"From {fork} on, all links:")
    rows = [
        [
            row["policy"],
            row["branch"],
            *(form.format(factor * row[column]) for _, column, factor, form in _SHOWN),
        ]
        for policy in pooled["policy"].unique()
        for row in pooled[pooled["policy"] == policy].to_dict("records")
    ]
    show_rows(["policy", "branch", *(header for header, *_ in _SHOWN)], rows)
