"""Demand that comes back once an outage has ended."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from twin.core.fields import Number, longer_than_nothing
from twin.core.units import Duration, seconds
from twin.events.effects import Echo
from twin.events.flow_event import FlowEvent
from twin.events.scope import Scope


class RetryStorm(FlowEvent):
    """What flows lose in outages comes back once their outage has ended, and decays.

    Lost is what no path is left for, and what is offered to links that are down; not what policies
    allocate too little for, so that the storm is the same under every policy. What it adds is not
    lost a second time. Several storms add up.
    """

    kind: Literal["retry_storm"] = "retry_storm"
    factor: Annotated[Number, Field(gt=0, le=1e3)] = Field(
        1.0, description="what comes back in all, over what was lost", examples=[1.5]
    )
    half_life: Duration = Field(
        seconds("10min"),
        description="time in which what still comes back halves",
        examples=["10min"],
    )

    _takes_time_to_decay = field_validator("half_life")(longer_than_nothing)

    def effects(self, scope: Scope) -> tuple[Echo, ...]:
        """Return how demand that is lost in outages comes back."""
        end, flows = self.end(scope.horizon), self.touched(scope)
        return (Echo(self.begins, end, self.factor, self.half_life, flows),)
