"""The block `topology` of a scenario."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from twin.core.fields import Amount, Capacity, Number, Strict


class SiteSpec(Strict):
    """A site, written in the scenario."""

    label: str = Field(
        "", description="what a map writes beside it; absent: its name", examples=["Bern, Wankdorf"]
    )
    x: Number | None = Field(
        None, description="where a map draws it: longitude, degrees, or any number", examples=[7.44]
    )
    y: Number | None = Field(
        None, description="where a map draws it: latitude, degrees, or any number", examples=[46.95]
    )


class ConnectionSpec(Strict):
    """A connection of two sites, written in the scenario."""

    a: str = Field(description="the site where it begins", examples=["Bern"])
    b: str = Field(description="the site where it ends", examples=["Basel"])
    capacity_mbps: Capacity | None = Field(
        None, description="of each direction, Mbit/s; absent: unlimited", examples=[100000]
    )
    weight: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="the cost that shortest paths add up, a number; absent: 1", examples=[95]
    )
    length_km: Amount | None = Field(
        None, description="length of the fibre, km, for failures by length", examples=[95]
    )
    tags: tuple[str, ...] = Field(
        (), description="words that are kept with it", examples=[["leased"]]
    )


class TopologySpec(Strict):
    """The network: from a file, by name from topohub, or written here."""

    path: str | None = Field(
        None,
        description="GraphML, node-link JSON, SNDlib (XML or native) or a CSV of links, relative "
        "to the scenario's folder",
        examples=["net.graphml"],
    )
    topohub: str | None = Field(
        None, description="a name there, such as sndlib/germany50", examples=["sndlib/germany50"]
    )
    directed: bool | None = Field(
        None, description="of a CSV and of `links`: whether each entry is one direction only"
    )
    weights: Literal["stated", "hops", "length"] = Field(
        "stated",
        description="what shortest paths add up: the weights that are stated, 1 for each link, or "
        "its length in km",
    )
    sites: dict[str, SiteSpec] = Field(
        {},
        description="sites by name; absent: where links end",
        examples=[{"Bern": {"x": 7.44, "y": 46.95}}],
    )
    links: tuple[ConnectionSpec, ...] = Field(
        (),
        description="connections, written here instead of in a file: each is two links, one each "
        "way, unless `directed`",
    )

    @model_validator(mode="after")
    def _one_origin(self) -> TopologySpec:
        stated = [key for key in ("path", "topohub", "links") if getattr(self, key)]
        if len(stated) != 1:
            raise ValueError("needs one of 'path', 'topohub' and 'links'")
        if self.sites and not self.links:
            raise ValueError("'sites' belong to 'links'")
        return self
