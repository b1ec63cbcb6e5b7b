"""A failure of links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from twin.core.arrays import Bools
from twin.events.base import LinkEvent, LinkState, Scope


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


class LinkFailure(LinkEvent):
    """Links are down: their capacity is 0, their allocation stays."""

    kind: Literal["link_failure"] = "link_failure"

    def begin(self, scope: Scope) -> Fail:
        """Return what happens when it starts."""
        return Fail(scope.mask(self.links))

    def finish(self, scope: Scope) -> Repair:
        """Return what happens when it ends."""
        return Repair(scope.mask(self.links))
