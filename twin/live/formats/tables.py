"""CSV as a trace file, long or wide, read as the scenario reads its own.

A header with a column `internet` (or what `demand.columns` renames) is long; otherwise each column
beside `time` is a link. Times are ISO-8601 or seconds since 1970.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.core.errors import InputError, Problem, did_you_mean
from twin.demand import columns
from twin.demand.csv_table import CsvTable
from twin.demand.kpis import KPIS
from twin.demand.locations import refuse
from twin.demand.rows import UNNAMED
from twin.demand.spec import TABLES, DemandSpec
from twin.demand.zoned import in_utc
from twin.live.formats.reading import MOST_BYTES, MOST_SAMPLES, Reading, refuse_large
from twin.live.samples import KPI, Samples

_FILE: Final = Path("telemetry")
"""What stands for a file in messages."""


def read(data: bytes, reading: Reading) -> Samples:
    """Return the samples of a body. Raises InputError with the line of what is wrong."""
    refuse_large(data)
    demand = reading.demand
    if demand.source not in TABLES:
        demand = DemandSpec(source="csv", path=str(_FILE))
    demand = demand.model_copy(update={"max_bytes": MOST_BYTES, "max_values": MOST_SAMPLES})
    table = CsvTable(_FILE, data, demand)
    renamed = {kpi: name for kpi, name in demand.renamed.items() if kpi != "time"}
    time = demand.renamed.get("time", "time")
    if time not in table.names:
        remedy = "name the column of times 'time', or as 'demand.columns' says"
        raise InputError(Problem(f"no column '{time}'", "", _FILE, table.header, remedy))
    # By the name that the trace has for it, or by its own.
    kpis = {
        kpi: name for kpi in KPIS for name in (kpi, renamed.get(kpi, kpi)) if name in table.names
    }
    link = renamed.get("link", reading.label)
    if KPI in kpis:
        return _long(table, demand, time, kpis, link)
    if link in table.names:
        wanted = renamed.get(KPI, KPI)
        what = f"no column '{wanted}', which holds the demand, beside '{link}'"
        remedy = did_you_mean(wanted, table.names) or "state 'demand.columns'"
        raise InputError(Problem(what, "", _FILE, table.header, remedy))
    names = tuple(name for name in table.names if name not in (time, ""))
    return _wide(table, demand, time, names)


def _long(
    table: CsvTable, demand: DemandSpec, time: str, kpis: dict[str, str], link: str
) -> Samples:
    """Return the samples of a table with a row for each link and time."""
    named = link in table.names
    loaded = table.load([time, *kpis.values(), *([link] if named else [])], link if named else None)
    problems: list[Problem] = []
    if named:
        code, links = columns.links(loaded[link], link, table.locate, problems)
    else:
        code, links = np.zeros(len(loaded[time]), np.int32), (UNNAMED,)
    values = [columns.numbers(loaded[k], k, table.locate, problems) for k in kpis.values()]
    refuse(problems)
    time_ms = _times(table, demand, loaded[time], time, code.astype(np.int64))
    each = len(code)
    return _there(
        Samples(
            tuple(links),
            tuple(kpis),
            np.tile(code.astype(np.int64), len(kpis)),
            np.repeat(np.arange(len(kpis)), each),
            np.tile(time_ms, len(kpis)),
            np.concatenate(values),
        )
    )


def _wide(table: CsvTable, demand: DemandSpec, time: str, links: tuple[str, ...]) -> Samples:
    """Return the samples of a table with a column for each link."""
    if not links:
        raise InputError(Problem("has no column beside the time", "", _FILE, table.header))
    loaded = table.load([time, *links])
    problems: list[Problem] = []
    values = [columns.numbers(loaded[k], k, table.locate, problems) for k in links]
    refuse(problems)
    each = len(values[0])
    time_ms = _times(table, demand, loaded[time], time, np.zeros(each, np.int64))
    link = np.repeat(np.arange(len(links)), each)
    kpi = np.zeros(len(link), np.int64)
    all_times = np.tile(time_ms, len(links))
    return _there(Samples(links, (KPI,), link, kpi, all_times, np.concatenate(values)))


def _times(table: CsvTable, demand: DemandSpec, column: Any, name: str, code: Ints) -> Ints:
    """Return times as milliseconds since 1970; without a zone they are in UTC."""
    problems: list[Problem] = []
    times = columns.times(column, name, table.locate, problems, demand)
    refuse(problems)
    times, _ = in_utc(times, code.astype(np.int32), demand.timezone, name, table.locate)
    # A count of seconds that is no date is one since 1970 as well: that of a trace without dates.
    ms: Floats = times.ticks / times.per_second * 1000
    return np.rint(ms).astype(np.int64)


def _there(samples: Samples) -> Samples:
    """Return samples without those whose cell is empty."""
    some = ~np.isnan(samples.values)
    if some.all():
        return samples
    link, kpi, time_ms = samples.link[some], samples.kpi[some], samples.time_ms[some]
    return Samples(samples.links, samples.kpis, link, kpi, time_ms, samples.values[some])
