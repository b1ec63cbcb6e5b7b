"""Events that change the demand of flows, named by themselves or by their sites."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from twin.core.arrays import Bools
from twin.events.base import LinkEvent, Refusal
from twin.events.scope import Acted, Scope, Targets, names_of

Sites = Annotated[tuple[str, ...], names_of("site")]


class FlowEvent(LinkEvent):
    """Something that happens to flows: those that fit all of the keys that are stated."""

    acts_on: ClassVar[Acted] = "flows"

    links: Annotated[Targets, names_of("link")] = Field(
        "all",
        description="flows by name, such as 'A>B' or 'core-*>B'; where links are flows, links",
        examples=[["link-1"]],
    )
    sites: Sites | None = Field(
        None, description="flows that start or end there", examples=[["Bern"]]
    )
    origins: Sites | None = Field(
        None, alias="from", description="flows that start there", examples=[["Bern"]]
    )
    ends: Sites | None = Field(
        None, alias="to", description="flows that end there", examples=[["Bern"]]
    )

    def names(self) -> Iterator[tuple[str, Acted, Targets]]:
        """Yield the names that it uses: the key that has them, and what they are names of."""
        yield "links", "flows", self.links
        for key, sites in (("sites", self.sites), ("from", self.origins), ("to", self.ends)):
            yield key, "sites", "all" if sites is None else sites

    def refusals(self, scope: Scope) -> Iterator[Refusal]:
        """Yield why it cannot happen here."""
        by_site = [key for key, what, names in self.names() if what == "sites" and names != "all"]
        if by_site and not scope.routed:
            yield Refusal(by_site[0], _NO_FLOWS, "name links with 'links'")
        elif not self.touched(scope).any():
            yield Refusal("", "no flow fits all of its 'links', 'sites', 'from' and 'to'")

    def touched(self, scope: Scope) -> Bools:
        """Return the flows that it acts on, [flows]."""
        chosen = scope.flow_mask(self.links)
        if self.sites is self.origins is self.ends is None:
            return chosen
        return chosen & scope.between(self.sites, self.origins, self.ends)


_NO_FLOWS = "needs demand from site to site ('source: matrix')"
