"""A surge of demand, once or by a calendar."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from twin.core.fields import Integer, Number, longer_than_nothing
from twin.core.units import Duration, format_duration, seconds
from twin.events.base import Change, Phase, Refusal
from twin.events.course import GONE, Course, Decay
from twin.events.flow_event import FlowEvent
from twin.events.scope import Scope

MOST = 100_000
"""Times that one event may repeat."""


class Surge(FlowEvent):
    """Demand rises: base x factor + add_mbps, in a shape, once or again and again.

    Surges that overlap multiply their factors and add up their additions, also with other events.
    A flash crowd is gone after 20 half-lives, if it does not end before.
    """

    kind: Literal["surge"] = "surge"
    factor: Annotated[Number, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = Field(
        None, description="number that demand is multiplied by, at the height of it", examples=[1.8]
    )
    add_mbps: Annotated[Number, Field(ge=-1e12, le=1e12, allow_inf_nan=False)] | None = Field(
        None, description="demand that is added, Mbit/s, to each flow", examples=[300]
    )
    shape: Literal["square", "ramp", "flash_crowd"] = Field(
        "ramp",
        description="ramp: rises and falls over `ramp`; flash_crowd: rises over it, and decays",
    )
    ramp: Duration = Field(
        seconds("0s"), description="time of the rise, and of the fall of a ramp", examples=["10min"]
    )
    half_life: Duration | None = Field(
        None, description="of a flash crowd, after its rise", examples=["20min"]
    )
    every: Duration | None = Field(
        None, description="from one start to the next; absent: once", examples=["1d"]
    )
    times: Annotated[Integer, Field(ge=1, le=MOST)] | None = Field(
        None, description="how often; absent: to `until`", examples=[5]
    )
    until: Duration | None = Field(
        None, description="no start from then on; absent: the end of the replay"
    )

    _take_time = field_validator("half_life", "every")(longer_than_nothing)

    @model_validator(mode="after")
    def _changes_something(self) -> Surge:
        if self.factor is None and self.add_mbps is None:
            raise ValueError("a surge needs 'factor' or 'add_mbps'")
        if self.shape == "flash_crowd":
            if self.half_life is None:
                raise ValueError("a flash crowd needs a 'half_life'")
        elif self.half_life is not None:
            raise ValueError("'half_life' belongs to 'shape: flash_crowd'")
        if self.shape == "square" and self.ramp:
            raise ValueError("a square has no 'ramp'; write 'shape: ramp'")
        if self.shape == "ramp" and 2 * self.ramp > self._lasts:
            raise ValueError("'ramp' is longer than half the 'duration'")
        if self.ramp > self._lasts:
            raise ValueError("'ramp' is longer than the 'duration'")
        return self

    @model_validator(mode="after")
    def _repeats(self) -> Surge:
        if self.every is None:
            for key in ("times", "until"):
                if getattr(self, key) is not None:
                    raise ValueError(f"'{key}' belongs to a surge that repeats; state 'every'")
        elif self._lasts == np.inf:
            raise ValueError("a surge that repeats needs its 'duration'")
        elif self.every < self._lasts:
            lasts = format_duration(self._lasts)
            raise ValueError(f"'every' is shorter than the surge, which lasts {lasts}")
        elif self.times is not None and self.until is not None:
            raise ValueError("needs either 'times' or 'until'")
        return self

    @property
    def _lasts(self) -> float:
        """How long one of it lasts, seconds."""
        stated = np.inf if self.duration is None else self.duration
        gone = np.inf if self.half_life is None else self.ramp + GONE * self.half_life
        return float(min(stated, gone))

    def end(self, horizon: float) -> float:
        """Return when the last one of it ends, `horizon` where it does not."""
        return horizon if self._lasts == np.inf else self._starts(horizon)[-1] + self._lasts

    def refusals(self, scope: Scope) -> Iterator[Refusal]:
        """Yield why it cannot happen here."""
        yield from super().refusals(scope)
        if self.every is None or self.times is not None:
            return
        last = scope.horizon if self.until is None else self.until
        if (last - self.begins) / self.every > MOST:
            what = f"repeats more than {MOST:,} times before its end"
            yield Refusal("every", what, "state 'times', or an earlier 'until'")

    def _starts(self, horizon: float) -> list[float]:
        """Return when each one of it starts before `horizon`; the first at least."""
        starts = [self.begins]
        if self.every is not None:
            last = horizon if self.until is None else min(self.until, horizon)
            most = MOST if self.times is None else self.times
            while len(starts) < most and self.begins + len(starts) * self.every < last:
                starts.append(self.begins + len(starts) * self.every)
        return starts

    def changes(self, scope: Scope) -> Iterator[Change]:
        """Yield when it divides intervals."""
        for start in self._starts(scope.horizon):
            end = start + self._lasts
            yield Change(start, Phase.START, None, "start")
            if end < scope.horizon:
                yield Change(end, Phase.END, None, "end")
            bends = (
                (start + self.ramp, end - self.ramp)
                if self.shape == "ramp"
                else (start + self.ramp,)
            )
            for time in bends if self.ramp else ():
                if time < scope.horizon:
                    yield Change(time, Phase.START)

    def courses(self, scope: Scope) -> tuple[Course, ...]:
        """Return how it changes the offered demand."""
        height = (1.0 if self.factor is None else self.factor, self.add_mbps or 0.0)
        flows, starts = self.touched(scope), self._starts(scope.horizon)
        if self.half_life is None:
            return tuple(
                Course(start, start + self._lasts, self.ramp, *height, flows) for start in starts
            )
        return tuple(
            Decay(start, start + self._lasts, self.ramp, *height, flows, half_life=self.half_life)
            for start in starts
        )
