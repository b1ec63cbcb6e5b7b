"""`twin run --lead-times`: one scenario, ordered early and late, in one table and one report."""

from __future__ import annotations

from pathlib import Path

import typer

from twin.cli.progress import progress
from twin.core.errors import InputError, Problem
from twin.core.units import counted, duration, format_duration
from twin.results.folder import check_free, files_of
from twin.results.manifest_file import MANIFEST
from twin.results.table import cell, show_rows
from twin.scenario.load import Scenario
from twin.studies.lead_times.compare import LeadTimes, compare
from twin.studies.lead_times.findings import gain, warnings
from twin.studies.lead_times.write import save

_SHOWN = (
    ("violated\n% intervals", "sla_violation_rate", 100.0, "{:.3f}"),
    ("violated\nminutes", "sla_violation_minutes", 1.0, "{:.0f}"),
    ("over-prov.\n% of demand", "over_provisioning_pct", 1.0, "{:.1f}"),
    ("over-prov.\nMbit/s", "over_provisioning_mean_mbps", 1.0, "{:.1f}"),
    ("allocated\nMbit/s", "allocated_mean_mbps", 1.0, "{:.1f}"),
    ("cost", "cost", 1.0, "{:,.1f}"),
)
"""Header, column, factor and format."""
_DROPPED_FIRST = ("allocated\nMbit/s", "over-prov.\nMbit/s", "violated\nminutes")


def run_lead_times(
    scenario: Scenario, listed: str, out: Path | None, *, force: bool, report: bool
) -> None:
    """Run a scenario at each of the lead times in `listed`, with commas; print and write."""
    leads = _parsed(listed)
    folder = out or Path("out") / f"{scenario.spec.name}-lead-times"
    # Before the runs rather than after them.
    place = check_free(folder, force=force)
    with progress(scenario.spec.name) as show:
        study = compare(scenario, leads, show)
    # Before anything is printed: whoever closes the pipe keeps the table.
    save(study, place, force=force, report=report)
    _print(study)
    typer.echo(f"\nWritten to {folder}/: {', '.join([*files_of(place), MANIFEST])}")


def _parsed(listed: str) -> list[float]:
    leads: list[float] = []
    for name in listed.split(","):
        try:
            lead = duration(name.strip())
        except ValueError as error:
            raise InputError(Problem(str(error), "--lead-times")) from None
        if lead in leads:
            what = f"{format_duration(lead)} is listed twice"
            raise InputError(Problem(what, "--lead-times"))
        leads.append(lead)
    if len(leads) < 2:
        remedy = "write at least two, such as 0s,15min,1h"
        raise InputError(Problem("are to be compared", "--lead-times", suggestion=remedy))
    return leads


def _print(study: LeadTimes) -> None:
    scenario = study.scenario
    typer.echo(
        f"{scenario.spec.name}: {counted(len(study.lead_times), 'lead time')} on "
        f"{counted(len(scenario.links), 'link')}, {scenario.span.intervals} intervals each, "
        f"SLA target {100 * scenario.spec.sla.target:g} % of intervals"
    )
    typer.echo(f"Demand: {scenario.trace.origin}")
    priced = study.table["cost"].notna().any()
    shown = [each for each in _SHOWN if each[1] != "cost" or priced]
    rows = [
        [
            row["policy"],
            format_duration(row["lead_time_s"]),
            *(cell(form, factor * row[column])
              for _, column, factor, form in shown),
            f"{row['links_within_sla']} of {row['links_within_sla'] + row['links_missing_sla']}",
        ]
        for row in study.table.to_dict("records")
    ]  # fmt: skip
    headers = ["policy", "lead time", *(header for header, *_ in shown), "links\nwithin SLA"]
    show_rows(headers, rows, _DROPPED_FIRST)
    for paragraph in (*warnings(study), " ".join(gain(study))):
        typer.echo(paragraph)
