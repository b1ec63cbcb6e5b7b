"""The block `topology` of a scenario."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from twin.core.fields import Amount, Capacity, Number, Strict


class SiteSpec(Strict):
    """A site, written in the scenario."""

    label: str = Field("", description="what a map writes beside it; absent: its name")
    x: Number | None = Field(None, description="coordinate, such as a longitude")
    y: Number | None = Field(None, description="coordinate, such as a latitude")


class ConnectionSpec(Strict):
    """A connection of two sites, written in the scenario."""

    a: str
    b: str
    capacity_mbps: Capacity | None = Field(None, description="absent: unlimited")
    weight: Annotated[Number, Field(gt=0)] | None = Field(None, description="absent: 1")
    length_km: Amount | None = None
    tags: tuple[str, ...] = ()


class TopologySpec(Strict):
    """The network: from a file, by name from topohub, or written here."""

    path: str | None = Field(
        None,
        description="GraphML, node-link JSON, SNDlib (XML or native) or a CSV of links, relative "
        "to the scenario's folder",
    )
    topohub: str | None = Field(None, description="a name there, such as sndlib/germany50")
    directed: bool | None = Field(
        None, description="of a CSV and of `links`: whether each entry is one direction only"
    )
    sites: dict[str, SiteSpec] = Field({}, description="absent: where links end")
    links: tuple[ConnectionSpec, ...] = ()

    @model_validator(mode="after")
    def _one_origin(self) -> TopologySpec:
        stated = [key for key in ("path", "topohub", "links") if getattr(self, key)]
        if len(stated) != 1:
            raise ValueError("needs one of 'path', 'topohub' and 'links'")
        if self.sites and not self.links:
            raise ValueError("'sites' belong to 'links'")
        return self
