"""Demand from site to site: a long table of ``time, src, dst, demand``, or SNDlib's matrices.

Each pair of sites makes one series, a flow, named ``src>dst``. A pair that a matrix does not have
while it has others carries nothing then.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Ints
from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.files import digest_of
from twin.core.text import ARROW
from twin.core.units import counted
from twin.demand import columns
from twin.demand.columns import MICROSECONDS, Times
from twin.demand.csv_table import CsvTable
from twin.demand.grid import Grid, grid
from twin.demand.locations import ColumnFile, Locate, Location, refuse, too_much
from twin.demand.parquet_table import ParquetTable
from twin.demand.rows import Rows
from twin.demand.spec import MATRIX_COLUMNS, DemandSpec
from twin.demand.unpack import read_bounded

_EPOCH = datetime(1970, 1, 1)
_STAMP = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)[ T_-]?(\d\d)[-:]?(\d\d)(?!\d)")
"""A time in the name or the head of a matrix, such as 20040301-0005 or 2004-03-01 00-05."""
_UNITS = {
    "bitpersec": "bit/s", "kbitpersec": "kbit/s", "mbitpersec": "Mbit/s", "gbitpersec": "Gbit/s",
}  # fmt: skip


def read(path: Path, demand: DemandSpec, tick_s: int | None) -> tuple[tuple[str, ...], Grid, str]:
    """Return flows, their demand on one grid, and the SHA-256 of what was read.

    Raises InputError for what is no matrix, naming line or file.
    """
    if path.is_dir():
        rows, repairs, digest = _folder(path, demand)
    else:
        table: ColumnFile
        with path.open("rb") as stream:
            is_parquet = stream.read(4) == b"PAR1"
        if is_parquet:
            table, digest = ParquetTable(path, demand), digest_of(path)
        else:
            data = read_bounded(path, demand.max_bytes)
            table, digest = CsvTable(path, data, demand), hashlib.sha256(data).hexdigest()
        rows, repairs = _table(table, demand)
    gridded = grid(rows, tick_s)
    values = gridded.kpis["internet"]
    absent = np.isnan(values)
    # Where a time has no row at all, all of it is missing.
    absent &= ~absent.all(axis=1, keepdims=True)
    empty = np.isnan(rows.kpis["internet"])
    if absent.any() and not empty.any():
        repairs.append(f"{counted(int(absent.sum()), 'demand')} not stated while others are: 0")
        gridded = replace(gridded, kpis={"internet": np.where(absent, 0.0, values)})
    return rows.links, replace(gridded, repairs=(*repairs, *gridded.repairs)), digest


def _table(table: ColumnFile, demand: DemandSpec) -> tuple[Rows, list[str]]:
    names = _names(table, demand)
    loaded = table.load(list(dict.fromkeys(names.values())))
    problems: list[Problem] = []
    times = columns.times(loaded[names["time"]], names["time"], table.locate, problems)
    # A column is let go of once it is read: a matrix has a row for each pair and time.
    (source, sources), (target, targets) = (
        columns.links(loaded.pop(names[end]), names[end], table.locate, problems)
        for end in ("src", "dst")
    )
    values = columns.kpi(loaded.pop(names["demand"]), names["demand"], table.locate, problems)
    refuse(problems)
    del loaded
    sites = sorted({*sources, *targets}, key=columns.natural)
    for site in sites:
        if ARROW in site:
            what = f"'{ARROW}' in the name of site '{site}' stands between the ends of a flow"
            raise InputError(Problem(what, "", table.file, None, "rename it"))
    place = {site: i for i, site in enumerate(sites)}
    here, there = (
        np.array([place[site] for site in own], np.int32)[code]
        for own, code in ((sources, source), (targets, target))
    )
    del source, target
    return _flows(times, here, there, sites, values, table.locate, names)


def _flows(
    times: Times,
    here: NDArray[np.integer[Any]],
    there: NDArray[np.integer[Any]],
    sites: list[str],
    values: NDArray[np.float64],
    locate: Locate,
    names: dict[str, str],
) -> tuple[Rows, list[str]]:
    """Return the rows of what goes from one site to another."""
    repairs = []
    between: Ints | slice = slice(None)
    inside = int(np.count_nonzero(here == there))
    if inside:
        between = np.flatnonzero(here != there)
        what = f"{counted(inside, 'demand')} from a site to itself left out"
        repairs.append(f"{what}: no link carries it")
    pair = np.asarray(here[between], np.int64) * len(sites) + there[between]
    pairs, code = _numbered(pair, len(sites) ** 2)
    flows = tuple(f"{sites[pair // len(sites)]}{ARROW}{sites[pair % len(sites)]}" for pair in pairs)
    if not flows:
        raise InputError(Problem("has no demand from a site to another", "", locate(0).file))
    rows = Rows(
        Times(times.ticks[between], times.per_second, times.epoch),
        code,
        flows,
        {"internet": values[between]},
        {"time": names["time"], "internet": names["demand"]},
        lambda row: locate(int(row if isinstance(between, slice) else between[row])),
    )
    return rows, repairs


def _numbered(values: Ints, below: int) -> tuple[Ints, NDArray[np.int32]]:
    """Return the values that are there, all from 0 to `below`, and the number of each in them."""
    if below > max(len(values), 2**20):
        distinct, number = np.unique(values, return_inverse=True)
        return distinct, number.astype(np.int32)
    # A table is many times faster than a sort.
    is_there = np.zeros(below, np.bool_)
    is_there[values] = True
    place = np.cumsum(is_there, dtype=np.int32) - np.int32(1)
    return np.flatnonzero(is_there), place[values]


def _names(table: ColumnFile, demand: DemandSpec) -> dict[str, str]:
    renamed = demand.renamed
    names, problems = {}, []
    for ours in MATRIX_COLUMNS:
        theirs = renamed.get(ours, ours)
        names[ours] = theirs
        if theirs not in table.names:
            hint = did_you_mean(theirs, table.names)
            remedy = f"rename one with 'columns: {{{ours}: ...}}' in the scenario"
            what = f"no column '{theirs}' among {', '.join(table.names[:12])}"
            suggestion = f"{hint} {remedy}" if hint else remedy
            problems.append(Problem(what, "", table.file, table.header, suggestion))
    refuse(problems)
    return names


# SNDlib


def _folder(path: Path, demand: DemandSpec) -> tuple[Rows, list[str], str]:
    if demand.columns:
        what = "has no meaning for a folder of SNDlib matrices"
        raise InputError(Problem(what, "demand.columns", None, None, "remove 'columns'"))
    files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".xml")
    if not files:
        what = f"'{demand.path}' holds no matrix"
        remedy = "name a folder of SNDlib demand matrices (*.xml), or a table"
        raise InputError(Problem(what, "demand.path", None, None, remedy))
    hashed = hashlib.sha256()
    ticks: list[int] = []
    sites: dict[str, int] = {}
    here, there, values, owner = [], [], [], []
    for number, file in enumerate(files):
        data = read_bounded(file, demand.max_bytes)
        hashed.update(file.name.encode() + b"\0" + data)
        head, stated = _plain(data) or _parsed(data, file)
        ticks.append(_time(head, file))
        scale = _scale(head, file, demand.unit)
        for source, target, value in _checked(stated, file):
            here.append(sites.setdefault(source, len(sites)))
            there.append(sites.setdefault(target, len(sites)))
            values.append(value * scale)
            owner.append(number)
        if len(values) > demand.max_values:
            raise too_much(
                file, f"more than {demand.max_values} values with those before", "max_values"
            )
    of_file = np.array(owner, dtype=np.int64)
    times = Times(np.array(ticks, dtype=np.int64)[of_file], MICROSECONDS, _EPOCH)
    ends = np.array(here, dtype=np.int64), np.array(there, dtype=np.int64)
    named = {"time": "meta/time", "demand": "demandValue"}
    rows, repairs = _flows(
        times, *ends, list(sites), np.array(values),
        lambda row: Location(files[of_file[row]], 1), named,
    )  # fmt: skip
    return rows, repairs, hashed.hexdigest()


class _Head(NamedTuple):
    """What a matrix says of itself; empty where it does not."""

    time: str
    unit: str


_Stated = list[tuple[str, str, str]]
"""Source, target and value of each demand, as text."""
_DEMAND = re.compile(
    r"<demand\b[^>]*>\s*<source>\s*([^<]*?)\s*</source>\s*<target>\s*([^<]*?)\s*</target>"
    r"\s*<demandValue>\s*([^<]*?)\s*</demandValue>"
)


def _plain(data: bytes) -> tuple[_Head, _Stated] | None:
    """Return what a matrix holds that is laid out as SNDlib's are; None for any other.

    It is the same as parsing it, and ten times as fast: such folders hold tens of thousands.
    """
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        return None
    found = _DEMAND.findall(text)
    plain = len(found) == text.count("<demand ") + text.count("<demand>") > 0
    if not plain or "&" in text or "<!" in text or not text.rstrip().endswith("</network>"):
        return None
    tags = (re.search(rf"<{tag}>([^<]*)</{tag}>", text) for tag in ("time", "unit"))
    return _Head(*("" if tag is None else tag[1].strip() for tag in tags)), found


def _parsed(data: bytes, file: Path) -> tuple[_Head, _Stated]:
    root = _root(data, file)
    demands = root.find("demands")
    assert demands is not None
    head = _Head(*((root.findtext(f"meta/{tag}") or "").strip() for tag in ("time", "unit")))
    parts = ("source", "target", "demandValue")
    return head, [
        tuple((demand.findtext(part) or "").strip() for part in parts)  # type: ignore[misc]
        for demand in demands
    ]


def _root(data: bytes, file: Path) -> ElementTree.Element:
    if b"<!ENTITY" in data:
        raise InputError(Problem("declares an entity", "", file, None, "write what it stands for"))
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        line, what = error.position[0], f"is not XML: {error.msg.partition(':')[0]}"
        raise InputError(Problem(what, "", file, line)) from None
    # Namespaces differ from edition to edition.
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.find("demands") is None:
        what = f"holds no demands: it begins with <{root.tag}>"
        raise InputError(Problem(what, "", file, None, "keep only SNDlib matrices in the folder"))
    return root


def _time(head: _Head, file: Path) -> int:
    """Return the time of a matrix, microseconds since 1970."""
    found = _STAMP.search(head.time) or _STAMP.search(file.name)
    try:
        if found is None:
            raise ValueError
        moment = datetime(*(int(part) for part in found.groups()))  # type: ignore[arg-type]
    except ValueError:
        what = "has no time in 'meta/time', nor in its name"
        remedy = "write it as 2004-03-01 00-05, or 20040301-0005"
        raise InputError(Problem(what, "", file, None, remedy)) from None
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _scale(head: _Head, file: Path, unit: str) -> float:
    """Return what turns a matrix into the unit of the scenario: it may state its own."""
    stated = head.unit
    if not stated:
        return 1.0
    own = _UNITS.get(stated.lower().replace("_", ""))
    if own is None:
        known = ", ".join(name.upper() for name in _UNITS)
        raise InputError(Problem(f"unit '{stated}' is not known", "meta.unit", file, None, known))
    per_bit = {"bit/s": 1.0, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9, "byte/s": 8.0}
    return 1.0 if own == unit else per_bit[own] / per_bit[unit]


def _checked(stated: _Stated, file: Path) -> Iterator[tuple[str, str, float]]:
    for source, target, text in stated:
        name = f"{source}{ARROW}{target}"
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not source or not target or ARROW in source + target:
            raise InputError(Problem(f"demand '{name}' has no two sites", "demands", file))
        if not (0 <= value < np.inf):
            what = f"demand '{name}' is '{text}', no number of at least 0"
            raise InputError(Problem(what, "demandValue", file))
        yield source, target, value
