"""A surge of demand."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from twin.core.fields import Number
from twin.core.units import Duration, seconds
from twin.events.base import Acted, LinkEvent, Scope
from twin.events.course import Course


class Surge(LinkEvent):
    """Demand rises: base x factor + add_mbps, over `ramp` at both ends."""

    acts_on: ClassVar[Acted] = "flows"

    kind: Literal["surge"] = "surge"
    duration: Duration
    factor: Annotated[Number, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = None
    add_mbps: Annotated[Number, Field(ge=-1e12, le=1e12, allow_inf_nan=False)] | None = None
    ramp: Duration = seconds("0s")

    @model_validator(mode="after")
    def _changes_something(self) -> Surge:
        if self.factor is None and self.add_mbps is None:
            raise ValueError("a surge needs 'factor' or 'add_mbps'")
        if 2 * self.ramp > self.duration:
            raise ValueError("'ramp' is longer than half the 'duration'")
        return self

    def instants(self) -> tuple[float, ...]:
        """Return when its rise ends and its fall begins."""
        end = self.begins + self.duration
        return (self.begins + self.ramp, end - self.ramp) if self.ramp else ()

    def courses(self, scope: Scope) -> tuple[Course, ...]:
        """Return how it changes the offered demand."""
        factor = 1.0 if self.factor is None else self.factor
        end = self.begins + self.duration
        add_mbps = self.add_mbps or 0.0
        return (Course(self.begins, end, self.ramp, factor, add_mbps, scope.flow_mask(self.links)),)
