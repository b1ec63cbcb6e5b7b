"""The block `demand` of a scenario: where the demand comes from."""

from __future__ import annotations

import codecs
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from twin.core import clock
from twin.core.calendar import Ahead
from twin.core.errors import show
from twin.core.fields import Integer, Strict, iso_time
from twin.core.units import MBPS, Duration, Share, Window, seconds
from twin.demand.growth import GrowthField
from twin.demand.matrix_spec import MatrixSpec

SYNTHETIC_KEYS = ("facilities", "length", "busiest")
"""Keys of the demand that only the synthetic source has."""

MATRIX_COLUMNS = ("time", "src", "dst", "demand")
"""Columns of a table of demands from site to site."""
TABLES = ("csv", "parquet", "excel")
"""Sources that are tables of links, one file or several."""
SEVERAL = ("link", "internet")
"""Our columns that several of a file may stand for."""
OF_TEXT = ("decimal", "time_format", "encoding")
"""Keys that say how text is read, which a Parquet file has no need of."""
OF_TABLES = ("kind", "bits", "snap", "stamp", "timezone", "aggregate", "only", *OF_TEXT)
"""Keys that belong to sources that are read from tables."""
OF_TRACES = (
    "path", "train", "only", "kind", "bits", "sheet", "starts", "matrix", "growth",
    "extend",
)  # fmt: skip
"""Keys of the demand that say something of a trace, where there is one."""
LIMITS = ("max_bytes", "max_values")
"""Keys of the demand that say what is read at all, and decide no result."""

Bound = Annotated[Integer, Field(ge=1, lt=2**63)]

MOST_SAMPLES = 100_000_000
"""Most samples that the synthetic source generates, over all links."""


def _unit(value: Any) -> Any:
    # Suggesting the unit of closest spelling, in bits, would be wrong by a factor of 8.
    if isinstance(value, str) and re.fullmatch("[kKMGT]i?B(/s|ps)", value):
        raise ValueError(f"{show(value)} is not known; of bytes there is 'byte/s' alone")
    return value


def _encoding(value: Any) -> Any:
    if isinstance(value, str):
        try:
            codec = codecs.lookup(value)
        except (LookupError, ValueError):
            codec = None
        if codec is None or not getattr(codec, "_is_text_encoding", True):
            raise ValueError(f"{show(value)} is no encoding; known are utf-8, cp1252, utf-16 ...")
    return value


def _time_format(value: Any) -> Any:
    if isinstance(value, str) and value != "excel":
        try:
            datetime.strptime("", value)
        except re.error:
            raise ValueError(f"{show(value)} names a part of the time twice") from None
        except ValueError as error:
            if "directive" in str(error) or "stray" in str(error):
                raise ValueError(f"{show(value)} is no format: {error}") from None
        if not value:
            raise ValueError("is empty; write it like '%d.%m.%Y %H:%M'")
    return value


def _zone(value: Any) -> Any:
    if isinstance(value, str):
        clock.zone(value)
    return value


def _columns(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    columns = dict(value)
    for ours in SEVERAL:
        named = columns.get(ours)
        if isinstance(named, list):
            if not named or not all(isinstance(name, str) for name in named):
                raise ValueError(f"'{ours}' is the name of a column, or a list of names")
            columns[ours] = tuple(named)
    return columns


def _several(value: Any) -> Any:
    if isinstance(value, list):
        if not value:
            raise ValueError("is empty; name at least one file")
        return tuple(value)
    return value


def _names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else _several(value)


class ExtendSpec(Strict):
    """How a trace goes on after its end: its last weeks again and again, grown."""

    ahead: Ahead = Field(
        alias="for", description="how far it goes on, such as 24mo", examples=["24mo"]
    )
    repeat: Window = Field(
        seconds("4w"), description="what is repeated: the end of the trace", examples=["4w"]
    )


class DemandSpec(Strict):
    """Where the demand comes from."""

    source: Literal["synthetic", "csv", "parquet", "excel", "zenodo", "matrix", "telemetry"] = (
        Field(
            "synthetic",
            description="what kind of file or folder it is read from; `synthetic`: generated; "
            "`telemetry`: there is no trace yet, and a living twin collects it",
        )
    )
    links: Annotated[tuple[str, ...] | None, BeforeValidator(_names)] = Field(
        None,
        description="links that telemetry is of, where it is the source; absent: those under "
        "`links`, or of the topology",
        examples=[["uplink-a", "uplink-b"]],
    )
    flows: Annotated[tuple[str, ...] | None, BeforeValidator(_names)] = Field(
        None,
        description="demand from site to site that telemetry is of, where it is the source and "
        "there is a topology: each as `A>B`, or `all`",
        examples=["all", ["A>B", "A>C"]],
    )
    path: Annotated[str | tuple[str, ...] | None, BeforeValidator(_several)] = Field(
        None,
        description="file or folder, relative to the scenario's folder; of tables also a pattern "
        "such as 'exports/*.csv', or a list",
        examples=["trace.csv"],
    )
    train: Annotated[Share, Field(gt=0, lt=1)] = Field(
        0.8, description="share of the trace, its first part, that is history", examples=["80%"]
    )
    unit: Annotated[
        Literal["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "byte/s"], BeforeValidator(_unit)
    ] = Field("Mbit/s", description="of the traffic in the file; of counters byte/s or bit/s")
    columns: Annotated[
        dict[
            Literal[
                "time", "link", "internet", "downstream", "sessions", "vpn", "src", "dst", "demand"
            ],
            str | tuple[str, ...],
        ],
        BeforeValidator(_columns),
    ] = Field(
        default={},
        description="our column name: the file's; a list for 'link', whose name is in several, "
        "and for 'internet', of which each is a link",
        examples=[{"internet": "in_bps", "time": "timestamp"}],
    )
    layout: Literal["long", "wide"] = Field(
        "long", description="a row for each time and link, or a column for each link"
    )
    only: Annotated[tuple[str, ...] | None, BeforeValidator(_names)] = Field(
        None,
        description="links that are read, by name or pattern; absent: all",
        examples=[["core-*"]],
    )
    kind: Literal["rate", "counter"] | None = Field(
        None,
        description="rates, or counters that grow; absent: rates, refused where they only grow",
    )
    bits: Literal[32, 64] | None = Field(
        None, description="size of the counters, bits; absent: 64 where any is 2^32 or more"
    )
    stamp: Literal["start", "end"] = Field(
        "start", description="what the time of a sample marks: the start or end of its interval"
    )
    snap: Duration | None = Field(
        None,
        description="how far a time may be off the grid; absent: a tenth of the step",
        examples=["30s"],
    )
    aggregate: Literal["mean", "max", "p95"] = Field(
        "mean", description="what becomes of the samples of a tick"
    )
    decimal: Literal[".", ","] | None = Field(
        None, description="the decimal point; where it is stated, the other one groups thousands"
    )
    time_format: Annotated[str | None, BeforeValidator(_time_format)] = Field(
        None,
        description="how times are written, as strptime reads them; 'excel': days since 1899-12-30",
        examples=["%d.%m.%Y %H:%M"],
    )
    encoding: Annotated[str, BeforeValidator(_encoding)] = Field(
        "utf-8", description="how the text of the file is stored", examples=["cp1252"]
    )
    timezone: Annotated[str | None, BeforeValidator(_zone)] = Field(
        None,
        description="of times without an offset, and of all that is shown",
        examples=["Europe/Berlin"],
    )
    sheet: str | None = Field(
        None, description="the sheet of a workbook; absent: the first", examples=["Traffic"]
    )
    starts: Annotated[datetime | None, BeforeValidator(iso_time)] = Field(
        None,
        description="time of the first sample, where the file has no dates",
        examples=["2004-11-19T09:30"],
    )
    matrix: MatrixSpec | None = Field(
        None, description="a matrix that is estimated from counters of links, of sites, or of both"
    )
    max_bytes: Bound = Field(
        2 * 2**30, description="most bytes of a file once it is unpacked", examples=[8589934592]
    )
    max_values: Bound = Field(
        200_000_000,
        description="most values of a file, rows times the columns that are read",
        examples=[1000000000],
    )
    facilities: Annotated[Integer, Field(ge=1, le=100_000)] = Field(
        4, description="number of links of the synthetic source", examples=[2]
    )
    length: Duration = Field(
        seconds("37d 6h 50min"), description="length of the synthetic source", examples=["10d"]
    )
    growth: GrowthField | None = Field(
        None, description="how demand grows after the trace, such as 30%/year; or by link"
    )
    extend: ExtendSpec | None = Field(
        None, description="how the trace goes on; absent: it ends where it ends"
    )
    busiest: Annotated[Share, Field(gt=0)] | None = Field(
        None,
        description="of a generated matrix: the highest load of any link over its capacity; "
        "absent: 60%",
        examples=["70%"],
    )

    @model_validator(mode="before")
    @classmethod
    def _octets(cls, data: Any) -> Any:
        """Let counters be of octets where nothing else is stated, as those of SNMP are."""
        if isinstance(data, dict) and data.get("kind") == "counter" and "unit" not in data:
            return {**data, "unit": "byte/s"}
        return data

    @field_validator("starts")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        try:
            if value is not None and value.tzinfo is not None:
                value.astimezone(UTC)
        except OverflowError:
            raise ValueError("is out of range in UTC") from None
        return value

    @model_validator(mode="after")
    def _path_belongs_to_source(self) -> DemandSpec:
        self._keys_of_tables()
        if self.source == "synthetic" and self.path is not None:
            raise ValueError("'path' needs a source that is read, such as 'source: csv'")
        if self.source == "synthetic" and self.columns:
            raise ValueError("'columns' needs a source that is read, such as 'source: csv'")
        if self.facilities * self.length / 300 > MOST_SAMPLES:
            raise ValueError("'length' times 'facilities' is too much to generate")
        for key in SYNTHETIC_KEYS:
            if self.source != "synthetic" and key in self.model_fields_set:
                raise ValueError(f"'{key}' belongs to 'source: synthetic'")
        for column in self.columns:
            if (column in MATRIX_COLUMNS) != (self.source == "matrix") and column != "time":
                raise ValueError(f"'columns' has '{column}', which 'source: {self.source}' has not")
        if self.source == "matrix" and self.layout == "wide":
            raise ValueError("'layout: wide' has no meaning for 'source: matrix'")
        for key in ("links", "flows"):
            if getattr(self, key) is not None and self.source != "telemetry":
                raise ValueError(f"'{key}' belongs to 'source: telemetry'")
        if self.source == "telemetry":
            self._collected()
        elif self.source != "synthetic" and self.path is None and not self.of_site_totals:
            raise ValueError(f"source '{self.source}' needs a 'path'")
        return self

    def _collected(self) -> None:
        """Raise ValueError for keys that say something of a trace, where there is none yet."""
        for key in OF_TRACES:
            if key in self.model_fields_set and getattr(self, key):
                raise ValueError(f"'{key}' is of a trace, which 'source: telemetry' has not yet")
        if self.links is not None and self.flows is not None:
            raise ValueError("telemetry is of 'links' or of 'flows', not of both")
        for name in (*(self.links or ()), *(self.flows or ())):
            if (*(self.links or ()), *(self.flows or ())).count(name) > 1:
                raise ValueError(f"names '{name}' twice")

    def _keys_of_tables(self) -> None:
        """Raise ValueError for keys that belong to another source, or to another kind."""
        stated = self.model_fields_set
        for key in OF_TABLES:
            if key not in stated or getattr(self, key) is None or self.source in TABLES:
                continue
            if self.source != "telemetry":
                raise ValueError(f"'{key}' belongs to 'source: csv', 'parquet' or 'excel'")
        if self.sheet is not None and self.source != "excel":
            raise ValueError("'sheet' belongs to 'source: excel'")
        if isinstance(self.path, tuple) and self.source not in TABLES:
            raise ValueError(f"'path' of 'source: {self.source}' is one file or folder")
        if self.bits is not None and self.kind != "counter":
            raise ValueError("'bits' belongs to 'kind: counter'")
        if self.kind == "counter" and "stamp" in stated:
            raise ValueError("'stamp' has no meaning for 'kind: counter': readings have no span")
        for column, name in self.columns.items():
            if isinstance(name, tuple) and column not in SEVERAL:
                raise ValueError(f"'columns' names one column for '{column}', not a list")

    @property
    def paths(self) -> tuple[str, ...]:
        """Its paths and patterns, as they are written."""
        if isinstance(self.path, tuple):
            return self.path
        return () if self.path is None else (self.path,)

    @property
    def unit_mbps(self) -> float:
        """Mbit/s in one of its unit."""
        return MBPS[self.unit]

    @property
    def renamed(self) -> dict[str, str]:
        """The file's names of our columns, without those of a link that is named by several."""
        return {str(ours): name for ours, name in self.columns.items() if isinstance(name, str)}

    @model_validator(mode="after")
    def _what_is_estimated(self) -> DemandSpec:
        if self.matrix is None:
            return self
        if self.source == "synthetic":
            raise ValueError("'matrix' is estimated from counters: name them, as 'source: csv'")
        if self.source == "matrix":
            if self.path is not None:
                raise ValueError(
                    "'matrix' is estimated where none is read: remove it, or write 'source: csv' "
                    "for counters of links"
                )
            if self.matrix.estimate != "gravity":
                raise ValueError("from totals of sites alone there is 'estimate: gravity' only")
        return self

    @property
    def of_site_totals(self) -> bool:
        """Whether a matrix is estimated from totals of sites alone."""
        return self.source == "matrix" and self.matrix is not None and self.matrix.sites is not None
