"""Policies whose decisions are not carried out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from twin.core.arrays import Bools
from twin.events.base import Change, Event, Phase, Refusal
from twin.events.effects import Freeze
from twin.events.scope import Acted, Scope, Targets, named, names_of


class PolicyFreeze(Event):
    """Policies keep the request of the tick before, whatever they decide: a change freeze.

    Policies are asked on, and observe; their answers are checked but not carried out. Orders that
    are under way take effect. Freezes may overlap.
    """

    acts_on: ClassVar[Acted] = "policies"

    kind: Literal["policy_freeze"] = "policy_freeze"
    policies: Annotated[Targets, names_of("policy")] = Field(
        "all", description="policies by name, one or a list, or `all`", examples=[["conformal"]]
    )

    @property
    def targets(self) -> Targets:
        """Names of what it acts on."""
        return self.policies

    def touched(self, scope: Scope) -> Bools:
        """Return the links that it acts on: all."""
        return scope.mask("all")

    def refusals(self, scope: Scope) -> Iterator[Refusal]:  # noqa: ARG002
        """Yield why it cannot happen here."""
        if self.start == 0:
            what = "no policy has requested anything at the start of the replay"
            yield Refusal("start", what, "write a later time")

    def changes(self, scope: Scope) -> Iterator[Change]:
        """Yield when it begins and ends."""
        said = "all policies" if self.policies == "all" else ", ".join(self.policies)
        yield Change(self.begins, Phase.START, None, "start", detail=f"{said}: requests are kept")
        if self.end(scope.horizon) < scope.horizon:
            yield Change(self.end(scope.horizon), Phase.END, None, "end")

    def effects(self, scope: Scope) -> tuple[Freeze, ...]:
        """Return what else it does over a span of time."""
        held = tuple(named(scope.policies, self.policies))
        return (Freeze(self.begins, self.end(scope.horizon), held),)
