"""The sweep: every policy at every value of its knob on one demand, and which are dominated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.account.summary import ALL
from twin.api.run import run
from twin.core import content
from twin.policy.load import load
from twin.scenario.choices import Member, PolicyChoice
from twin.scenario.load import Scenario
from twin.studies.frontier.knobs import turned

if TYPE_CHECKING:
    import pandas as pd

POINTS: Final = 9
"""Values of a knob, unless asked otherwise."""
_MARGIN: Final = 0.01
"""Relative difference below which nothing is called better: another seed could reverse it."""
_MEASURED: Final = (
    "sla_violation_rate", "over_provisioning_pct", "sla_violation_minutes", "unmet_mbit",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frontier:
    """Results of every policy at every value of its knob, over all links of a scenario."""

    scenario: Scenario
    points: pd.DataFrame
    """A row for each policy and value: `policy, knob, value`, the summary's
    `sla_violation_rate` (share of intervals), `over_provisioning_pct` (of mean demand),
    `sla_violation_minutes` and `unmet_mbit`, then `bound` and `dominated`. Policies without a
    knob have one row, without a value."""

    @property
    def policies(self) -> list[str]:
        """Names of the policies, bounds included, in the scenario's order."""
        return list(dict.fromkeys(self.points["policy"]))

    def cheapest(self, policy: str) -> pd.Series[Any] | None:
        """Return the point of a policy that holds the SLA target at the least over-provisioning.

        None where no point of the policy holds it.
        """
        rows = self.points[self.points["policy"] == policy]
        held = rows[rows["sla_violation_rate"] <= self.scenario.spec.sla.target]
        return None if held.empty else held.sort_values("over_provisioning_pct").iloc[0]

    def dominated_by(self, policy: str) -> list[str]:
        """Return the policies that dominate `policy`: none where a point of it is not dominated.

        A point is dominated by one that is no worse in violations and over-provisioning, and
        more than 1 % better in one of them. Returned are the policies that dominate every point by
        themselves, or else all that dominate some. Bounds neither dominate nor are dominated.
        """
        rows = self.points[self.points["policy"] == policy]
        if not rows["dominated"].all():
            return []
        others = self.points[~self.points["bound"] & (self.points["policy"] != policy)]
        beaten = {
            name: _beaten(rows, rivals).any(axis=1)
            for name, rivals in others.groupby("policy", sort=False)
        }
        alone = [str(name) for name, points in beaten.items() if points.all()]
        return alone or [str(name) for name, points in beaten.items() if points.any()]


def sweep(
    scenario: Scenario,
    points: int = POINTS,
    progress: Callable[[int, int], None] | None = None,
) -> Frontier:
    """Replay a scenario under each of its policies at `points` values of the policy's knob.

    Where the scenario has no bound, the shipped oracle joins. Raises RunError and InputError as
    run() does.
    """
    settings = [row for choice in _with_bound(scenario) for row in _settings(choice, points)]
    lanes = tuple(choice for choice, _ in settings)
    summary = run(replace(scenario, policies=lanes), progress=progress).summary
    table = _table([label for _, label in settings], summary[summary["link"] == ALL])
    return Frontier(scenario, table)


def _with_bound(scenario: Scenario) -> tuple[PolicyChoice, ...]:
    if any(_bound(choice) for choice in scenario.policies):
        return scenario.policies
    oracle = Member(load(content.shipped("policies")["oracle"]), {})
    return (*scenario.policies, PolicyChoice("oracle", (oracle,)))


def _bound(choice: PolicyChoice) -> bool:
    return any(member.source.policy.bound for member in choice.members)


def _settings(choice: PolicyChoice, points: int) -> list[tuple[PolicyChoice, dict[str, Any]]]:
    """Return a policy at each value of its knob, with its first columns of the table."""
    label = {"policy": choice.name, "knob": "", "value": np.nan, "bound": _bound(choice)}
    knob, values = ("", []) if choice.scheduled else turned(choice.members[0], points)
    if not values:
        return [(choice, label)]
    return [
        (PolicyChoice(f"{choice.name} {knob}={value:g}", (member,)),
         label | {"knob": knob, "value": value})
        for value, member in values
    ]  # fmt: skip


def _table(labels: list[dict[str, Any]], pooled: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(labels)
    for column in _MEASURED:
        table[column] = pooled[column].to_numpy()
    others = table[~table["bound"]]
    table["dominated"] = _beaten(table, others).any(axis=1) & ~table["bound"].to_numpy()
    return table[["policy", "knob", "value", *_MEASURED, "bound", "dominated"]]


def _beaten(rows: pd.DataFrame, rivals: pd.DataFrame) -> NDArray[np.bool_]:
    """Return whether each row is dominated by each rival of another policy, [rows, rivals].

    Pareto dominance: the rival is at most equal in both measures, and in one of them below
    (1 - _MARGIN) times the row's.
    """
    apart = rows["policy"].to_numpy()[:, None] != rivals["policy"].to_numpy()[None]
    no_worse, better = np.ones_like(apart), np.zeros_like(apart)
    for column in ("sla_violation_rate", "over_provisioning_pct"):
        own, other = rows[column].to_numpy()[:, None], rivals[column].to_numpy()[None]
        no_worse &= other <= own
        better |= other < (1 - _MARGIN) * own
    beaten: NDArray[np.bool_] = apart & no_worse & better
    return beaten
