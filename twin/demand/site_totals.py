"""What enters and leaves the network at each site: a long table of ``time, site, in, out``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from twin.core.arrays import Floats
from twin.core.content import is_file, is_folder
from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.files import digest_of
from twin.core.units import MBPS
from twin.demand import columns
from twin.demand.csv_table import CsvTable
from twin.demand.grid import grid
from twin.demand.locations import ColumnFile, refuse
from twin.demand.matrix_spec import SITE_COLUMNS, MatrixSpec
from twin.demand.parquet_table import ParquetTable
from twin.demand.repair import aggregated
from twin.demand.rows import Rows
from twin.demand.spec import DemandSpec
from twin.demand.unpack import read_bounded

WHERE = ("demand", "matrix", "sites")


@dataclass(frozen=True, slots=True)
class SiteTotals:
    """What enters and leaves the network at each site, Mbit/s; NaN where it was not counted."""

    file: Path
    sites: tuple[str, ...]
    entering: Floats
    """[ticks, sites]"""
    leaving: Floats
    """[ticks, sites]"""
    starts: datetime | None
    """Time of the first tick, where the file has dates."""
    digest: str
    repairs: tuple[str, ...]


def read_site_totals(
    spec: MatrixSpec, demand: DemandSpec, folder: Path, tick_s: int, known: tuple[str, ...]
) -> SiteTotals:
    """Return the totals of the sites of a network, `known`, averaged to ticks of `tick_s` seconds.

    Raises InputError for what is no such table, for a site that is not known, and for one that
    has no totals.
    """
    assert spec.sites is not None
    path = folder / spec.sites
    if not is_file(path):
        siblings = path.parent.iterdir() if is_folder(path.parent) else ()
        hint = did_you_mean(path.name, sorted(sibling.name for sibling in siblings))
        raise InputError(Problem(f"no such file: '{spec.sites}'", WHERE, suggestion=hint))
    try:
        table, digest = _table(path, demand)
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise InputError(Problem(what, "", path, None, "check its permissions")) from None
    rows = _rows(table, spec, known)
    gridded = grid(rows, tick_s)
    per_tick = tick_s * gridded.times.per_second // gridded.step
    scale = MBPS[spec.unit or demand.unit]
    place = [rows.links.index(site) for site in known]
    entering, leaving = (
        np.ascontiguousarray(aggregated(gridded.kpis[name] * scale, per_tick, "mean")[:, place])
        for name in ("in", "out")
    )
    starts = None if gridded.times.epoch is None else gridded.times.moment(gridded.start)
    return SiteTotals(path, known, entering, leaving, starts, digest, gridded.repairs)


def _table(path: Path, demand: DemandSpec) -> tuple[ColumnFile, str]:
    """Return a table, CSV or Parquet, and the SHA-256 of its bytes."""
    with path.open("rb") as stream:
        is_parquet = stream.read(4) == b"PAR1"
    if is_parquet:
        return ParquetTable(path, demand), digest_of(path)
    data = read_bounded(path, demand.max_bytes)
    return CsvTable(path, data, demand), hashlib.sha256(data).hexdigest()


def _rows(table: ColumnFile, spec: MatrixSpec, known: tuple[str, ...]) -> Rows:
    names = {ours: spec.columns.get(ours, ours) for ours in SITE_COLUMNS}  # type: ignore[call-overload]
    problems: list[Problem] = []
    for ours, theirs in names.items():
        if theirs not in table.names:
            hint = did_you_mean(theirs, table.names)
            remedy = f"rename one with 'matrix: {{columns: {{{ours}: ...}}}}' in the scenario"
            what = f"no column '{theirs}' among {', '.join(table.names[:12])}"
            suggestion = f"{hint} {remedy}" if hint else remedy
            problems.append(Problem(what, "", table.file, table.header, suggestion))
    refuse(problems)
    loaded = table.load(list(dict.fromkeys(names.values())), names["site"])
    times = columns.times(loaded[names["time"]], names["time"], table.locate, problems)
    code, sites = columns.links(loaded[names["site"]], names["site"], table.locate, problems)
    kpis = {
        end: columns.kpi(loaded[names[end]], names[end], table.locate, problems)
        for end in ("in", "out")
    }
    refuse(problems)
    refuse(_wrong_sites(table, names["site"], code.tolist(), sites, known))
    return Rows(times, code, sites, kpis, names, table.locate)


def _wrong_sites(
    table: ColumnFile, column: str, code: list[int], sites: tuple[str, ...], known: tuple[str, ...]
) -> list[Problem]:
    """Return what is wrong with the sites of a table."""
    problems = []
    for site in sorted(set(sites) - set(known), key=sites.index):
        hint = did_you_mean(site, known) or f"there are: {', '.join(known[:8])}"
        what = f"the topology has no site '{site}'"
        first = table.locate(code.index(sites.index(site)))
        problems.append(first.problem(column, what, hint))
    for site in known:
        if site not in sites:
            remedy = "write 0 where nothing enters or leaves"
            problems.append(
                Problem(f"has no totals of site '{site}'", "", table.file, None, remedy)
            )
    return problems
