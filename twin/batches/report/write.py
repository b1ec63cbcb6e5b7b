"""Writes the figures and the page of a batch beside its tables."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

from twin.batches.execute.folder import put
from twin.batches.report.figures import paint_policies, pictures_of
from twin.batches.report.lead_times import saving_bars, saving_in_words, saving_unit
from twin.batches.report.page import render
from twin.batches.report.ranking_entries import rank_policies
from twin.batches.report.source import BatchData
from twin.batches.report.verdict import verdict
from twin.core.errors import RunError
from twin.core.units import counted
from twin.report.savings import paint_savings
from twin.report.slide import FILES, write_slide

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


def slides(folder: Path) -> list[str]:
    """Write the slide of the batch in `folder`, and return the names of its files.

    Raises InputError where the batch's files are missing or damaged, and RunError where no run
    ended well or nothing can be written.
    """
    batch = BatchData.read(folder)
    ranked = rank_policies(batch)
    if not ranked:
        raise RunError("no run of the batch ended well: there is nothing to draw")
    runs = counted(len(batch.done_runs), "run")
    source = f"{batch.name}: means over {batch.finished_points:,} points, {runs}"
    for name in FILES:
        form: Literal["pdf", "png"] = "pdf" if name.endswith("pdf") else "png"
        put(folder / name, partial(_slide, batch, form, source))
    return list(FILES)


def _slide(batch: BatchData, form: Literal["pdf", "png"], source: str, stream: BinaryIO) -> None:
    ranked = rank_policies(batch)
    saving = saving_in_words(batch)
    if saving:
        paint = partial(paint_savings, saving_bars(batch), saving_unit(batch))
        write_slide(stream, form, saving[0], source, paint)
        return
    sentence = verdict(batch, ranked)[0]
    write_slide(stream, form, sentence, source, partial(paint_policies, batch, ranked))
