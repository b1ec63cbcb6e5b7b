"""Knobs: the parameter of each policy that trades violations for over-provisioning."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from twin.core.errors import InputError
from twin.scenario.choices import Member


@dataclass(frozen=True, slots=True)
class Knob:
    """A parameter and its range, from the most violations to the fewest."""

    parameter: str
    first: float
    last: float
    offset: float = 0.0
    """Distances from the offset grow or shrink by the same factor from value to value."""

    def values(self, points: int) -> list[float]:
        """Return `points` values from `first` to `last`, both included, of four digits.

        offset + (first - offset) x ((last - offset) / (first - offset))^(i / (points - 1)).
        """
        low, high = self.first - self.offset, self.last - self.offset
        steps = (i / max(points - 1, 1) for i in range(points))
        turned = (self.offset + low * (high / low) ** step for step in steps)
        return list(dict.fromkeys(float(f"{value:.4g}") for value in turned))


KNOBS: Final = (
    Knob("target", 0.2, 0.0005),
    Knob("shortfall_price", 4.0, 2000.0),
    Knob("margin", 0.0, 0.6, offset=-0.02),
    Knob("q", 50.0, 99.99, offset=100.0),
    Knob("percentile", 50.0, 99.99, offset=100.0),
)
"""The first of these that a policy has is its knob: the target of `conformal`, `quantile` and
`blend`, the price of `cost_aware`, the margin of most others, the percentile of
`static_percentile`."""


def turned(member: Member, points: int) -> tuple[str, list[tuple[float, Member]]]:
    """Return the name of a policy's knob, and the policy at each value of it.

    The policy's own value is among them. A policy without a knob has an empty name and no values.
    Values that the policy refuses are left out.
    """
    model = member.source.policy.parameters()
    for knob in KNOBS:
        if knob.parameter not in model.model_fields:
            continue
        own = getattr(model(**member.parameters), knob.parameter)
        values = {*knob.values(points), *([] if own is None else [own])}
        variants = [
            (value, _with(member, knob.parameter, value))
            for value in sorted(values, reverse=knob.first > knob.last)
        ]
        kept = [(value, changed) for value, changed in variants if changed is not None]
        if kept:
            return knob.parameter, kept
    return "", []


def _with(member: Member, parameter: str, value: float) -> Member | None:
    changed = replace(member, parameters={**member.parameters, parameter: value})
    try:
        changed.make()
    except InputError:
        return None
    return changed
