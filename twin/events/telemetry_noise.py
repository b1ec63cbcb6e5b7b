"""Samples that are measured with noise."""

from __future__ import annotations

import zlib
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from twin.core.units import SHARE_SCHEMA, share
from twin.events.effects import Distortion
from twin.events.scope import Scope
from twin.events.telemetry import TelemetryEvent


class TelemetryNoise(TelemetryEvent):
    """Samples are observed as value x (1 + sd z), z normal and of each sample its own; at least 0.

    The numbers of a link come from a stream of its own, by its name and the event's name or kind.
    """

    draws: ClassVar[bool] = True

    kind: Literal["telemetry_noise"] = "telemetry_noise"
    sd: Annotated[
        float, BeforeValidator(share), Field(gt=0, le=10), WithJsonSchema(SHARE_SCHEMA)
    ] = Field(description="standard deviation over the value, such as 5%", examples=["5%"])

    def distortion(self, scope: Scope) -> Distortion:
        """Return how observations differ from what is."""
        end, links = self.end(scope.horizon), scope.mask(self.links)
        owner = self.name or self.kind
        keys = tuple(zlib.crc32(f"{owner}\0{link}".encode()) for link in scope.links)
        return Distortion(self.begins, end, links, noise=self.sd, noises=keys)
