"""Writes the page of a contingency."""

from __future__ import annotations

from pathlib import Path

from twin.report.contingency.page import render
from twin.report.contingency.source import ContingencyData

PAGE = "report.html"


def write(data: ContingencyData, folder: Path) -> list[str]:
    """Write the page to `folder`, and return the names of the files."""
    (folder / PAGE).write_text(render(data), encoding="utf-8", newline="\n")
    return [PAGE]
