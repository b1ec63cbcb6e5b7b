"""Makes tables, figures and the report from what was measured, and writes all or none."""

from __future__ import annotations

from pathlib import Path

from twin.results.folder import staged
from twin.results.manifest import study_manifest
from twin.results.manifest_file import write_manifest
from twin.studies.reproduction import tables as numbers
from twin.studies.reproduction.document import html, markdown
from twin.studies.reproduction.figures import draw
from twin.studies.reproduction.measure import Measured
from twin.studies.reproduction.sections import Tables, sections


def tabulate(measured: Measured) -> Tables:
    """Return all numbers of the reproduction."""
    methods = numbers.methods(measured)
    compared = numbers.comparison(measured, methods)
    figures = {
        1: numbers.figure_1(measured),
        4: numbers.figure_4(measured, methods),
        **{number: numbers.figure(number, measured, methods) for number in numbers.FIGURES},
    }
    return Tables(
        methods,
        compared,
        numbers.table_1(measured, compared),
        numbers.table_2(measured, methods),
        dict(sorted(figures.items())),
    )


def save(measured: Measured, tables: Tables, folder: Path, *, force: bool = False) -> Path:
    """Write tables, figures and the report to `folder`: all of them, or none after an error.

    Raises InputError where the folder holds anything and `force` is false.
    """
    with staged(folder, force=force) as stage:
        named = {
            "methods": tables.methods,
            "comparison": tables.comparison,
            "table-1": tables.table_1,
            "table-2": tables.table_2,
            **{f"figure-{number}": table for number, table in tables.figures.items()},
        }
        for name, table in named.items():
            # Figure 1 is long, and needs no more digits than can be seen.
            digits = "%.6g" if name == "figure-1" else None
            path = stage / f"{name}.csv"
            table.to_csv(path, index=False, lineterminator="\n", float_format=digits)
        draw(measured, tables.figures, stage)
        elements = sections(measured, tables)
        (stage / "reproduction.md").write_text(markdown(elements), encoding="utf-8")
        (stage / "reproduction.html").write_text(html(elements, stage), encoding="utf-8")
        write_manifest(stage, study_manifest("a reproduction of the paper", "reproduction"))
    return folder
