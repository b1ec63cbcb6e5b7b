"""The public dataset of an operator's KPIs: a folder with a file for each series.

``data_series_info.txt`` names the KPI of every series, ``data_series/sN.txt`` holds
``seconds value`` a line. The k-th internet series makes a link with the k-th of each other kind.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from twin.core import content
from twin.core.errors import InputError, Problem
from twin.core.files import read_regular
from twin.core.text import decode
from twin.demand import columns
from twin.demand.columns import Times, natural
from twin.demand.grid import Grid, grid
from twin.demand.kpis import KPIS
from twin.demand.locations import Location, refuse, too_much
from twin.demand.rows import Rows
from twin.demand.spec import DemandSpec

INFO = "data_series_info"
SERIES = "data_series"
ENDINGS = (".txt", ".txt.ok")
"""Of file names: as they are, and as the dataset's own description gives them."""


def read(path: Path, demand: DemandSpec, tick_s: int | None) -> tuple[tuple[str, ...], Grid, str]:
    """Return links, KPIs on one grid, and the SHA-256 over names and bytes of the files used.

    Raises InputError where the folder or a file in it differs from the dataset's layout.
    """
    for key, stated in (("columns", demand.columns), ("layout", demand.layout == "wide")):
        if stated:
            what = "has no meaning for 'source: zenodo', whose files have no header"
            raise InputError(Problem(what, f"demand.{key}", None, None, f"remove '{key}'"))
    info = _info(path, demand)
    hashed = hashlib.sha256()
    series = _chosen(info, _text(info, info.name, hashed))
    if not series:
        what = f"names no internet series that is in '{SERIES}'"
        remedy = f"it should hold lines like 's1 internet', and '{SERIES}' files like 's1.txt'"
        raise InputError(Problem(what, "", info, None, remedy))
    size = sum(file.stat().st_size for files in series.values() for file in files)
    if size > demand.max_bytes:
        raise too_much(path, f"{size} bytes, more than {demand.max_bytes}", "max_bytes")
    links = tuple(file.name.partition(".")[0] for file in series["internet"])
    grids = {}
    for kpi, files in series.items():
        tables = [SeriesFile(file, _text(file, f"{SERIES}/{file.name}", hashed)) for file in files]
        grids[kpi] = grid(_rows(kpi, links, tables), tick_s)
    return links, _joined(grids), hashed.hexdigest()


def _info(path: Path, demand: DemandSpec) -> Path:
    for nested in ("", "*/", "*/*/"):
        for ending in ENDINGS:
            for info in sorted(path.glob(f"{nested}{INFO}{ending}")):
                return info
    what = f"'{demand.path}' holds no '{INFO}.txt'"
    remedy = f"name the folder with that and '{SERIES}', as 'twin data fetch' makes it"
    raise InputError(Problem(what, "demand.path", None, None, remedy))


def _text(file: Path, name: str, hashed: Any) -> str:
    data = read_regular(file)
    hashed.update(name.encode() + b"\0" + data)
    text = data.removeprefix(b"\xef\xbb\xbf")
    return decode(text, file, suggestion="unpack the dataset again")


def _chosen(info: Path, text: str) -> dict[str, list[Path]]:
    """Return the files of each KPI that every link has, one for each link; {} without links."""
    named: dict[str, list[str]] = {kpi: [] for kpi in KPIS}
    for line in text.splitlines():
        match line.split():
            case [name, kpi] if kpi.lower() in named:
                named[kpi.lower()].append(name)
    files = {
        kpi: [_file(info.parent, name) for name in sorted(names, key=natural)]
        for kpi, names in named.items()
    }
    kept = [k for k, file in enumerate(files["internet"]) if file is not None]
    chosen: dict[str, list[Path]] = {}
    for kpi, of_kpi in files.items():
        own = [file for k in kept if k < len(of_kpi) and (file := of_kpi[k]) is not None]
        if kept and len(own) == len(kept):
            chosen[kpi] = own
    return chosen


def _file(folder: Path, name: str) -> Path | None:
    for ending in ENDINGS:
        if content.is_file(file := folder / SERIES / f"{name}{ending}"):
            return file
    return None


class SeriesFile:
    """One series: `seconds value` a line. Raises InputError for other lines."""

    def __init__(self, file: Path, text: str) -> None:
        self.file = file
        rows = [(n, line.split()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
        if not rows:
            raise InputError(Problem("is empty", "", file, None, "unpack the dataset again"))
        wrong = [n for n, cells in rows if len(cells) != 2]
        what, remedy = "is not a time and a value", "write 'seconds value'"
        refuse([Problem(what, "", file, line, remedy) for line in wrong[:5]])
        self.lines = [n for n, _ in rows]
        self.cells = [cells for _, cells in rows]

    def locate(self, row: int) -> Location:
        """Return the location of a row, counted from 0."""
        return Location(self.file, self.lines[row])


def _rows(kpi: str, links: tuple[str, ...], tables: list[SeriesFile]) -> Rows:
    import pyarrow as pa

    cells = [pair for table in tables for pair in table.cells]
    first = np.cumsum([0] + [len(table.cells) for table in tables])

    def locate(row: int) -> Location:
        k = int(np.searchsorted(first, row, side="right")) - 1
        return tables[k].locate(row - int(first[k]))

    def column(k: int) -> Any:
        return pa.chunked_array([pa.array([pair[k] for pair in cells], pa.string())])

    problems: list[Problem] = []
    times = columns.times(column(0), "time", locate, problems)
    values = columns.kpi(column(1), kpi, locate, problems)
    refuse(problems)
    code = np.repeat(np.arange(len(links), dtype=np.int32), np.diff(first))
    return Rows(times, code, links, {kpi: values}, {"time": "time", kpi: kpi}, locate)


def _joined(grids: dict[str, Grid]) -> Grid:
    """Return the KPIs on one grid that spans the times of all of them."""
    one = grids["internet"]
    # Times are whole numbers of 1 / per_second seconds: the finest such unit holds them all.
    exact = max(own.times.per_second for own in grids.values())
    spans = {
        kpi: (own.start * (scale := exact // own.times.per_second), own.step * scale)
        for kpi, own in grids.items()
    }
    start, step = min(first for first, _ in spans.values()), spans["internet"][1]
    for kpi, (first, own_step) in spans.items():
        if own_step != step or (first - start) % step:
            what = f"the '{kpi}' series have other times than the 'internet' series"
            raise InputError(Problem(what, "demand.path", None, None, "unpack the dataset again"))
    offsets = {kpi: (first - start) // step for kpi, (first, _) in spans.items()}
    samples = max(offsets[kpi] + len(own.kpis[kpi]) for kpi, own in grids.items())
    kpis = {}
    for kpi, own in grids.items():
        values = own.kpis[kpi]
        kpis[kpi] = np.full((samples, values.shape[1]), np.nan)
        kpis[kpi][offsets[kpi] : offsets[kpi] + len(values)] = values
    times = Times(one.times.ticks, exact, one.times.epoch)
    return replace(one, kpis=kpis, start=start, step=step, times=times)
