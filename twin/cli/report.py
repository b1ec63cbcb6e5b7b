"""`twin report`: page, pictures and slide of what was run, from its files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import typer

from twin.batches.execute.folder import MANIFEST as BATCH
from twin.core import content


def report(folder: Path, *, slide: bool = False) -> None:
    """Write the report of what is in `folder`, or its slide; on an error nothing there changes."""
    if content.is_file(folder / BATCH):
        written = _of_batch(folder, slide=slide)
    else:
        written = _of_run(folder, slide=slide)
    typer.echo(f"Written to {folder}/: {', '.join(written)}")


def _of_run(folder: Path, *, slide: bool) -> list[str]:
    from twin.results.folder import added, read_manifest
    from twin.studies.lead_times import slide as lead_time_slide
    from twin.studies.lead_times.read import read as read_lead_times

    if slide and (compared := read_lead_times(folder)) is not None:
        with added(folder) as stage:
            return _slide(lead_time_slide, compared, stage)
    facts = read_manifest(folder)
    if "contingencies" in facts:
        from twin.report.contingency import slide as contingency_slide
        from twin.report.contingency.source import ContingencyData
        from twin.report.contingency.write import write as write_contingency

        data = ContingencyData.read(folder, facts)
        with added(folder) as stage:
            return (
                _slide(contingency_slide, data, stage) if slide else write_contingency(data, stage)
            )
    from twin.report.run import slide as run_slide
    from twin.report.run.findings import find
    from twin.report.run.source import RunData
    from twin.report.run.write import write as write_run

    run = RunData.read(folder)
    with added(folder) as stage:
        return _slide(run_slide, find(run), stage) if slide else write_run(run, stage)


def _slide(module: Any, data: Any, folder: Path) -> list[str]:
    """Write the slide that a module makes of the data, and return the names of its files."""
    from twin.report.slide import FILES, write_slide

    sentence, source = module.sentence_of(data), module.source_of(data)
    for name in FILES:
        form: Literal["pdf", "png"] = "pdf" if name.endswith("pdf") else "png"
        with (folder / name).open("wb") as stream:
            write_slide(stream, form, sentence, source, module.picture_of(data))
    return list(FILES)


def _of_batch(folder: Path, *, slide: bool) -> list[str]:
    from twin.batches.report.write import FIGURES, PAGE, slides, write

    if slide:
        return slides(folder)
    write(folder)
    return [PAGE, FIGURES]
