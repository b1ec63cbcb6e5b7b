"""Reads the demand of a scenario: the one door to every source of traces."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.files import digest_of
from twin.core.units import format_duration
from twin.demand.columns import Times
from twin.demand.csv_table import CsvTable
from twin.demand.extend import extended
from twin.demand.grid import Grid, grid
from twin.demand.gridded import in_ticks_of
from twin.demand.parquet_table import ParquetTable
from twin.demand.rows import rows
from twin.demand.spec import DemandSpec
from twin.demand.trace import Trace
from twin.demand.unpack import read_bounded

SYNTHETIC_STEP_S = 300


def read(demand: DemandSpec, folder: Path, tick_s: int, seed: int) -> Trace:
    """Return the trace that `demand` describes, at `tick_s` seconds.

    `demand.path` is relative to `folder`; `seed` is the scenario's, for the synthetic source.
    Raises InputError, with no file where the scenario itself is wrong.
    """
    if demand.source == "synthetic":
        return _synthetic(demand, tick_s, seed)
    path = _existing(demand, folder)
    try:
        links, gridded, digest = _file(path, demand, tick_s)
    except OSError as error:
        place = error.filename or path
        what = f"cannot be read: {error.strerror or error}"
        raise InputError(Problem(what, "", place, None, "check its permissions")) from None
    except MemoryError:
        what, remedy = "does not fit into the memory", "give fewer links, columns or samples"
        raise InputError(Problem(what, "", path, None, remedy)) from None
    return _trace(demand, tick_s, links, gridded, path.name, digest)


def _file(path: Path, demand: DemandSpec, tick_s: int) -> tuple[tuple[str, ...], Grid, str]:
    """Return links, KPIs in the file's unit and the digest of what was read."""
    if demand.source == "zenodo":
        from twin.demand import zenodo

        return zenodo.read(path, demand, tick_s)
    if demand.source == "matrix":
        from twin.demand import matrix

        return matrix.read(path, demand, tick_s)
    if demand.source == "csv":
        data = read_bounded(path, demand.max_bytes)
        samples = rows(CsvTable(path, data, demand), demand)
        return samples.links, grid(samples, tick_s), hashlib.sha256(data).hexdigest()
    # The digest takes as long as the reading; Arrow and hashlib both let go of the interpreter.
    with ThreadPoolExecutor(1) as beside:
        digest = beside.submit(digest_of, path)
        samples = rows(ParquetTable(path, demand), demand)
        return samples.links, grid(samples, tick_s), digest.result()


def _trace(
    demand: DemandSpec,
    tick_s: int,
    links: tuple[str, ...],
    gridded: Grid,
    origin: str,
    digest: str,
) -> Trace:
    kpis, gaps, repairs, starts = in_ticks_of(gridded, demand, tick_s)
    trace = Trace(links, kpis, tick_s, starts, origin, digest, repairs, gaps)
    return extended(trace, demand)


def _existing(demand: DemandSpec, folder: Path) -> Path:
    """Return the path of a trace that is there, and a folder exactly where one is expected."""
    assert demand.path is not None
    path = folder / demand.path
    what, remedy = "", ""
    try:
        there = path.exists()
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise InputError(Problem(what, "demand.path")) from None
    if not there:
        what = f"no such {'folder' if demand.source == 'zenodo' else 'file'}: '{demand.path}'"
        siblings = path.parent.iterdir() if path.parent.is_dir() else ()
        remedy = did_you_mean(path.name, sorted(sibling.name for sibling in siblings))
    elif path.is_dir() and demand.source not in ("zenodo", "matrix"):
        what = f"'{demand.path}' is a folder"
        remedy = "name a file in it, or use 'source: zenodo'"
    elif not path.is_dir() and demand.source == "zenodo":
        what = f"'{demand.path}' is not a folder"
        remedy = "name the unpacked dataset, or use 'source: csv'"
    elif not path.is_file() and not path.is_dir():
        what = f"'{demand.path}' is a pipe or a device"
        remedy = "write it to a file first"
    if what:
        raise InputError(Problem(what, "demand.path", None, None, remedy))
    return path


def _synthetic(demand: DemandSpec, tick_s: int, seed: int) -> Trace:
    from twin.demand import synthetic

    samples = int(demand.length // SYNTHETIC_STEP_S)
    if tick_s % SYNTHETIC_STEP_S:
        what = f"{format_duration(tick_s)} is no multiple of the synthetic source's step"
        raise InputError(Problem(what, "tick", None, None, "write a multiple of 5min"))
    if samples < 2:
        what = f"{format_duration(demand.length)} holds fewer than 2 samples of 5min"
        raise InputError(Problem(what, "demand.length", None, None, "make it longer"))
    kpis: Mapping[str, Floats] = synthetic.generate(seed, demand.facilities, samples)
    parameters = {"seed": seed, "facilities": demand.facilities, "samples": samples}
    digest = hashlib.sha256(json.dumps(parameters).encode()).hexdigest()
    contiguous = {name: np.ascontiguousarray(values) for name, values in kpis.items()}
    gridded = Grid(contiguous, 0, SYNTHETIC_STEP_S, Times(np.zeros(0, np.int64)))
    links = tuple(f"link-{k + 1}" for k in range(demand.facilities))
    return _trace(demand, tick_s, links, gridded, f"synthetic, seed {seed}", digest)
