"""Planned work, in a window that may be overrun."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from twin.core.arrays import Bools
from twin.core.units import Duration, seconds
from twin.events.base import Change, LinkState, Phase
from twin.events.outage import Fail, Outage, Repair
from twin.events.scope import Acted, Scope, Targets, names_of


@dataclass(frozen=True, slots=True)
class Drain:
    """Begins or ends to move traffic away."""

    links: Bools
    begins: bool

    def apply(self, state: LinkState) -> None:
        """Change the state of the links."""
        (state.drain if self.begins else state.undrain)(self.links)


class Maintenance(Outage):
    """Links or sites are taken out in a window: drained first, then down to its end, or longer.

    The window is [start, start + duration). In its first part, `drain`, links are up and traffic
    takes other paths, without loss; what has no other path stays until the links go down. They are
    down for the rest of the window and an `overrun`. Where nothing is routed, nothing can be
    drained. A drained link may fail, and overlapping windows do not disturb each other.
    """

    kind: Literal["maintenance"] = "maintenance"
    duration: Duration = Field(
        description="of the window as planned, the drain included", examples=["2h"]
    )
    links: Annotated[Targets, names_of("link")] | None = Field(
        None,
        description="links by name or pattern, one or a list; with a topology both directions",
        examples=[["link-1"]],
    )
    sites: Annotated[tuple[str, ...], names_of("site")] | None = Field(
        None, description="with every link that ends there", examples=[["Bern"]]
    )
    drain: Duration = Field(
        seconds("5min"), description="first part of the window", examples=["10min"]
    )
    overrun: Duration = Field(
        seconds("0s"), description="how much longer links are down", examples=["30min"]
    )

    @model_validator(mode="after")
    def _has_work_to_do(self) -> Maintenance:
        if (self.links is None) == (self.sites is None):
            raise ValueError("needs either 'links' or 'sites'")
        if self.drain >= self.duration:
            raise ValueError("'drain' is as long as the 'duration' or longer")
        return self

    @property
    def targets(self) -> Targets:
        """Names of what it acts on."""
        return self.links or self.sites or "all"

    def names(self) -> Iterator[tuple[str, Acted, Targets]]:
        """Yield the names that it uses: the key that has them, and what they are names of."""
        key: Acted = "links" if self.sites is None else "sites"
        yield key, key, self.targets

    def touched(self, scope: Scope) -> Bools:
        """Return the links that it acts on."""
        return scope.mask(self.targets) if self.sites is None else scope.at_sites(self.sites)

    def end(self, horizon: float) -> float:  # noqa: ARG002
        """Return when the links are back."""
        return self.begins + self.duration + self.overrun

    def changes(self, scope: Scope) -> Iterator[Change]:
        """Yield what it does to the links, and when."""
        links, down = self.touched(scope), self.begins + self.drain
        planned, end = self.begins + self.duration, self.end(scope.horizon)
        drains = Drain(links, begins=True)
        yield Change(
            self.begins, Phase.START, drains, "start", detail="drain" if self.drain else ""
        )
        yield Change(down, Phase.START, Fail(links), "down" if self.drain else "")
        if planned < end:
            yield Change(planned, Phase.START, None, "overrun")
        yield Change(end, Phase.END, Repair(links), "end")
        yield Change(end, Phase.END, Drain(links, begins=False))
