"""Samples that come late."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from twin.core.units import Window
from twin.events.effects import Distortion
from twin.events.scope import Scope
from twin.events.telemetry import TelemetryEvent


class TelemetryDelay(TelemetryEvent):
    """Samples come late: policies observe NaN until then."""

    kind: Literal["telemetry_delay"] = "telemetry_delay"
    delay: Window = Field(
        description="from the end of the interval; rounded up to whole ticks", examples=["10min"]
    )

    def distortion(self, scope: Scope) -> Distortion:
        """Return how observations differ from what is."""
        end, links = self.end(scope.horizon), scope.mask(self.links)
        return Distortion(self.begins, end, links, late=self.delay)
