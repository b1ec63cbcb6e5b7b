"""Growth of demand, compounding or by steps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from twin.core.errors import show
from twin.core.fields import Number, Strict
from twin.core.units import DAY_S, Duration, format_duration, share
from twin.events.base import Change, Phase
from twin.events.course import Compounding, Course
from twin.events.flow_event import FlowEvent
from twin.events.scope import Scope

_PERIODS = {"year": 365 * DAY_S, "month": 365 * DAY_S / 12, "week": 7 * DAY_S, "day": DAY_S}
_RATE = re.compile(r"\s*(\S+?)\s*/\s*(year|month|week|day)\s*")


class GrowthRate(Strict):
    """How much demand grows in a period."""

    share: float
    period: str

    @property
    def seconds(self) -> float:
        """The length of the period."""
        return _PERIODS[self.period]


def _rate(value: Any) -> Any:
    if isinstance(value, GrowthRate):
        return value
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"a rate is a share per time, such as '30%/year', not {show(value)}")
    grows = share(found.group(1))
    if not -1 < grows <= 1e3:
        raise ValueError(f"a rate is more than -100% and at most 100000%, not {show(value)}")
    return GrowthRate(share=grows, period=found.group(2))


class GrowthStep(Strict):
    """A step of demand."""

    at: Duration = Field(description="from the start of the event")
    factor: Annotated[Number, Field(ge=0, le=1e6, allow_inf_nan=False)] = Field(
        description="of the base demand, from then on", examples=[1.2]
    )


class DemandGrowth(FlowEvent):
    """Demand grows: by a rate, which compounds, or by steps; what has grown stays.

    A rate acts at every instant: after a time t, demand is base x (1 + share) ** (t / period).
    With a `duration` it grows so long and stays there. Several growths multiply.
    """

    kind: Literal["growth"] = "growth"
    rate: (
        Annotated[
            GrowthRate,
            BeforeValidator(_rate),
            PlainSerializer(lambda rate: f"{100 * rate.share:.15g}%/{rate.period}"),
            WithJsonSchema({"type": "string", "examples": ["30%/year"]}),
        ]
        | None
    ) = Field(None, description="such as 30%/year; per year, month, week or day")
    steps: tuple[GrowthStep, ...] = Field((), description="factors of the base demand, by time")

    @model_validator(mode="after")
    def _one_way_to_grow(self) -> DemandGrowth:
        if (self.rate is None) == (not self.steps):
            raise ValueError("needs either 'rate' or 'steps'")
        for earlier, later in pairwise(self.steps):
            if later.at <= earlier.at:
                raise ValueError(f"'steps' must be in order of 'at', not {_order(earlier, later)}")
        if self.steps and self.duration is not None:
            raise ValueError("'duration' belongs to a 'rate'; steps stay")
        return self

    def changes(self, scope: Scope) -> Iterator[Change]:
        """Yield when it divides intervals."""
        yield from super().changes(scope)
        for step in self.steps:
            if 0 < step.at < scope.horizon - self.begins:
                yield Change(self.begins + step.at, Phase.START)

    def courses(self, scope: Scope) -> tuple[Course, ...]:
        """Return how it changes the offered demand."""
        flows, last = self.touched(scope), scope.horizon
        if self.rate is None:
            times = [self.begins + step.at for step in self.steps] + [last]
            return tuple(
                Course(start, end, 0.0, step.factor, 0.0, flows)
                for step, (start, end) in zip(self.steps, pairwise(times), strict=True)
                if start < last
            )
        if not self.rate.share:
            return ()
        stops = self.end(last)
        factor, period = 1 + self.rate.share, self.rate.seconds
        return (
            Compounding(self.begins, last, 0.0, factor, 0.0, flows, period=period, settles=stops),
        )


def _order(earlier: GrowthStep, later: GrowthStep) -> str:
    return f"{format_duration(later.at)} after {format_duration(earlier.at)}"
