"""Capacity that is built: at a time, or once the load calls for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, field_validator, model_validator

from twin.core.arrays import Bools, Floats
from twin.core.errors import show
from twin.core.fields import Amount, longer_than_nothing
from twin.core.units import BitRate, Duration, Share, seconds
from twin.events.base import Change, LinkEvent, LinkState, Phase, Refusal
from twin.events.scope import Scope
from twin.events.watch import Loads

_STATISTIC = re.compile(r"mean|max|p(\d{1,2}(?:\.\d+)?|100)")


def _statistic(value: Any) -> Any:
    if not isinstance(value, str) or not _STATISTIC.fullmatch(value):
        raise ValueError(f"must be mean, max or a percentile such as p95, not {show(value)}")
    return value


@dataclass(frozen=True, slots=True)
class Extend:
    """Builds more capacity."""

    mbps: Floats

    def apply(self, state: LinkState) -> None:
        """Change the state of the links."""
        state.extend(self.mbps)


class Upgrade(LinkEvent):
    """Capacity is added, for good: at `start`, or whenever the load of a link calls for it.

    With `at`, each link is looked at every so often from the start on: where the statistic of its
    offered load over the time before reaches that share of what is built and ordered, as many steps
    are ordered as bring it below, which are there after the lead time. Events that limit a capacity
    for a time act on what is built, and do not trigger orders. Load is what is offered, so that
    orders are the same under every policy. Upgrades add up.
    """

    kind: Literal["upgrade"] = "upgrade"
    step: Annotated[BitRate, Field(le=1e12)] = Field(
        description="capacity that is added at a time, Mbit/s or such as 100Gbit/s",
        examples=["100Gbit/s"],
    )
    lead_time: Duration = Field(
        seconds("0s"), description="from an order to its effect", examples=["12w"]
    )
    price: Amount = Field(0.0, description="price of a step, in any one currency", examples=[40000])
    at: Share | None = Field(
        None,
        description="share of capacity that calls for a step; absent: one step at `start`",
        examples=["80%"],
    )
    of: Annotated[str, BeforeValidator(_statistic)] = Field(
        "p95", description="of the load: mean, max or a percentile", examples=["p95"]
    )
    over: Duration = Field(
        seconds("7d"), description="time that the statistic is of", examples=["7d"]
    )
    every: Duration = Field(seconds("1d"), description="time between two looks", examples=["1d"])

    _take_time = field_validator("over", "every")(longer_than_nothing)

    @model_validator(mode="after")
    def _is_triggered_or_planned(self) -> Upgrade:
        if self.at is None:
            for key in ("of", "over", "every", "duration"):
                if key in self.model_fields_set and getattr(self, key) is not None:
                    raise ValueError(f"'{key}' belongs to a triggered upgrade; state 'at'")
        elif self.at == 0:
            raise ValueError("'at' must be more than 0")
        return self

    def refusals(self, scope: Scope) -> Iterator[Refusal]:
        """Yield why it cannot happen here."""
        if scope.capacity is None:
            return
        endless = scope.mask(self.links) & ~np.isfinite(scope.capacity)
        for place in np.flatnonzero(endless)[:1].tolist():
            what = f"the capacity of link '{scope.links[place]}' is unlimited already"
            yield Refusal("links", what, "state its 'capacity_mbps'")

    def changes(self, scope: Scope) -> Iterator[Change]:
        """Yield what it does to the links, and when."""
        links = scope.mask(self.links)
        if self.at is None:
            yield from self._order(self.begins, links.astype(np.float64))
            return
        yield Change(self.begins, Phase.START, None, "start")
        if self.end(scope.horizon) < scope.horizon:
            yield Change(self.end(scope.horizon), Phase.END, None, "end")

    def _order(self, time: float, steps: Floats) -> Iterator[Change]:
        """Yield an order of so many steps on each link, and its effect."""
        links, most = steps > 0, steps.max()
        price = f" for {self.price * steps.sum():g}" if self.price else ""
        each = f"+{self.step:g} Mbit/s" if most == 1 else f"up to {most:g} x {self.step:g} Mbit/s"
        ready = Extend(self.step * steps)
        said = f"{each} each, ordered{price}"
        yield Change(time, Phase.START, None, "start" if self.at is None else "order", links, said)
        yield Change(time + self.lead_time, Phase.START, ready, "upgraded", links)

    def watch(self, scope: Scope) -> _Trigger | None:
        """Return what looks at the offered load, where that triggers it."""
        links = scope.mask(self.links)
        return (
            None if self.at is None else _Trigger(self, links, self.end(scope.horizon), self.begins)
        )


@dataclass(slots=True)
class _Trigger:
    """Orders steps as the load calls for them; arrays are [links]."""

    event: Upgrade
    links: Bools
    end: float
    next: float
    """When it looks next: at the first tick that is not before, seconds."""
    ordered: list[tuple[float, Floats]] = field(default_factory=list)
    """Capacity that is not there yet, Mbit/s, with when it will be."""

    def closed(self, time: float, loads: Loads, built: Floats) -> Iterator[Change]:
        """Yield the orders of this tick and their effects."""
        if time < self.next or time >= self.end:
            return
        while self.next <= time:
            self.next += self.event.every
        # What takes effect now does so after the interval has closed.
        self.ordered = [each for each in self.ordered if each[0] >= time]
        to_be = built + sum(mbps for _, mbps in self.ordered)
        assert self.event.at is not None
        wanted = _of_load(self.event, loads) / self.event.at
        # As many steps as it takes to be below the threshold again, where it is reached.
        missing = np.floor((wanted - to_be) / self.event.step) + 1
        steps = np.where(self.links & (wanted >= to_be), missing, 0.0)
        if steps.any():
            self.ordered.append((time + self.event.lead_time, self.event.step * steps))
            yield from self.event._order(time, steps)


def _of_load(event: Upgrade, loads: Loads) -> Floats:
    """Return the statistic of the load of each link, 0 where nothing of it is known, [links]."""
    rows = loads(event.over)
    known = ~np.isnan(rows).all(axis=0)
    shown = np.where(known, rows, 0.0)
    if event.of == "mean":
        return np.asarray(np.nanmean(shown, axis=0))
    percentile = 100.0 if event.of == "max" else float(event.of[1:])
    return np.asarray(np.nanpercentile(shown, percentile, axis=0))
