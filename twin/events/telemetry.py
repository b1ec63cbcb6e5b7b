"""What events of telemetry have in common."""

from __future__ import annotations

from twin.events.base import LinkEvent
from twin.events.effects import Distortion
from twin.events.scope import Scope


class TelemetryEvent(LinkEvent):
    """Policies and models observe links otherwise than they are; the account is of what is.

    It is of the samples that are read while it lasts, each at the end of its interval, and of all
    KPIs. Biases come first, then noises, each on the outcome of those before; what is late is late
    by the longest delay, and what is lost never comes.
    """

    def distortion(self, scope: Scope) -> Distortion:
        """Return how observations differ from what is."""
        raise NotImplementedError

    def effects(self, scope: Scope) -> tuple[Distortion, ...]:
        """Return what else it does over a span of time."""
        return (self.distortion(scope),)
