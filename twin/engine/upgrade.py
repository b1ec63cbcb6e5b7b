"""The block `upgrade` of a link: when its capacity is raised, by how much, and at what price."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from twin.core.fields import Amount, Strict
from twin.core.units import BitRate, Duration, Share, Window, seconds
from twin.demand.busy import StatisticName


class UpgradeSpec(Strict):
    """A step of capacity is ordered once the link is so busy, and is there a lead time later."""

    at: Annotated[Share, Field(gt=0)] = Field(
        0.8, description="share of the capacity, what is on order included", examples=["80%"]
    )
    of: StatisticName = Field("p95", description="what of the demand is meant")
    over: Window = Field(
        seconds("7d"), description="time before an instant that it is taken over", examples=["7d"]
    )
    step: BitRate = Field(
        description="what an order adds, Mbit/s or such as 100Gbit/s; several if need be",
        examples=["100Gbit/s"],
    )
    lead_time: Duration = Field(
        seconds("0s"), description="time from the order to its effect", examples=["12w"]
    )
    price: Amount = Field(
        0.0, description="price of one step, in any one currency", examples=[40000]
    )
