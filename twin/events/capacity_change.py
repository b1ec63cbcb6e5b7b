"""Another nominal capacity."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from twin.core.arrays import Bools
from twin.core.fields import Capacity, Number
from twin.events.base import Event, LinkEvent, LinkState
from twin.events.scope import Scope


@dataclass(frozen=True, slots=True)
class Limit:
    """Begins a change of nominal capacity."""

    key: str
    start: float
    links: Bools
    mbps: float | None
    factor: float

    def apply(self, state: LinkState) -> None:
        """Change the state of the links."""
        state.limit(self.key, self.start, self.links, self.mbps, self.factor)


@dataclass(frozen=True, slots=True)
class Unlimit:
    """Ends a change of nominal capacity."""

    key: str

    def apply(self, state: LinkState) -> None:
        """Change the state of the links."""
        state.unlimit(self.key)


class CapacityChange(LinkEvent):
    """Links have another nominal capacity: an upgrade, or the loss of a part."""

    kind: Literal["capacity_change"] = "capacity_change"
    capacity_mbps: Capacity | None = Field(
        None, description="capacity while it lasts, Mbit/s", examples=[40000]
    )
    factor: Annotated[Number, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = Field(
        None, description="number that capacity is multiplied by, instead", examples=[0.5]
    )

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> CapacityChange:
        if (self.capacity_mbps is None) == (self.factor is None):
            raise ValueError("needs either 'capacity_mbps' or 'factor'")
        return self

    def begin(self, scope: Scope) -> Limit:
        """Return what happens when it starts."""
        links = scope.mask(self.links)
        return Limit(scope.key, self.begins, links, self.capacity_mbps, self.factor or 1.0)

    def finish(self, scope: Scope) -> Unlimit:
        """Return what happens when it ends."""
        return Unlimit(scope.key)

    @property
    def rivals(self) -> Hashable:
        """What it has in common with the events that it may clash with."""
        return None if self.capacity_mbps is None else (self.kind, self.start)

    def clashes(self, earlier: Event, links: Sequence[str]) -> Iterator[str]:
        """Yield the links whose capacity both state from the same time on."""
        if not isinstance(earlier, CapacityChange) or earlier.start != self.start:
            return
        if self.capacity_mbps is None or earlier.capacity_mbps is None:
            return
        for link in links if self.links == "all" else self.links:
            if earlier.links == "all" or link in earlier.links:
                yield f"sets the capacity of '{link}' at the same time as"
