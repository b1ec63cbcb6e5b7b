"""What takes links down and brings them back, whatever it is named by."""

from __future__ import annotations

from dataclasses import dataclass

from twin.core.arrays import Bools
from twin.events.base import Event, LinkState
from twin.events.scope import Scope


@dataclass(frozen=True, slots=True)
class Fail:
    """Takes links down."""

    links: Bools

    def apply(self, state: LinkState) -> None:
        """Change the state of the links."""
        state.fail(self.links)


@dataclass(frozen=True, slots=True)
class Repair:
    """Ends a failure."""

    links: Bools

    def apply(self, state: LinkState) -> None:
        """Change the state of the links."""
        state.repair(self.links)


class Outage(Event):
    """Links are down: their capacity is 0, their allocation stays.

    Outages may overlap: a link is up again when the last of them has ended.
    """

    def begin(self, scope: Scope) -> Fail:
        """Return what happens when it starts."""
        return Fail(self.touched(scope))

    def finish(self, scope: Scope) -> Repair:
        """Return what happens when it ends."""
        return Repair(self.touched(scope))
