"""Rows of a trace: one link at one time each, whichever way the file is laid out."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem, did_you_mean
from twin.demand import columns
from twin.demand.columns import Times
from twin.demand.kpis import KPIS, TRAFFIC_KPIS
from twin.demand.locations import ColumnFile, Locate, refuse
from twin.demand.spec import DemandSpec
from twin.demand.zoned import in_utc

UNNAMED = "link-1"
"""The name of a link that its file does not name."""


@dataclass(frozen=True, slots=True)
class Rows:
    """KPIs as rows, in the file's order and unit; missing values are NaN."""

    times: Times
    """Time of each row, [rows]."""
    code: NDArray[np.int32]
    """Index of each row's link in `links`, [rows]."""
    links: tuple[str, ...]
    kpis: Mapping[str, Floats]
    """[rows] each."""
    names: Mapping[str, str]
    """The file's names of the time and each KPI; only of the time where columns are links."""
    locate: Locate
    per_line: int = 1
    """How many rows are on a line of the file: one for each link where columns are links."""
    counts: Mapping[str, NDArray[np.uint64]] = field(default_factory=dict)
    """Readings of counters, exactly, [rows] each; 0 where the KPI is NaN."""
    notes: tuple[str, ...] = ()
    """What was done to read them, a sentence each."""

    @property
    def named(self) -> tuple[str, ...]:
        """The file's names of the columns with traffic: links, where columns are links."""
        traffic = tuple(self.names[kpi] for kpi in TRAFFIC_KPIS if kpi in self.names)
        return traffic or self.links

    def column(self, kpi: str, row: int) -> str:
        """Return the name of the column that holds a value."""
        return self.names.get(kpi) or self.links[self.code[row]]

    def time_problem(self, row: int, what: str, suggestion: str) -> Problem:
        """Return the problem that the time of a row has."""
        return self.locate(row).problem(self.names["time"], what, suggestion)


def rows(table: ColumnFile, demand: DemandSpec) -> Rows:
    """Return the rows of a table in the layout that `demand` states.

    Raises InputError for columns that are missing and for cells that cannot be used.
    """
    result = _wide(table, demand) if demand.layout == "wide" else _long(table, demand)
    if demand.only is not None:
        result = _chosen(result, demand.only)
    known = ~np.isnan(result.kpis["internet"])
    if not known.all():
        counts = np.bincount(result.code[known], minlength=len(result.links)).tolist()
        empty = [link for link, count in zip(result.links, counts, strict=True) if not count]
        refuse([_valueless(link, table) for link in empty])
    return result


def _chosen(rows: Rows, only: Sequence[str]) -> Rows:
    """Return the rows of the links that are named, or fit a pattern."""
    links = matching(rows.links, only)
    if links == rows.links:
        return rows
    place = np.full(len(rows.links), -1, np.int32)
    for code, link in enumerate(links):
        place[rows.links.index(link)] = code
    kept = np.flatnonzero(place[rows.code] >= 0)
    locate = rows.locate
    return replace(
        rows,
        times=replace(rows.times, ticks=rows.times.ticks[kept]),
        code=place[rows.code[kept]],
        links=links,
        kpis={name: values[kept] for name, values in rows.kpis.items()},
        counts={name: values[kept] for name, values in rows.counts.items()},
        locate=lambda row: locate(int(kept[row])),
    )


def matching(links: Sequence[str], only: Sequence[str]) -> tuple[str, ...]:
    """Return the links that are named, or fit a pattern. Raises InputError for one that is none."""
    chosen: set[str] = set()
    for name in only:
        fits = [name] if name in links else fnmatch.filter(links, name)
        if not fits:
            hint = did_you_mean(name, links) or f"the trace has {_listed(links)}"
            raise InputError(Problem(f"no link '{name}'", "demand.only", None, None, hint))
        chosen.update(fits)
    return tuple(link for link in links if link in chosen)


def _valueless(link: str, table: ColumnFile) -> Problem:
    what = f"link '{link}' has no value at all"
    return Problem(what, "", table.file, None, "remove it from the trace")


def _long(table: ColumnFile, demand: DemandSpec) -> Rows:
    names = _names(table, demand)
    link = _of_link(table, demand, names)
    if isinstance(demand.columns.get("internet"), tuple):
        names = {"time": names["time"]}
    wanted = list(dict.fromkeys([*names.values(), *link]))
    loaded = table.load(wanted, link[0] if len(link) == 1 else None)
    problems: list[Problem] = []
    times = columns.times(loaded[names["time"]], names["time"], table.locate, problems, demand)
    if link:
        named = [loaded[name] for name in link]
        code, links = columns.links(columns.together(named), link[0], table.locate, problems)
    else:
        code, links = np.zeros(len(times.ticks), np.int32), (UNNAMED,)
    several = demand.columns.get("internet")
    if isinstance(several, tuple):
        refuse(problems)
        times, notes = in_utc(times, code, demand.timezone, names["time"], table.locate)
        return _melted(table, demand, times, code, links, several, notes)
    kpis, counts = {}, {}
    for kpi, name in names.items():
        if kpi in TRAFFIC_KPIS and demand.kind == "counter":
            counted = columns.counts(loaded[name], name, table.locate, problems, demand)
            counts[kpi], kpis[kpi] = counted
        elif kpi != "time":
            kpis[kpi] = columns.kpi(loaded[name], name, table.locate, problems, demand)
    refuse(problems)
    times, notes = in_utc(times, code, demand.timezone, names["time"], table.locate)
    gauges = [name for name in KPIS if name not in TRAFFIC_KPIS and name in table.names]
    if demand.kind == "counter" and gauges:
        notes = (*notes, f"{' and '.join(gauges)} not read beside counters")
    return Rows(times, code, links, kpis, names, table.locate, 1, counts, notes)


def _melted(
    table: ColumnFile,
    demand: DemandSpec,
    times: Times,
    code: NDArray[np.int32],
    links: tuple[str, ...],
    several: tuple[str, ...],
    notes: tuple[str, ...],
) -> Rows:
    """Return rows in which each of `several` columns is a link of its own, named by it too."""
    problems: list[Problem] = []
    loaded = table.load(list(several))
    values, counts = _values(table, loaded, several, demand, problems)
    refuse(problems)
    names = [
        name if links == (UNNAMED,) else f"{link}:{name}" for link in links for name in several
    ]
    width = len(several)
    return Rows(
        Times(np.repeat(times.ticks, width), times.per_second, times.epoch),
        np.repeat(code * np.int32(width), width)
        + np.tile(np.arange(width, dtype=np.int32), len(code)),
        tuple(names),
        {"internet": values.ravel()},
        {"time": demand.renamed.get("time", "time")},
        lambda row: table.locate(row // width),
        width,
        {"internet": counts.ravel()} if demand.kind == "counter" else {},
        notes,
    )


def _values(
    table: ColumnFile,
    loaded: Mapping[str, Any],
    names: Sequence[str],
    demand: DemandSpec,
    problems: list[Problem],
) -> tuple[Floats, NDArray[np.uint64]]:
    """Return the demand in several columns, [rows of the file, columns], and their readings."""
    values = np.empty((len(loaded[names[0]]), len(names)))
    counts = np.zeros(values.shape if demand.kind == "counter" else (0, 0), np.uint64)
    for k, name in enumerate(names):
        if demand.kind == "counter":
            counted = columns.counts(loaded[name], name, table.locate, problems, demand)
            counts[:, k], values[:, k] = counted
        else:
            values[:, k] = columns.kpi(loaded[name], name, table.locate, problems, demand)
    return values, counts


def _of_link(table: ColumnFile, demand: DemandSpec, names: dict[str, str]) -> list[str]:
    """Return the columns that name the link, which are taken out of `names`."""
    stated: object = demand.columns.get("link")
    one = names.pop("link", None)
    if not isinstance(stated, tuple):
        return [one] if one else []
    unknown = [name for name in stated if name not in table.names]
    refuse([_unknown_column(name, "demand.columns.link", table.names) for name in unknown])
    return list(dict.fromkeys(stated))


def _names(table: ColumnFile, demand: DemandSpec) -> dict[str, str]:
    """Return the file's name of each column of a trace that it has: time, link and KPIs."""
    renamed = demand.renamed
    several: object = demand.columns.get("internet")
    if isinstance(several, tuple):
        unknown = [name for name in several if name not in table.names]
        refuse([_unknown_column(name, "demand.columns.internet", table.names) for name in unknown])
        renamed["internet"] = several[0]
    claimed = set(renamed.values())
    names: dict[str, str] = {}
    problems = []
    kpis = TRAFFIC_KPIS if demand.kind == "counter" else KPIS
    for ours in ("time", "link", *kpis):
        theirs = renamed.get(ours)
        if theirs is not None and theirs not in table.names:
            problems.append(_unknown_column(theirs, f"demand.columns.{ours}", table.names))
        elif theirs is not None:
            names[ours] = theirs
        elif ours in table.names and ours not in claimed:
            names[ours] = ours
        elif ours in ("time", "internet"):
            problems.append(_missing_column(ours, table))
    refuse(problems)
    return names


def _unknown_column(name: str, where: str, known: Sequence[str]) -> Problem:
    hint = did_you_mean(name, known)
    listed = f"the trace has {_listed(known)}"
    return Problem(f"no column '{name}'", where, None, None, f"{hint} {listed}" if hint else listed)


def _missing_column(ours: str, table: ColumnFile) -> Problem:
    close = did_you_mean(ours, table.names)
    remedy = f"rename one with 'columns: {{{ours}: ...}}' in the scenario"
    if ours == "internet" and not close:
        remedy += ", or write 'layout: wide' if its columns are links"
    has = f"no column '{ours}' among {_listed(table.names)}"
    return Problem(has, "", table.file, table.header, f"{close} {remedy}" if close else remedy)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def _wide(table: ColumnFile, demand: DemandSpec) -> Rows:
    time = _time_of_wide(table, demand)
    links = tuple(name for name in table.names if name != time)
    if "" in links:
        what = f"column {list(table.names).index('') + 1} has no name"
        remedy = "name each link in the header"
        raise InputError(Problem(what, "", table.file, table.header, remedy))
    if not links:
        raise InputError(Problem("has no column beside the time", "", table.file, table.header))
    if demand.only is not None:
        links = matching(links, demand.only)
    loaded = table.load([time, *links])
    problems: list[Problem] = []
    times = columns.times(loaded[time], time, table.locate, problems, demand)
    values, counts = _values(table, loaded, links, demand, problems)
    refuse(problems)
    one = np.zeros(len(times.ticks), np.int32)
    times, notes = in_utc(times, one, demand.timezone, time, table.locate)
    return Rows(
        Times(np.repeat(times.ticks, len(links)), times.per_second, times.epoch),
        np.tile(np.arange(len(links), dtype=np.int32), len(times.ticks)),
        links,
        {"internet": values.ravel()},
        {"time": time},
        lambda row: table.locate(row // len(links)),
        len(links),
        {"internet": counts.ravel()} if demand.kind == "counter" else {},
        notes,
    )


def _time_of_wide(table: ColumnFile, demand: DemandSpec) -> str:
    for ours in demand.columns:
        if ours != "time":
            what = "cannot be renamed where each column is a link"
            remedy = "only 'time' can; or write 'layout: long'"
            raise InputError(Problem(what, f"demand.columns.{ours}", None, None, remedy))
    if {"link", "internet"} <= set(table.names):
        what = "'wide' means a column per link, but the trace has columns 'link' and 'internet'"
        raise InputError(Problem(what, "demand.layout", None, None, "write 'layout: long'"))
    time = demand.renamed.get("time", "time")
    if time not in table.names:
        if "time" in demand.columns:
            raise InputError(_unknown_column(time, "demand.columns.time", table.names))
        raise InputError(_missing_column("time", table))
    return time
