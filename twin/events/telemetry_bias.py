"""Samples that are measured wrong, always the same way."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from twin.core.fields import Number
from twin.events.effects import Distortion
from twin.events.scope import Scope
from twin.events.telemetry import TelemetryEvent


class TelemetryBias(TelemetryEvent):
    """Samples are observed as value x factor + add_mbps, at least 0.

    A factor is of all KPIs, an addition of `internet` and `downstream`.
    """

    kind: Literal["telemetry_bias"] = "telemetry_bias"
    factor: Annotated[Number, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = Field(
        None, description="number that what is observed is multiplied by", examples=[0.9]
    )
    add_mbps: Annotated[Number, Field(ge=-1e12, le=1e12, allow_inf_nan=False)] | None = Field(
        None, description="what is added to what is observed, Mbit/s", examples=[-50]
    )

    @model_validator(mode="after")
    def _changes_something(self) -> TelemetryBias:
        if self.factor is None and self.add_mbps is None:
            raise ValueError("a bias needs 'factor' or 'add_mbps'")
        return self

    def distortion(self, scope: Scope) -> Distortion:
        """Return how observations differ from what is."""
        end, links = self.end(scope.horizon), scope.mask(self.links)
        factor = 1.0 if self.factor is None else self.factor
        return Distortion(self.begins, end, links, factor=factor, add_mbps=self.add_mbps or 0.0)
