"""`twin reproduce`: the paper's tables and figures, published beside measured."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from twin.cli.progress import progress
from twin.results.folder import check_free, files_of
from twin.results.manifest_file import MANIFEST
from twin.results.table import show_rows
from twin.studies.reproduction.findings import findings
from twin.studies.reproduction.formatting import own, percent
from twin.studies.reproduction.measure import measure
from twin.studies.reproduction.reproduce import save, tabulate
from twin.studies.reproduction.sections import Tables


def reproduce_paper(
    data: Path | None, out: Path | None, *, force: bool, retrain: bool = False
) -> None:
    """Measure on the public dataset's folder `data`, else on the default trace; print and write."""
    folder = out or Path("out") / "reproduction"
    # Before the work rather than after it.
    place = check_free(folder, force=force)
    with TemporaryDirectory() as scratch, progress("reproduction") as show:
        measured = measure(data, show, Path(scratch) if retrain else None)
        tables = tabulate(measured)
        # Before anything is printed: whoever closes the pipe keeps the report.
        save(measured, tables, place, force=force)
    typer.echo(f"Data: {measured.data}")
    print_comparison(tables)
    missing = [str(measured.left_out), ""] if measured.left_out else []
    for paragraph in [*missing, *findings(measured, tables.methods)]:
        typer.echo(paragraph.replace("**", "").replace("`", ""))
    typer.echo(f"\nWritten to {folder}/: {', '.join([*files_of(place), MANIFEST])}")


def print_comparison(tables: Tables) -> None:
    """Print the published numbers beside the measured ones."""
    rows = [
        [
            f"{row['artefact']}: {row['quantity']}",
            row["method"],
            row["published_as"],
            own(row),
            percent(row["relative_difference"]),
        ]
        for row in tables.comparison.to_dict("records")
    ]
    show_rows(["quantity", "method", "published", "measured", "relative\ndifference"], rows)
