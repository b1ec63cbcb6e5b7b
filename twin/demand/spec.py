"""The block `demand` of a scenario: where the demand comes from."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from twin.core.calendar import Ahead
from twin.core.errors import show
from twin.core.fields import Integer, Strict, iso_time
from twin.core.units import Duration, Share, Window, seconds
from twin.demand.growth import GrowthField

SYNTHETIC_KEYS = ("facilities", "length")
"""Keys of the demand that only the synthetic source has."""

MATRIX_COLUMNS = ("time", "src", "dst", "demand")
"""Columns of a table of demands from site to site."""
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


class ExtendSpec(Strict):
    """How a trace goes on after its end: its last weeks again and again, grown."""

    ahead: Ahead = Field(alias="for", description="how far it goes on, such as 24mo")
    repeat: Window = Field(seconds("4w"), description="what is repeated: the end of the trace")


class DemandSpec(Strict):
    """Where the demand comes from."""

    source: Literal["synthetic", "csv", "parquet", "zenodo", "matrix"] = "synthetic"
    path: str | None = Field(None, description="file or folder, relative to the scenario's folder")
    train: Annotated[Share, Field(gt=0, lt=1)] = 0.8
    unit: Annotated[
        Literal["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "byte/s"], BeforeValidator(_unit)
    ] = "Mbit/s"
    columns: dict[
        Literal[
            "time", "link", "internet", "downstream", "sessions", "vpn", "src", "dst", "demand"
        ],
        str,
    ] = Field(default={}, description="our column name: the file's")
    layout: Literal["long", "wide"] = "long"
    starts: Annotated[datetime | None, BeforeValidator(iso_time)] = Field(
        None, description="time of the first sample"
    )
    max_bytes: Bound = Field(2 * 2**30, description="most bytes of a file once it is unpacked")
    max_values: Bound = Field(
        200_000_000, description="most values of a file, rows times the columns that are read"
    )
    facilities: Annotated[Integer, Field(ge=1, le=100_000)] = Field(
        4, description="number of links of the synthetic source"
    )
    length: Duration = Field(seconds("37d 6h 50min"), description="length of the synthetic source")
    growth: GrowthField | None = Field(
        None, description="how demand grows after the trace, such as 30%/year; or by link"
    )
    extend: ExtendSpec | None = Field(None, description="absent: the trace ends where it ends")

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
        if self.source != "synthetic" and self.path is None:
            raise ValueError(f"source '{self.source}' needs a 'path'")
        return self
