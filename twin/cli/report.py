"""`twin report`: page and pictures of a run, a contingency or a batch, from its files alone."""

from __future__ import annotations

from pathlib import Path

import typer

from twin.batches.execute.folder import MANIFEST as BATCH
from twin.core import content


def report(folder: Path) -> None:
    """Write the report of what is in `folder`; on an error nothing there changes."""
    written = _of_batch(folder) if content.is_file(folder / BATCH) else _of_run(folder)
    typer.echo(f"Written to {folder}/: {', '.join(written)}")


def _of_run(folder: Path) -> list[str]:
    from twin.results.folder import added, read_manifest

    facts = read_manifest(folder)
    if "contingencies" in facts:
        from twin.report.contingency import source, write

        contingency = source.ContingencyData.read(folder, facts)
        with added(folder) as stage:
            return write.write(contingency, stage)
    from twin.report.run.source import RunData
    from twin.report.run.write import write as write_run

    data = RunData.read(folder)
    with added(folder) as stage:
        return write_run(data, stage)


def _of_batch(folder: Path) -> list[str]:
    from twin.batches.report.write import FIGURES, PAGE, write

    write(folder)
    return [PAGE, FIGURES]
