"""Models that answer nothing new."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from twin.events.base import Change, Event, Phase
from twin.events.effects import Silence
from twin.events.scope import Scope


class ForecastOutage(Event):
    """Models make no forecasts: policies get those made before, or none and fail.

    With `answers: frozen`, what a model forecast at the last tick before the outage for so many
    intervals ahead is its answer for as many ahead until the outage ends. With `answers: nothing`,
    a policy that asks fails: the scenario's `fallback` decides, or the run stops. `persistence` is
    no model, and answers. Of outages that overlap, one that answers nothing prevails.
    """

    kind: Literal["forecast_outage"] = "forecast_outage"
    answers: Literal["frozen", "nothing"] = Field(
        "nothing", description="what a policy that asks is told: the last forecasts, or nothing"
    )

    def changes(self, scope: Scope) -> Iterator[Change]:
        """Yield when it begins and ends."""
        frozen = self.answers == "frozen"
        said = "forecasts are the last ones before it" if frozen else "models forecast nothing"
        yield Change(self.begins, Phase.START, None, "start", detail=said)
        if self.end(scope.horizon) < scope.horizon:
            yield Change(self.end(scope.horizon), Phase.END, None, "end")

    def effects(self, scope: Scope) -> tuple[Silence, ...]:
        """Return what else it does over a span of time."""
        return (Silence(self.begins, self.end(scope.horizon), self.answers),)
