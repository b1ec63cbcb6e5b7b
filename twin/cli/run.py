"""`twin run`: from a scenario to a table, a folder and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from twin.api.run import run
from twin.cli.progress import progress
from twin.results.folder import MANIFEST, added, check_free, files_of
from twin.results.manifest import forecast_facts, forecasts_in_words, unrouted_in_words
from twin.results.table import print_table
from twin.scenario.load import Overrides, Scenario


def run_scenario(
    scenario: str,
    policies: Sequence[str] | None,
    overrides: Sequence[str],
    seed: int | None,
    out: Path | None,
    *,
    force: bool,
    report: bool,
    frontier: bool = False,
    fork: str | None = None,
    branches: Sequence[Path] = (),
    lead_times: str | None = None,
) -> None:
    """Run a scenario, print its table and write its folder, with its frontier where asked.

    With a `fork`, run its `branches` from that time on beside it. With `lead_times`, a list with
    commas, compare these.
    """
    picks = None if policies is None else tuple(policies)
    checked = Scenario.load(scenario, Overrides(tuple(overrides), picks, seed))
    if fork is not None:
        from twin.cli.branches import run_forked

        run_forked(checked, fork, list(branches), out, force=force, report=report)
        return
    if lead_times is not None:
        from twin.cli.lead_times import run_lead_times

        run_lead_times(checked, lead_times, out, force=force, report=report)
        return
    folder = out or Path("out") / checked.spec.name
    # Before the run rather than after it.
    check_free(folder, force=force)
    if frontier:
        _check_frontier(checked)
    with progress(checked.spec.name) as show:
        result = run(checked, progress=show)
    # Before anything is printed: whoever closes the pipe keeps the run.
    result.save(folder, force=force, figures=report)
    if frontier:
        _add_frontier(checked, folder, report=report)
    print_table(result)
    for sentence in unrouted_in_words(result.recording.unrouted):
        typer.echo(f"Unrouted: {sentence}")
    for name, text in forecasts_in_words(forecast_facts(result.recording.forecasts)).items():
        typer.echo(f"Forecasts, {name}: {text}")
    typer.echo(f"\nWritten to {folder}/: {', '.join([*files_of(folder), MANIFEST])}")


def _check_frontier(scenario: Scenario) -> None:
    """Raise InputError where the history is too short for a frontier."""
    from twin.studies.frontier.validation import validation_of

    validation_of(scenario)


def _add_frontier(scenario: Scenario, folder: Path, *, report: bool) -> None:
    """Add what each policy's knob buys to the folder of a run, and to its report."""
    # Most runs ask for no frontier, and start faster without.
    from twin.report.run.source import RunData
    from twin.report.run.write import write as write_report
    from twin.studies.frontier.sweep import sweep
    from twin.studies.frontier.write import write as write_frontier

    with progress(f"frontier of {scenario.spec.name}") as show:
        frontier = sweep(scenario, progress=show)
    with added(folder) as stage:
        write_frontier(frontier, stage)
    if report:
        read = RunData.read(folder)
        with added(folder) as stage:
            write_report(read, stage)
