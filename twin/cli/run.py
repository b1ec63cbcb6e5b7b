"""`twin run`: from a scenario to a table, a folder and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from twin.cli.progress import progress
from twin.load import Asked, Scenario
from twin.results.folder import check_free
from twin.results.table import print_table
from twin.runner import run


def run_scenario(
    scenario: str,
    policies: Sequence[str] | None,
    overrides: Sequence[str],
    seed: int | None,
    out: Path | None,
    *,
    force: bool,
    report: bool,
) -> None:
    """Run a scenario, print its table and write its folder."""
    picks = None if policies is None else tuple(policies)
    checked = Scenario.load(scenario, Asked(tuple(overrides), picks, seed))
    folder = out or Path("out") / checked.spec.name
    # Before the run rather than after it.
    check_free(folder, force=force)
    with progress(checked.spec.name) as show:
        result = run(checked, progress=show)
    print_table(result)
    result.save(folder, force=force, figures=report)
    typer.echo(f"\nWritten to {folder}/: {_listed(folder)}")


def _listed(folder: Path) -> str:
    names = sorted(
        str(file.relative_to(folder))
        for pattern in ("*.csv", "*.parquet", "*.json", "*.yaml", "figures/*.png")
        for file in folder.glob(pattern)
    )
    return ", ".join(names)
