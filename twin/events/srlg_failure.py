"""A failure of what links share: a duct, a bridge, a power supply."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from twin.core.arrays import Bools
from twin.events.outage import Outage
from twin.events.scope import Acted, Scope, Targets, names_of


class SrlgFailure(Outage):
    """All links of a shared risk link group are down."""

    acts_on: ClassVar[Acted] = "groups"

    kind: Literal["srlg_failure"] = "srlg_failure"
    groups: Annotated[tuple[str, ...], names_of("group")] = Field(
        description="risk groups by name or pattern, one or a list", examples=[["conduit-7"]]
    )

    @property
    def targets(self) -> Targets:
        """Names of what it acts on."""
        return self.groups

    def touched(self, scope: Scope) -> Bools:
        """Return the links that it acts on."""
        return scope.in_groups(self.groups)
