"""`twin report`: the page and the pictures of a finished run, from its files alone."""

from __future__ import annotations

from pathlib import Path

import typer

from twin.report.source import Report
from twin.report.write import write
from twin.results.folder import added


def report_run(folder: Path) -> None:
    """Write the report of the run in `folder`; on an error nothing there changes."""
    report = Report.read(folder)
    with added(folder) as stage:
        made = write(report, stage)
    typer.echo(f"Written to {folder}/: {', '.join(made)}")
