"""Writes the pictures and the page of a run."""

from __future__ import annotations

from pathlib import Path

from twin.report.run.figures import draw
from twin.report.run.findings import find
from twin.report.run.page import render_findings
from twin.report.run.source import RunData

PAGE = "report.html"


def write(run: RunData, folder: Path) -> list[str]:
    """Write the pictures and the page of a report to `folder`, and return their names.

    Raises InputError where the files behind the report are damaged.
    """
    found = find(run)
    text = render_findings(found)
    figures = draw(found, folder / "figures")
    (folder / PAGE).write_text(text, encoding="utf-8", newline="\n")
    return [*(f"figures/{name}" for name in figures), PAGE]
