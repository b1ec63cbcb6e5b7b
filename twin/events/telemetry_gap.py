"""Samples that are lost."""

from __future__ import annotations

from typing import Literal

from twin.events.effects import Distortion
from twin.events.scope import Scope
from twin.events.telemetry import TelemetryEvent


class TelemetryGap(TelemetryEvent):
    """Samples are lost: policies observe NaN.

    As in any trace, a gap of at most an hour is interpolated once its far end has been seen.
    """

    kind: Literal["telemetry_gap"] = "telemetry_gap"

    def distortion(self, scope: Scope) -> Distortion:
        """Return how observations differ from what is."""
        end, links = self.end(scope.horizon), scope.mask(self.links)
        return Distortion(self.begins, end, links, lost=True)
