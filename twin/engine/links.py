"""What is known of a link: its ceiling, and how its allocation can be changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from twin.core.arrays import Floats
from twin.core.fields import Amount, Capacity, Number, Strict
from twin.core.rounding import steps_for, steps_within
from twin.core.units import Duration, Share, format_duration, seconds
from twin.engine.upgrade import UpgradeSpec


class Spread(Strict):
    """A time that varies evenly between two."""

    low: Duration = Field(description="the least that is drawn", examples=["1h"])
    high: Duration = Field(description="the most that is drawn", examples=["4h"])

    @model_validator(mode="after")
    def _in_order(self) -> Spread:
        if self.high < self.low:
            raise ValueError("'high' is less than 'low'")
        return self


def _lead(value: Any) -> Any:
    # A text is a fixed time; anything else has to be a block.
    return value if isinstance(value, dict | Spread) else {"low": value, "high": value}


def _fixed(value: Spread) -> Any:
    low, high = format_duration(value.low), format_duration(value.high)
    return low if value.low == value.high else {"low": low, "high": high}


Step = Annotated[Amount, Field(ge=1e-6)]
"""Mbit/s that are allocated together: at least 1 bit/s."""


class EnergySpec(Strict):
    """What a link draws: ports that sleep when they are not provisioned, and energy per bit."""

    idle_w: Amount = Field(0.0, description="of each port that is awake, W", examples=[20])
    w_per_gbps: Amount = Field(0.0, description="for what is served, W per Gbit/s", examples=[3])
    step: Step | None = Field(
        None,
        description="size of a port, Mbit/s; absent: the link's `step`, else never asleep",
        examples=[10000],
    )


class LinkSpec(Strict):
    """What is known of a link: its ceiling, and how its allocation can be changed."""

    capacity_mbps: Capacity | None = Field(
        None, description="physical ceiling, Mbit/s; absent: unlimited", examples=[10000]
    )
    min: Amount = Field(0.0, description="least allocation, Mbit/s", examples=[100])
    max: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="greatest allocation, Mbit/s; absent: none", examples=[8000]
    )
    step: Step | None = Field(
        None,
        description="allocations are whole numbers of it, Mbit/s: a port, a LAG member",
        examples=[1000],
    )
    lead_time: Annotated[Spread, BeforeValidator(_lead), PlainSerializer(_fixed)] = Field(
        Spread(low=seconds("0s"), high=seconds("0s")),
        description="time from an order to its effect; fixed, or {low: ..., high: ...}",
        examples=["2h"],
    )
    cooldown: Duration = Field(
        seconds("0s"), description="least time between two orders", examples=["1h"]
    )
    hysteresis_up: Share = Field(
        0.0,
        description="a rise by a smaller share of the last order is not ordered",
        examples=["5%"],
    )
    hysteresis_down: Share = Field(
        0.0,
        description="a fall by a smaller share of the last order is not ordered",
        examples=["20%"],
    )
    change_cost: Amount = Field(
        0.0, description="price of an order, in the currency of `prices`", examples=[5]
    )
    energy: EnergySpec | None = Field(None, description="what it draws; absent: not counted")
    upgrade: UpgradeSpec | None = Field(
        None, description="when its capacity is raised, by how much, and at what price"
    )

    @model_validator(mode="after")
    def _limits_leave_something(self) -> LinkSpec:
        if contradiction := self.contradiction():
            raise ValueError("; ".join(contradiction))
        return self

    def contradiction(self) -> tuple[str, str] | None:
        """Return what is wrong between `min`, `max` and `step`, and the remedy; None: nothing."""
        if self.max is None:
            return None
        if self.max < self.min:
            return "'max' is less than 'min'", "exchange them"
        if self.step is None:
            return None
        size = np.array(self.step)
        most = float(steps_within(np.array(self.max), size))
        least = max(float(steps_for(np.array(self.min), size)), 1.0)
        if most >= least:
            return None
        what = f"no whole number of steps of {self.step:g} is between 'min' and 'max'"
        if self.max < self.step:
            what = f"'max' is less than one step of {self.step:g}"
        return what, f"write 'max: {least * self.step:.15g}' or more, or a smaller 'step'"

    def over(self, defaults: LinkSpec) -> LinkSpec:
        """Return this link with `defaults` for the keys that it does not state."""
        stated = {name: getattr(self, name) for name in self.model_fields_set}
        return defaults.model_copy(update=stated)


def link_specs(
    stated: Mapping[str, LinkSpec],
    links: Sequence[str],
    built: Mapping[str, float] | None = None,
) -> list[LinkSpec]:
    """Return what is stated of each of `links`; what is not is that of the entry `defaults`.

    `built` is the capacity of links in the topology, Mbit/s: their own, unless they state another.
    """
    defaults, built = stated.get("defaults", LinkSpec()), built or {}
    own = {name: LinkSpec(capacity_mbps=mbps) for name, mbps in built.items() if mbps < np.inf}
    return [
        stated.get(link, LinkSpec()).over(own.get(link, LinkSpec()).over(defaults))
        for link in links
    ]


def capacities(settings: Sequence[LinkSpec]) -> Floats:
    """Return the physical ceiling of each link, infinite where none is stated, Mbit/s."""
    stated = (link.capacity_mbps for link in settings)
    return np.array([np.inf if capacity is None else capacity for capacity in stated])
