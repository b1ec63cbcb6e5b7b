"""What an export of another tool holds: a guess at the block `demand` that reads it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twin.core.errors import InputError, Problem
from twin.demand import dates
from twin.demand.cells import MISSING, NUMBER, unit_mbps
from twin.demand.csv_table import CsvTable
from twin.demand.parquet_table import ParquetTable
from twin.demand.plausible import OnlyGrowsError, unit_in_name
from twin.demand.read import read
from twin.demand.spec import DemandSpec
from twin.demand.trace import Trace
from twin.demand.unpack import read_bounded

_ROWS = 2000
"""Rows of a file that are looked at."""
_TIMES = (
    "time", "_time", "timestamp", "@timestamp", "datetime", "date time", "date", "clock", "ts",
    "zeit", "datum", "zeitstempel", "date time(raw)", "ctime", "bucket", "start time",
    "end time", "timestamp (utc)", "time stamp", "ut",
)  # fmt: skip
_NO_TIMES = ("_start", "_stop", "stop", "end")
_NO_VALUE = re.compile(
    r"(table|result|.*id|index|ifindex|interval|step|coverage.*|downtime.*|if(high)?speed|speed"
    r"|severity|doc_count|count|port|vlan|.*utili[sz]ation.*|.*%.*|.*percent.*|.*error.*|.*discard.*"
    r"|.*packets?.*|.*pkts.*|.*pck/s|.*pps|.*ucast.*|.*volume.*|.*\(raw\)|ns|flows|total rows"
    r"|bandwidth|errors?)",
    re.IGNORECASE,
)
_NO_LINK = re.compile(r"(result|_measurement|unit|units|job|severity|status|type)", re.IGNORECASE)
_FETCHED = "what rrdtool fetch prints"
_OTHER_UNIT = re.compile(r"(?:^|[^A-Za-z]|[rt]x)([kKMG]i?B(?:/s|ps)|[kKMG]i?[Bb]ytes?/s)\b")
"""A unit in a column's name that a trace cannot have."""
_LINE_PROTOCOL = re.compile(rb"[\w.-]+(,[\w.-]+=[^, ]+)* [\w.-]+=\S+ [0-9]{10,19}\r?\n")
_WITH_UNIT = re.compile(r"[<+-]? ?([0-9.,'\s]+)\s*([A-Za-z][A-Za-z/ ]*)")


@dataclass
class Guess:
    """A block `demand` with which an export is read, and what it rests on."""

    block: dict[str, Any]
    taken_for: str
    unsure: list[str] = field(default_factory=list)
    """What the file does not say, a sentence each."""
    trace: Trace | None = None
    """What is read with the block."""


def look(files: Sequence[Path], named: str | list[str]) -> Guess:
    """Return what reads `files`, whose paths are written as `named`.

    Raises InputError where nothing does, with the place and the key that is needed.
    """
    source, encoding = _source(files[0])
    block: dict[str, Any] = {"source": source, "path": named}
    unsure: list[str] = []
    if encoding != "utf-8":
        block["encoding"] = encoding
        unsure.append(f"the text is no UTF-8 and was read as {encoding}")
    looked = _Looked(_table(files[0], block), unsure)
    block |= looked.block()
    guess = Guess(block, looked.tool, unsure)
    _try(guess, looked)
    return guess


def _source(file: Path) -> tuple[str, str]:
    if file.is_dir():
        what, remedy = "is a folder", "name its files; a public dataset is read by 'source: zenodo'"
        raise InputError(Problem(what, "", file, None, remedy))
    with file.open("rb") as stream:
        data = stream.read(1 << 16)
    if data.startswith(b"PAR1"):
        return "parquet", "utf-8"
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return "excel", "utf-8"
    if data.lstrip()[:1] in (b"{", b"<") and not data.lstrip().startswith(b"{instance"):
        what = "is JSON or XML, not a table"
        raise InputError(Problem(what, "", file, 1, "export it as CSV; see docs/data.md"))
    if _LINE_PROTOCOL.match(data):
        what, remedy = "is line protocol, not a table", "query it as CSV: influx query --raw"
        raise InputError(Problem(what, "", file, 1, remedy))
    if data.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ")):
        return "csv", "utf-8"
    try:
        data[: data.rfind(b"\n") + 1].decode()
    except UnicodeDecodeError:
        return "csv", "utf-8" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "cp1252"
    return "csv", "utf-8"


def _table(file: Path, block: dict[str, Any]) -> Any:
    spec = DemandSpec.model_validate(block)
    if spec.source == "parquet":
        return ParquetTable(file, spec)
    data = read_bounded(file, spec.max_bytes)
    if spec.source == "csv":
        return CsvTable(file, data, spec)
    from twin.demand.excel_table import ExcelTable

    return ExcelTable(file, data, spec)


class _Looked:
    """The columns of a table, by what they seem to hold."""

    def __init__(self, table: Any, unsure: list[str]) -> None:
        self.table = table
        self.unsure = unsure
        self.names = [name for name in table.names if name]
        loaded = table.load(self.names)
        self.cells = {name: _texts(loaded[name]) for name in self.names}
        self.dated = {name: _is_dated(loaded[name]) for name in self.names}
        self.tool = _tool(table)
        self.decimal = self._decimal()
        self.time, self.format = self._time()
        self.values = [n for n in self.names if n != self.time and self._is_value(n)]
        preferred = [name for name in self.values if not _NO_VALUE.fullmatch(name)]
        self.left_out = [name for name in self.values if name not in preferred]
        self.values = preferred or self.values

    def block(self) -> dict[str, Any]:
        """Return the keys that say which columns are what. Raises InputError without a value."""
        if not self.values:
            what = "has no column of numbers beside the time"
            raise InputError(
                Problem(what, "", self.table.file, self.table.header, "see docs/data.md")
            )
        for name in self.values:
            if match := _OTHER_UNIT.search(name):
                what = f"column '{name}' is in {match[1]}, which is no unit of a trace"
                remedy = "export bits or bytes a second: 'unit: bit/s' or 'byte/s'"
                raise InputError(Problem(what, "", self.table.file, self.table.header, remedy))
        block: dict[str, Any] = {}
        columns: dict[str, Any] = {} if self.time == "time" else {"time": self.time}
        link = self._link()
        if link or (len(self.values) == 1 and self.values[0] in ("value", "Value", "internet")):
            columns |= {"link": link[0] if len(link) == 1 else link} if link else {}
            columns["internet"] = self.values[0] if len(self.values) == 1 else self.values
            columns = {ours: name for ours, name in columns.items() if ours != name}
        else:
            block["layout"] = "wide"
            if set(self.values) != {n for n in self.table.names if n != self.time}:
                block["only"] = self.values
        if columns:
            block["columns"] = columns
        block |= self._unit()
        if self.decimal:
            block["decimal"] = self.decimal
        if self.format:
            block["time_format"] = self.format
        if self.tool == "a graph of Cacti as CSV":
            block["stamp"] = "end"
        left_out = [name for name in self.left_out if name not in link]
        if left_out:
            self.unsure.append(f"not read: {', '.join(left_out)}")
        return block

    def _decimal(self) -> str | None:
        """Return the decimal point where it is not '.', or thousands are grouped."""
        numbers = [
            match[1].strip()
            for cells in self.cells.values()
            for cell in cells[:200]
            if (match := _WITH_UNIT.fullmatch(cell) or re.fullmatch(r"[+-]?([0-9.,'\s]+)", cell))
        ]
        commas = [number for number in numbers if "," in number]
        if any(re.fullmatch(r"[0-9.'\s]*,([0-9]{1,2}|[0-9]{4,})", each) for each in commas):
            return ","
        if any("." in each and each.rindex(",") > each.rindex(".") for each in commas):
            return ","
        if any("." in each for each in commas):
            return "."
        if commas:
            points = any("." in number for number in numbers)
            self.unsure.append(
                f"',' is taken for {'a group of thousands' if points else 'the decimal point'}, as "
                f"in '{commas[0]}'"
            )
            return "." if points else ","
        return None

    def _time(self) -> tuple[str, str | None]:
        """Return the column of times, and the format that reads it where one is needed."""
        order = {name: k for k, name in enumerate(_TIMES)}
        candidates = [name for name in self.names if name.lower() not in _NO_TIMES]
        candidates.sort(key=lambda name: order.get(name.lower(), len(order)))
        for name in candidates:
            stated = self._reads_as_time(name, known=name.lower() in order)
            if stated is not None:
                return name, stated or None
        what = f"no column of times among {', '.join(self.names[:12])}"
        remedy = "state 'columns: {time: ...}' and 'time_format'"
        raise InputError(Problem(what, "", self.table.file, self.table.header, remedy))

    def _reads_as_time(self, name: str, *, known: bool) -> str | None:
        """Return the format that reads times, '' where it needs none, None where it holds none."""
        cells = [cell for cell in self.cells[name] if cell]
        if self.dated[name]:
            return ""
        if not cells:
            return None
        if all(NUMBER.fullmatch(cell) for cell in cells):
            first = float(cells[0])
            if 3e8 <= first < 1e10 or 3e11 <= first < 1e13 or 3e14 <= first < 1e16 or first >= 3e17:
                return ""
            if known and name.lower().endswith("(raw)"):
                self.unsure.append("the times are days of Excel, taken for UTC")
                return "excel"
            return "" if known else None
        if all(dates.is_iso(cell) for cell in cells):
            return ""
        fits = dates.guess_formats(cells)
        last = [dates.parsed(cells[-1], each) for each in fits]
        also = next((k for k, moment in enumerate(last) if moment != last[0]), None)
        if also is not None:
            said = f"'{cells[-1]}' is read by '{fits[0]}', not '{fits[also]}'"
            self.unsure.append(f"day and month: {said}")
        return fits[0] if fits else None

    def _is_value(self, name: str) -> bool:
        cells = [cell for cell in self.cells[name] if cell.lower() not in MISSING]
        return bool(cells) and not self.dated[name] and all(map(self._is_amount, cells))

    def _is_amount(self, cell: str) -> bool:
        match = _WITH_UNIT.fullmatch(cell)
        if match is not None:
            return unit_mbps(match[2]) is not None
        return NUMBER.fullmatch(re.sub(r"[\s',]", "", cell) if self.decimal else cell) is not None

    def _link(self) -> list[str]:
        """Return the columns that tell rows of one time apart."""
        times = self.cells[self.time]
        if len(set(times)) == len(times):
            return []
        texts = [
            name
            for name in self.names
            if name != self.time
            and not self.dated[name]
            and name not in self.values
            and not all(cell.lower() in MISSING for cell in self.cells[name])
        ]
        texts.sort(key=lambda name: (name in self.left_out, bool(_NO_LINK.fullmatch(name))))
        chosen: list[str] = []
        apart = len(set(times))
        for name in texts:
            if len(set(self.cells[name])) < 2:
                continue
            keys = set(zip(times, *(self.cells[each] for each in [*chosen, name]), strict=True))
            if len(keys) > apart:
                chosen, apart = [*chosen, name], len(keys)
        return sorted(chosen, key=self.names.index)

    def _unit(self) -> dict[str, str]:
        own = [cell for name in self.values for cell in self.cells[name][:50]]
        if any(_WITH_UNIT.fullmatch(cell) for cell in own):
            return {}
        named = [unit for name in self.values if (unit := unit_in_name(name))]
        if named:
            return {} if named[0] == "Mbit/s" else {"unit": named[0]}
        if any(re.search("octet|byte", name, re.IGNORECASE) for name in self.values):
            return {"unit": "byte/s"}
        if self.tool == _FETCHED:
            self.unsure.append("no unit is named; taken for byte/s, as collectors store octets")
            return {"unit": "byte/s"}
        plain = [cell.replace(",", "") if self.decimal == "." else cell for cell in own]
        if self.decimal == ",":
            plain = [cell.replace(".", "").replace(",", ".") for cell in own]
        numbers = [abs(float(cell)) for cell in plain if NUMBER.fullmatch(cell)]
        mean = sum(numbers) / len(numbers) if numbers else 0.0
        unit = "bit/s" if mean > 1e5 else "Mbit/s"
        self.unsure.append(f"no unit is named; values of about {mean:.3g} are taken for {unit}")
        return {"unit": unit}


def _try(guess: Guess, looked: _Looked) -> None:
    """Read the export with the block, and mend this where the samples show that it is wrong."""
    spec = DemandSpec.model_validate(guess.block)
    try:
        guess.trace = read(spec, Path(), None, 1)
    except OnlyGrowsError:
        names = " ".join(looked.values + looked.names)
        block = {k: v for k, v in guess.block.items() if k not in ("unit", "stamp")}
        guess.block = block | {"kind": "counter"}
        guess.unsure = [each for each in guess.unsure if not each.startswith("no unit")]
        if re.search("bits", names, re.IGNORECASE):
            guess.block["unit"] = "bit/s"
        elif not re.search("octet|byte", names, re.IGNORECASE):
            guess.unsure.append("the counters are taken for octets; for bits write 'unit: bit/s'")
        guess.trace = read(DemandSpec.model_validate(guess.block), Path(), None, 1)
    if any(note.startswith("samples of") for note in guess.trace.repairs):
        guess.unsure.append("finer samples are averaged; 'aggregate: max' keeps their peaks")
    starts = guess.trace.starts
    if starts is not None and starts.tzinfo is None:
        guess.unsure.append(
            "the times have no offset from UTC; where they are local, add 'timezone: Europe/Berlin'"
        )


def _texts(column: Any) -> list[str]:
    return [
        "" if each is None else str(each).strip() for each in column.slice(0, _ROWS).to_pylist()
    ]


def _is_dated(column: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_timestamp(column.type))


def _tool(table: Any) -> str:
    """Return what the names of the columns, and the lines above them, are known from."""
    names = {name.lower() for name in table.names}
    above = " ".join(getattr(table, "notes", ())).lower()
    known = (
        ("rrdtool fetch" in above, _FETCHED),
        ("title:" in above, "a graph of Cacti as CSV"),
        ("_time" in names and "_value" in names, "annotated CSV of InfluxDB"),
        ({"series", "time", "value"} <= names, "series of Grafana as rows"),
        ("date time(raw)" in names, "historic data of PRTG"),
        ({"itemid", "clock", "value"} <= names, "history of Zabbix"),
        ("@timestamp" in names, "documents of Elasticsearch"),
        ("ifhcinoctets" in names or "ifinoctets" in names, "counters of SNMP"),
    )
    return next((what for fits, what in known if fits), "a table")
