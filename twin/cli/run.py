"""`twin run`: from a scenario to a table, a folder and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from twin.cli.progress import progress
from twin.load import Asked, Scenario
from twin.results.folder import MANIFEST, check_free, files_of
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
    # Before anything is printed: whoever closes the pipe keeps the run.
    result.save(folder, force=force, figures=report)
    print_table(result)
    typer.echo(f"\nWritten to {folder}/: {', '.join([*files_of(folder), MANIFEST])}")
