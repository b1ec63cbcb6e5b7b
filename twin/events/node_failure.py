"""A failure of sites."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from twin.core.arrays import Bools
from twin.events.outage import Outage
from twin.events.scope import Acted, Scope, Targets, names_of


class NodeFailure(Outage):
    """Sites are down, and with them every link that ends there."""

    acts_on: ClassVar[Acted] = "sites"

    kind: Literal["node_failure"] = "node_failure"
    sites: Annotated[tuple[str, ...], names_of("site")] = Field(
        description="sites by name or pattern, one or a list", examples=[["Bern"]]
    )

    @property
    def targets(self) -> Targets:
        """Names of what it acts on."""
        return self.sites

    def touched(self, scope: Scope) -> Bools:
        """Return the links that it acts on."""
        return scope.at_sites(self.sites)
