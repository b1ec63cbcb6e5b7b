"""Failures that come by chance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from twin.core.errors import show
from twin.core.units import Window
from twin.events.base import Change, Event, LinkEvent, Phase, Refusal
from twin.events.outage import Fail, Outage, Repair
from twin.events.scope import Scope

MOST = 100_000
"""Failures that one event may be expected to draw."""
_LENGTH = re.compile(r"\s*(\d+(?:\.\d+)?)\s*km\s*")


def _kilometres(value: Any) -> Any:
    found = _LENGTH.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, float):
        return value
    if found is None or not float(found.group(1)):
        raise ValueError(f"a length is text such as '1000km', not {show(value)}")
    return float(found.group(1))


class RandomFailures(LinkEvent, Outage):
    """Links fail and are repaired by chance: times to failure and to repair are exponential.

    Both directions of a circuit fail together. A circuit that is up fails after a time of mean
    `mtbf`, and is down for one of mean `mttr`; the first time counts from the start. Each circuit
    has random numbers of its own, by its name and the event's name or kind: what else there is
    moves no failure. Outages that overlap with others last until the last of them ends.
    """

    draws: ClassVar[bool] = True

    kind: Literal["random_failures"] = "random_failures"
    mtbf: Window = Field(
        description="mean time between a repair and the next failure", examples=["90d"]
    )
    mttr: Window = Field(description="mean time to repair", examples=["4h"])
    per: (
        Annotated[
            float,
            BeforeValidator(_kilometres),
            PlainSerializer(lambda km: f"{km:.15g}km"),
            WithJsonSchema({"type": "string", "examples": ["1000km"]}),
        ]
        | None
    ) = Field(None, description="length that `mtbf` is for; absent: for a circuit of any length")

    def _circuits(self, scope: Scope) -> list[tuple[str, list[int], float | None]]:
        """Return each circuit: its first link, the places of its links, and its length, km."""
        place = {name: i for i, name in enumerate(scope.links)}
        chosen = scope.mask(self.links)
        if scope.topology is None:
            return [(name, [i], None) for name, i in place.items() if chosen[i]]
        circuits: dict[int, tuple[str, list[int], float | None]] = {}
        for link in scope.topology.links:
            if link.name in place:
                none: list[int] = []
                circuit = circuits.setdefault(link.circuit, (link.name, none, link.length_km))
                circuit[1].append(place[link.name])
        return [each for each in circuits.values() if chosen[each[1]].any()]

    def _mean_time(self, length_km: float | None) -> float:
        return self.mtbf if self.per is None else self.mtbf * self.per / (length_km or np.nan)

    def refusals(self, scope: Scope) -> Iterator[Refusal]:
        """Yield why it cannot happen here."""
        end = self.end(scope.horizon)
        if not np.isfinite(end):
            yield Refusal("", "needs a 'duration' where the replay has no end")
            return
        expected = 0.0
        for name, _, length in self._circuits(scope):
            if self.per is not None and not length:
                what = f"link '{name}' has no length"
                yield Refusal("per", what, "state 'length_km' in the topology, or leave 'per' out")
                return
            expected += (end - self.begins) / (self._mean_time(length) + self.mttr)
        if expected > MOST:
            what = f"{expected:,.0f} failures are to be expected, more than {MOST:,}"
            yield Refusal("mtbf", what, "write a longer time")

    def changes(self, scope: Scope) -> Iterator[Change]:
        """Yield every failure and repair."""
        yield Change(self.begins, Phase.START)
        for name, places, length in self._circuits(scope):
            links = np.zeros(len(scope.links), dtype=np.bool_)
            links[places] = True
            for down, up in self._outages(scope, name, self._mean_time(length)):
                yield Change(down, Phase.START, Fail(links), "start", links)
                yield Change(up, Phase.END, Repair(links), "end", links)

    def _outages(self, scope: Scope, name: str, mtbf: float) -> Iterator[tuple[float, float]]:
        stream, end = self.random_of(scope.seed, name), self.end(scope.horizon)
        time = self.begins
        while True:
            down = time + stream.exponential(mtbf)
            if down >= end:
                return
            # The last one is over with the event.
            time = down + stream.exponential(self.mttr)
            yield down, min(time, end)

    @property
    def rivals(self) -> tuple[str, str | None]:
        """What it has in common with the events that it may clash with."""
        return self.kind, self.name

    def clashes(self, earlier: Event, links: tuple[str, ...]) -> Iterator[str]:  # type: ignore[override]
        """Yield the links that both would draw the same numbers for."""
        scope = Scope(links, links, 0.0, 0, "")
        if isinstance(earlier, RandomFailures):
            both = scope.mask(self.links) & scope.mask(earlier.links)
            for place in np.flatnonzero(both)[:1].tolist():
                yield f"needs a 'name': it would draw the same failures of '{links[place]}' as"
