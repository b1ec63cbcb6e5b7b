"""Writes the figures and the page of a batch beside its tables."""

from __future__ import annotations

from pathlib import Path

from twin.batches.execute.folder import put
from twin.batches.report.figures import drawn
from twin.batches.report.page import render
from twin.batches.report.source import Found

PAGE = "report.html"
FIGURES = "figures"


def write(folder: Path) -> None:
    """Write the figures and the report of the batch in `folder`, from its files alone.

    Raises InputError where they are missing or damaged, and RunError where nothing can be written.
    """
    found = Found.read(folder)
    page = render(found)
    for name, draw in drawn(found).items():
        put(folder / FIGURES / name, draw)
    put(folder / PAGE, lambda stream: stream.write(page.encode()))
