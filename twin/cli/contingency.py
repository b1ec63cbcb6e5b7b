"""`twin contingency`: every failure at every tick against what each policy had allocated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from twin.cli.progress import progress
from twin.core.units import counted, format_duration
from twin.results.folder import check_free, files_of
from twin.results.manifest_file import MANIFEST
from twin.results.table import show_rows
from twin.scenario.given import Overrides
from twin.scenario.load import Scenario
from twin.studies.contingency.failures import NONE
from twin.studies.contingency.study import Contingencies, contingencies, without_shortfall
from twin.studies.contingency.write import save

_WORST = 5
"""Failures that are shown of each policy."""


def run_contingency(
    scenario: str,
    policies: Sequence[str] | None,
    overrides: Sequence[str],
    out: Path | None,
    *,
    order: int,
    sample: int | None,
    force: bool,
    report: bool = True,
) -> None:
    """Hold every failure against a scenario's policies; print and write."""
    picks = None if policies is None else tuple(policies)
    checked = Scenario.load(scenario, Overrides(tuple(overrides), picks))
    folder = out or Path("out") / f"{checked.spec.name}-contingency"
    # Before the run rather than after it.
    check_free(folder, force=force)
    with progress(f"failures of {checked.spec.name}") as show:
        study = contingencies(checked, order=order, sample=sample, progress=show)
    # Before anything is printed: whoever closes the pipe keeps the tables.
    save(study, folder, force=force, report=report)
    _print(study)
    typer.echo(f"\nWritten to {folder}/: {', '.join([*files_of(folder), MANIFEST])}")


def _print(study: Contingencies) -> None:
    scenario, table = study.result.scenario, study.failures
    tried, intervals = table["failure"].nunique() - 1, scenario.span.intervals - study.skipped
    typer.echo(
        f"{scenario.spec.name}: {counted(tried, 'failure')} at each of {intervals} intervals, "
        f"{counted(len(scenario.links), 'link')}"
    )
    if study.skipped:
        typer.echo(f"{counted(study.skipped, 'interval')} with a missing demand left out")
    headers = ["policy", "failure", "unrouted\nGbit", "unserved\nGbit", "violated\nlink-minutes",
               "links\nviolated", "worst\nlink", "load over\nallocation", "at"]  # fmt: skip
    rows: list[list[str]] = []
    for _, of_policy in table.groupby("policy", sort=False):
        none = of_policy[of_policy["failure"] == NONE]
        struck = of_policy[of_policy["failure"] != NONE]
        worst = struck.sort_values("unserved_mbit", ascending=False, kind="stable").head(_WORST)
        rows += [_cells(row) for each in (none, worst) for row in each.to_dict("records")]
    show_rows(headers, rows, ())
    for policy, (whole, share) in without_shortfall(table, intervals).items():
        typer.echo(
            f"{policy}: no link is short under {whole} of {counted(tried, 'failure')} at any "
            f"interval, and in {100 * share:.1f} % of all failures and intervals"
        )


def _cells(row: Mapping[Any, Any]) -> list[str]:
    return [
        row["policy"], row["failure"], f"{row['unrouted_mbit'] / 1e3:,.1f}",
        f"{row['unserved_mbit'] / 1e3:,.1f}", f"{row['violation_minutes']:,.0f}",
        str(row["links_violated"]), row["worst_link"], f"{100 * row['worst_utilization']:.0f} %",
        format_duration(row["worst_start_s"]),
    ]  # fmt: skip
