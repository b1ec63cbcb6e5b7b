"""`twin report`: the page and the pictures of a finished run, from its files alone."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import typer

from twin.errors import InputError, Problem
from twin.report.source import Report
from twin.report.write import write
from twin.results.folder import MANIFEST


def report_run(folder: Path) -> None:
    """Write the report of the run in `folder`; on an error nothing there changes."""
    report = Report.read(folder)
    try:
        with tempfile.TemporaryDirectory(prefix=".report-", dir=folder) as scratch:
            made = write(report, Path(scratch))
            facts = report.manifest
            listed = sorted({*facts.get("files", ()), *made})
            if listed != facts.get("files"):
                # A run that replaces this one takes its files away, as the manifest lists them.
                text = json.dumps(facts | {"files": listed}, indent=2, ensure_ascii=False)
                Path(scratch, MANIFEST).write_text(text + "\n", encoding="utf-8")
            for file in [*made, MANIFEST]:
                _put(Path(scratch, file), folder / file)
    except OSError as error:
        raise InputError(Problem(f"cannot be written: {error.strerror}", file=folder)) from None
    typer.echo(f"Written to {folder}/: {', '.join(made)}")


def _put(file: Path, target: Path) -> None:
    """Move a file, if it is there, to its place: whole, or not at all."""
    if file.exists():
        target.parent.mkdir(exist_ok=True)
        file.replace(target)
