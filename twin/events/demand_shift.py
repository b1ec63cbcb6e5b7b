"""Demand that moves: a service that migrates from site to site."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from twin.core.arrays import Bools
from twin.core.fields import longer_than_nothing
from twin.core.text import ARROW
from twin.core.units import Duration, Share, seconds
from twin.events.base import Change, Event, Phase, Refusal
from twin.events.course import Course, Shift
from twin.events.scope import Acted, Scope, Targets, named, names_of


class DemandShift(Event):
    """A share of the base demand of sites or links moves to another one, and back if need be.

    With `from` and `to`, the flows that start or end at a site start or end at another one instead:
    A>X becomes B>X, and what would be B>B loads no link. It takes all KPIs along. Other events act
    on demand where it has moved to. Of several shifts, each moves its share of what those that
    started before it have left there.
    """

    acts_on: ClassVar[Acted] = "flows"

    kind: Literal["demand_shift"] = "demand_shift"
    links: Annotated[tuple[str, ...], names_of("flow")] | None = Field(
        None,
        description="flows by name, or links, that demand moves from, instead of `from`",
        examples=[["link-1"]],
    )
    origins: Annotated[tuple[str, ...], names_of("site")] | None = Field(
        None, alias="from", description="sites that demand moves from", examples=[["Bern"]]
    )
    target: str = Field(
        alias="to",
        description="the site, or the flow or link, that it moves to",
        examples=["Basel"],
    )
    share: Share = Field(1.0, description="of the base demand", examples=["50%"])
    cutover: Duration = Field(
        seconds("0s"), description="time that moving takes, each way", examples=["30min"]
    )
    curve: Literal["linear", "smooth"] = Field(
        "linear", description="of the cut-over; smooth: begins and ends slowly"
    )
    rollback: Duration | None = Field(
        None, description="from the start: when demand begins to move back; absent: never"
    )

    _takes_time = field_validator("rollback")(longer_than_nothing)

    @model_validator(mode="after")
    def _moves(self) -> DemandShift:
        if (self.links is None) == (self.origins is None):
            raise ValueError("needs either 'from' with sites or 'links'")
        if self.duration is not None:
            raise ValueError("a shift has no 'duration'; state 'rollback', or nothing")
        if self.rollback is not None and self.rollback < self.cutover:
            raise ValueError("'rollback' is before the end of the 'cutover'")
        return self

    @property
    def targets(self) -> Targets:
        """Names of the flows that it moves demand from."""
        return self.links or "all"

    def names(self) -> Iterator[tuple[str, Acted, Targets]]:
        """Yield the names that it uses: the key that has them, and what they are names of."""
        if self.origins is None:
            yield "links", "flows", self.targets
        else:
            yield "from", "sites", self.origins
        yield "to", "flows" if self.origins is None else "sites", (self.target,)

    def new_flows(self, scope: Scope) -> Iterator[str]:
        """Yield the flows that it brings demand to and that nothing is known of."""
        sites = set(scope.known("sites"))
        if self.origins is not None:
            moved = [*self._moves_of(scope).values()] if self.target in sites else []
        else:
            moved = [self.target]
        for flow in dict.fromkeys(moved):
            source, _, into = flow.partition(ARROW)
            if flow not in scope.flows and source != into and {source, into} <= sites:
                yield flow

    def refusals(self, scope: Scope) -> Iterator[Refusal]:
        """Yield why it cannot happen here."""
        if self.origins is not None and not scope.routed:
            yield Refusal(
                "from", "needs demand from site to site ('source: matrix')", "use 'links'"
            )
            return
        known = scope.flows if self.origins is None else scope.known("sites")
        if self.target not in known:
            yield Refusal(
                "to", f"'{self.target}' is a pattern", "name the one that demand moves to"
            )
            return
        if self.target in named(known, self.origins or self.targets):
            yield Refusal("to", f"'{self.target}' is among what demand moves from")
            return
        # A replay is given the flows that events need; what is under way has what it began with.
        if absent := next(self.new_flows(scope), None):
            what = f"there is no flow '{absent}' here that demand could move to"
            yield Refusal("to", what, "begin with one, with demand 0")
            return
        if not self._moves_of(scope):
            yield Refusal("", "no flow starts or ends there")

    def _moves_of(self, scope: Scope) -> dict[str, str]:
        """Return the flows that demand moves from, and to; to nothing where both sites are one."""
        if self.origins is None:
            return dict.fromkeys(named(scope.flows, self.targets), self.target)
        away = dict.fromkeys(named(scope.known("sites"), self.origins), self.target)
        moves = {}
        for flow in scope.flows:
            a, _, b = flow.partition(ARROW)
            if a in away or b in away:
                source, into = away.get(a, a), away.get(b, b)
                moves[flow] = "" if source == into else f"{source}{ARROW}{into}"
        return moves

    def touched(self, scope: Scope) -> Bools:
        """Return the flows that it acts on, [flows]."""
        moves = self._moves_of(scope)
        return np.isin(scope.flows, [*moves, *moves.values()])

    def end(self, horizon: float) -> float:
        """Return when demand has moved back, `horizon` where it does not."""
        return horizon if self.rollback is None else self.begins + self.rollback + self.cutover

    def changes(self, scope: Scope) -> Iterator[Change]:
        """Yield when it divides intervals."""
        yield from super().changes(scope)
        for time in (self.cutover, self.rollback):
            if time and time < scope.horizon - self.begins:
                yield Change(self.begins + time, Phase.START)

    def courses(self, scope: Scope) -> tuple[Course, ...]:
        """Return how it changes the offered demand."""
        place = {flow: i for i, flow in enumerate(scope.flows)}
        moves = self._moves_of(scope)
        return (
            Shift(
                self.begins,
                self.end(np.inf),
                self.cutover,
                1.0,
                0.0,
                self.touched(scope),
                height=self.share,
                sources=np.array([place[flow] for flow in moves], dtype=np.int64),
                targets=np.array([place.get(to, -1) for to in moves.values()], dtype=np.int64),
                smooth=self.curve == "smooth",
            ),
        )
