"""`twin report`: the page of a finished run or batch, from its files alone."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import typer

from twin.batches.folder import MANIFEST as BATCH
from twin.errors import InputError, Problem
from twin.report.page import Report, render
from twin.results.folder import MANIFEST

PAGE = "report.html"


def report_run(folder: Path) -> None:
    """Write the report of the run or batch in `folder`; on an error nothing there changes."""
    if (folder / BATCH).is_file():
        report_batch(folder)
        return
    text = render(Report.read(folder))
    facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    listed = sorted({*facts.get("files", ()), PAGE})
    try:
        _put(folder / PAGE, text)
        if listed != facts.get("files"):
            # A run that replaces this one takes its files away, as the manifest lists them.
            facts["files"] = listed
            _put(folder / MANIFEST, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise InputError(Problem(f"cannot be written: {error.strerror}", file=folder)) from None
    typer.echo(f"Written to {folder}/: {PAGE}")


def report_batch(folder: Path) -> None:
    """Write the report of the batch in `folder`."""
    from twin.batches import report

    report.write(folder)
    typer.echo(f"Written to {folder}/: {report.PAGE}, {report.FIGURES}")


def _put(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as stream:  # noqa: PTH123
            stream.write(text)
        # The umask decides who may read it; mkstemp makes it private.
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(file)
    finally:
        Path(name).unlink(missing_ok=True)
