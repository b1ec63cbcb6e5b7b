"""`twin run`: from a scenario to a table, a folder and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from twin.api.run import run
from twin.cli.progress import progress
from twin.results.folder import check_free, files_of, staged
from twin.results.manifest import forecast_facts, forecasts_in_words, unrouted_in_words
from twin.results.manifest_file import MANIFEST, write_manifest
from twin.results.result import Result
from twin.results.table import print_table
from twin.scenario.given import Overrides
from twin.scenario.load import Scenario


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
    place = check_free(folder, force=force)
    if frontier:
        _check_frontier(checked)
    with progress(checked.spec.name) as show:
        result = run(checked, progress=show)
    # Before anything is printed: whoever closes the pipe keeps the run.
    if frontier:
        _save_with_frontier(result, place, force=force, report=report)
    else:
        result.save(place, force=force, figures=report)
    say_result(result, folder, place)


def say_result(result: Result, folder: Path, place: Path) -> None:
    """Print the table of a result, and what was written to `folder`, which is at `place`."""
    print_table(result)
    for sentence in unrouted_in_words(result.recording.unrouted):
        typer.echo(f"Unrouted: {sentence}")
    for name, text in forecasts_in_words(forecast_facts(result.recording.forecasts)).items():
        typer.echo(f"Forecasts, {name}: {text}")
    typer.echo(f"\nWritten to {folder}/: {', '.join([*files_of(place), MANIFEST])}")


def _check_frontier(scenario: Scenario) -> None:
    """Raise InputError where the history is too short for a frontier."""
    from twin.studies.frontier.validation import validation_of

    validation_of(scenario)


def _save_with_frontier(result: Result, folder: Path, *, force: bool, report: bool) -> None:
    """Write a run with what each policy's knob buys, which its report then shows."""
    # Most runs ask for no frontier, and start faster without.
    from twin.report.run.source import FRONTIER, RunData
    from twin.report.run.write import write as write_report
    from twin.studies.frontier.sweep import sweep
    from twin.studies.frontier.write import write as write_frontier

    scenario = result.scenario
    with progress(f"frontier of {scenario.spec.name}") as show:
        frontier = sweep(scenario, progress=show)
    with staged(folder, force=force) as stage:
        result.write(stage, figures=False)
        write_frontier(frontier, stage)
        if report:
            write_report(RunData.of(result).with_frontier(stage / FRONTIER), stage)
        write_manifest(stage, result.manifest)
