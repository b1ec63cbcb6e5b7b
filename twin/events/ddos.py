"""An attack with traffic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from twin.core.fields import Number
from twin.core.units import Duration, seconds
from twin.events.base import Change, Phase
from twin.events.course import Course
from twin.events.flow_event import FlowEvent
from twin.events.scope import Scope


class Ddos(FlowEvent):
    """Traffic is added towards sites, in equal parts over the flows that it comes by.

    The parts add up with each other and with other events; no factor scales them.
    """

    kind: Literal["ddos"] = "ddos"
    total_mbps: Annotated[Number, Field(gt=0, le=1e12)] = Field(
        description="over all flows, Mbit/s", examples=[5000]
    )
    duration: Duration = Field(description="with the rise and the fall", examples=["40min"])
    ramp: Duration = Field(
        seconds("0s"), description="time of the rise, and of the fall", examples=["2min"]
    )

    @model_validator(mode="after")
    def _has_a_target(self) -> Ddos:
        if self.ends is None and self.links == "all":
            raise ValueError("needs its target: 'to' with sites, or 'links'")
        if 2 * self.ramp > self.duration:
            raise ValueError("'ramp' is longer than half the 'duration'")
        return self

    def changes(self, scope: Scope) -> Iterator[Change]:
        """Yield when it divides intervals."""
        yield from super().changes(scope)
        for time in (self.begins + self.ramp, self.begins + self.duration - self.ramp):
            if self.ramp and time < scope.horizon:
                yield Change(time, Phase.START)

    def courses(self, scope: Scope) -> tuple[Course, ...]:
        """Return how it changes the offered demand."""
        flows, end = self.touched(scope), self.begins + self.duration
        each = self.total_mbps / flows.sum()
        return (Course(self.begins, end, self.ramp, 1.0, each, flows),)
