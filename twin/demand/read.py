"""Reads the demand of a scenario: the one door to every source of traces."""

from __future__ import annotations

import glob
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.files import digest_of
from twin.core.units import counted, format_duration
from twin.demand.columns import natural
from twin.demand.counters import rates
from twin.demand.csv_table import CsvTable
from twin.demand.dates import Times
from twin.demand.extend import extended
from twin.demand.grid import TICK_S, Grid, grid, own_tick_s
from twin.demand.gridded import in_ticks_of
from twin.demand.parquet_table import ParquetTable
from twin.demand.plausible import refuse_counters, unlikely_units
from twin.demand.rows import Rows, rows
from twin.demand.several import joined
from twin.demand.spec import TABLES, DemandSpec
from twin.demand.trace import Trace
from twin.demand.unpack import read_bounded

SYNTHETIC_STEP_S = 300


def read(
    demand: DemandSpec,
    folder: Path,
    tick_s: int | None,
    seed: int,
    capacities: Mapping[str, float] = MappingProxyType({}),
) -> Trace:
    """Return the trace that `demand` describes, at `tick_s` seconds.

    None stands for 5 minutes, or the step of the trace where that is coarser. `demand.path` is
    relative to `folder`; `seed` is the scenario's, for the synthetic source; `capacities`, Mbit/s
    by link and of `defaults`, tell wraps of counters from resets. Raises InputError, with no file
    where the scenario itself is wrong.
    """
    if demand.source == "telemetry":
        what = "is 'telemetry': there is no trace to read or to replay"
        remedy = "'twin serve' collects it; or name one, as 'source: csv'"
        raise InputError(Problem(what, ("demand", "source"), suggestion=remedy))
    if demand.source == "synthetic":
        return _synthetic(demand, tick_s or TICK_S, seed)
    files = _existing(demand, folder)
    try:
        found = _file(files, demand, tick_s, capacities)
    except OSError as error:
        place = error.filename or files[0]
        what = f"cannot be read: {error.strerror or error}"
        raise InputError(Problem(what, "", place, None, "check its permissions")) from None
    except MemoryError:
        what, remedy = "does not fit into the memory", "give fewer links, columns or samples"
        raise InputError(Problem(what, "", files[0], None, remedy)) from None
    more = f" and {counted(len(files) - 1, 'other file')}" if len(files) > 1 else ""
    trace = _trace(demand, tick_s, found, f"{files[0].name}{more}")
    del found
    if (arrow := sys.modules.get("pyarrow")) is not None:
        # Its pool would keep what was read: several times what the trace holds.
        arrow.default_memory_pool().release_unused()
    return trace


class _Found(NamedTuple):
    """Links, KPIs in the file's unit and the digest of what was read."""

    links: tuple[str, ...]
    grid: Grid
    digest: str
    rows: Rows | None = None
    """What is on the grid, where it was rows of a table."""
    warnings: tuple[str, ...] = ()


def _file(
    files: Sequence[Path], demand: DemandSpec, tick_s: int | None, capacities: Mapping[str, float]
) -> _Found:
    if demand.source == "zenodo":
        from twin.demand import zenodo

        return _Found(*zenodo.read(files[0], demand, tick_s))
    if demand.source == "matrix":
        from twin.demand import matrix

        return _Found(*matrix.read(files[0], demand, tick_s))
    # The digest takes as long as the reading; Arrow and hashlib both let go of the interpreter.
    with ThreadPoolExecutor(1) as beside:
        parts = [_part(file, demand, beside) for file in files]
        samples = joined([part[0] for part in parts], files)
        warnings: tuple[str, ...] = ()
        if demand.kind == "counter":
            gridded, warnings = rates(samples, demand, tick_s, capacities)
        else:
            gridded = grid(samples, tick_s, demand.snap)
            if demand.kind is None:
                refuse_counters(gridded, samples)
            ends = any(part[1] for part in parts) and "stamp" not in demand.model_fields_set
            if ends or demand.stamp == "end":
                gridded = replace(gridded, start=gridded.start - gridded.step)
        digests = [part[2].result() for part in parts]
    digest = digests[0]
    if len(digests) > 1:
        digest = hashlib.sha256("".join(digests).encode()).hexdigest()
    return _Found(samples.links, gridded, digest, samples, warnings)


def _part(
    file: Path, demand: DemandSpec, beside: ThreadPoolExecutor
) -> tuple[Rows, bool, Future[str]]:
    """Return the rows of a file, whether its times are known to mark ends, and its digest."""
    if demand.source == "parquet":
        digest = beside.submit(digest_of, file)
        return rows(ParquetTable(file, demand), demand), False, digest
    data = read_bounded(file, demand.max_bytes)
    digest = beside.submit(lambda: hashlib.sha256(data).hexdigest())
    if demand.source == "excel":
        from twin.demand.excel_table import ExcelTable

        sheet = ExcelTable(file, data, demand)
        read_rows = rows(sheet, demand)
        return replace(read_rows, notes=(*sheet.notes, *read_rows.notes)), False, digest
    table = CsvTable(file, data, demand)
    read_rows = rows(table, demand)
    return replace(read_rows, notes=(*table.notes, *read_rows.notes)), table.ends, digest


def _trace(demand: DemandSpec, tick_s: int | None, found: _Found, origin: str) -> Trace:
    notes: tuple[str, ...] = ()
    if tick_s is None:
        step_s = found.grid.step / found.grid.times.per_second
        tick_s = own_tick_s(step_s)
        if tick_s != TICK_S:
            tick = format_duration(tick_s)
            notes = (
                f"the tick is {tick}, since the trace has a step of {format_duration(step_s)}",
            )
    kpis, gaps, repairs, starts = in_ticks_of(found.grid, demand, tick_s)
    warnings = found.warnings
    if demand.source != "synthetic":
        warnings += tuple(unlikely_units(kpis, found.rows, demand))
    trace = Trace(
        found.links, kpis, tick_s, starts, origin, found.digest, (*notes, *repairs), gaps,
        demand.timezone, warnings=warnings,
    )  # fmt: skip
    return extended(trace, demand)


def _existing(demand: DemandSpec, folder: Path) -> list[Path]:
    """Return the paths of a trace that are there, and a folder exactly where one is expected."""
    paths: list[Path] = []
    for each in demand.paths:
        pattern = demand.source in TABLES and any(mark in each for mark in "*?[")
        found = [] if not pattern or _is_there(folder / each) else _fitting(each, folder)
        paths += found or [_one(each, demand, folder)]
    return list(dict.fromkeys(paths))


def _fitting(pattern: str, folder: Path) -> list[Path]:
    """Return the files that fit a pattern. Raises InputError where there are none."""
    names = glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207 - absolute ones too
    found = sorted((folder / name for name in names), key=lambda path: natural(str(path)))
    files = [path for path in found if path.is_file()]
    if not files:
        what = f"no file fits '{pattern}'"
        raise InputError(Problem(what, "demand.path", None, None, "check the folder and the name"))
    return files


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise InputError(Problem(what, "demand.path")) from None


def _one(named: str, demand: DemandSpec, folder: Path) -> Path:
    path = folder / named
    what, remedy = "", ""
    if not _is_there(path):
        what = f"no such {'folder' if demand.source == 'zenodo' else 'file'}: '{named}'"
        siblings = path.parent.iterdir() if path.parent.is_dir() else ()
        remedy = did_you_mean(path.name, sorted(sibling.name for sibling in siblings))
    elif path.is_dir() and demand.source not in ("zenodo", "matrix"):
        what = f"'{named}' is a folder"
        remedy = "name a file in it, or use 'source: zenodo'"
    elif not path.is_dir() and demand.source == "zenodo":
        what = f"'{named}' is not a folder"
        remedy = "name the unpacked dataset, or use 'source: csv'"
    elif not path.is_file() and not path.is_dir():
        what = f"'{named}' is a pipe or a device"
        remedy = "write it to a file first"
    if what:
        raise InputError(Problem(what, "demand.path", None, None, remedy))
    return path


def synthetic_samples(demand: DemandSpec, tick_s: int) -> int:
    """Return how many samples the synthetic source generates. Raises InputError."""
    samples = int(demand.length // SYNTHETIC_STEP_S)
    if tick_s % SYNTHETIC_STEP_S:
        what = f"{format_duration(tick_s)} is no multiple of the synthetic source's step"
        raise InputError(Problem(what, "tick", None, None, "write a multiple of 5min"))
    if samples < 2:
        what = f"{format_duration(demand.length)} holds fewer than 2 samples of 5min"
        raise InputError(Problem(what, "demand.length", None, None, "make it longer"))
    return samples


def _synthetic(demand: DemandSpec, tick_s: int, seed: int) -> Trace:
    from twin.demand import synthetic

    samples = synthetic_samples(demand, tick_s)
    kpis: Mapping[str, Floats] = synthetic.generate(seed, demand.facilities, samples)
    parameters = {"seed": seed, "facilities": demand.facilities, "samples": samples}
    digest = hashlib.sha256(json.dumps(parameters).encode()).hexdigest()
    contiguous = {name: np.ascontiguousarray(values) for name, values in kpis.items()}
    gridded = Grid(contiguous, 0, SYNTHETIC_STEP_S, Times(np.zeros(0, np.int64)))
    links = tuple(f"link-{k + 1}" for k in range(demand.facilities))
    return _trace(demand, tick_s, _Found(links, gridded, digest), f"synthetic, seed {seed}")
