"""Writes the figures and the page of a batch beside its tables."""

from __future__ import annotations

from pathlib import Path

from twin.batches.execute.folder import put
from twin.batches.report.figures import pictures_of
from twin.batches.report.page import render
from twin.batches.report.source import BatchData

PAGE = "report.html"
FIGURES = "figures"


def write(folder: Path) -> None:
    """Write the figures and the report of the batch in `folder`, from its files alone.

    Raises InputError where they are missing or damaged, and RunError where nothing can be written.
    """
    batch = BatchData.read(folder)
    page = render(batch)
    for name, draw in pictures_of(batch).items():
        put(folder / FIGURES / name, draw)
    put(folder / PAGE, lambda stream: stream.write(page.encode()))
