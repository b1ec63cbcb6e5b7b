"""The block `demand.matrix` of a scenario: how a matrix is estimated from counters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from twin.core.fields import Strict

SITE_COLUMNS = ("time", "site", "in", "out")
"""Columns of a table of what enters and leaves the network at each site."""


class MatrixSpec(Strict):
    """A matrix that is estimated, since only its sums were counted."""

    estimate: Literal["tomogravity", "gravity"] = Field(
        description="the matrix nearest to a gravity model that explains the link loads, or that "
        "model alone"
    )
    sites: str | None = Field(
        None,
        description="CSV or Parquet of `time, site, in, out`: what enters and leaves the network "
        "at each site, relative to the scenario's folder",
        examples=["sites.csv"],
    )
    columns: dict[Literal["time", "site", "in", "out"], str] = Field(
        {}, description="of `sites`; our column name: the file's", examples=[{"in": "rx"}]
    )
    unit: Literal["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "byte/s"] | None = Field(
        None, description="of `sites`; absent: that of the demand"
    )
    self_traffic: bool = Field(
        False, description="whether totals include what goes from a site to itself"
    )

    @model_validator(mode="after")
    def _totals_are_there(self) -> MatrixSpec:
        for key in ("columns", "unit", "self_traffic"):
            if self.sites is None and key in self.model_fields_set:
                raise ValueError(f"'{key}' is about 'sites', which are not stated")
        return self
