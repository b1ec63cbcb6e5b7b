"""The sweep: every policy at every value of its knob, on the end of the history and the replay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.account.summary import ALL
from twin.api.run import run
from twin.core import content
from twin.policy.load import load
from twin.report.run.recommended import chosen
from twin.scenario.choices import Member, PolicyChoice
from twin.scenario.load import Scenario
from twin.studies.frontier.knobs import turned
from twin.studies.frontier.validation import VALIDATION, validation_of

if TYPE_CHECKING:
    import pandas as pd

POINTS: Final = 9
"""Values of a knob, unless asked otherwise."""
_MARGIN: Final = 0.01
"""Relative difference below which nothing is called better: another seed could reverse it."""
_MEASURED: Final = (
    "sla_violation_rate", "over_provisioning_pct", "sla_violation_minutes", "unmet_mbit",
)  # fmt: skip
PARTS: Final = ("replay", "history")
"""What the settings are run on; the second is the end of the history."""


@dataclass(frozen=True, slots=True)
class Frontier:
    """Results of every policy at every value of its knob, over all links of a scenario.

    On the replay, and on the validation part, from which the recommended settings are.
    """

    scenario: Scenario
    points: pd.DataFrame
    """A row for each part, policy and value: `policy, knob, value`, the summary's
    `sla_violation_rate` (share of intervals), `over_provisioning_pct` (of mean demand),
    `sla_violation_minutes` and `unmet_mbit`, then `bound`, `dominated` (in its part),
    `links_within_sla`, `links_missing_sla`, `cost` (empty without prices), `part` (`replay` or
    `history`), `intervals` of a link, and `recommended` (a policy's setting, chosen on the
    history). Policies without a knob have one row in each part, without a value."""

    @property
    def policies(self) -> list[str]:
        """Names of the policies, bounds included, in the scenario's order."""
        return list(dict.fromkeys(self.points["policy"]))

    @property
    def replayed(self) -> pd.DataFrame:
        """The points of the replay."""
        return self.points[self.points["part"] == "replay"]

    def dominated_by(self, policy: str) -> list[str]:
        """Return what dominates `policy` in the replay: none where a point of it is not dominated.

        A point is dominated by one that is no worse in violations and over-provisioning, and
        more than 1 % better in one of them. Returned are the policies that dominate every point by
        themselves, or else all that dominate some. Bounds neither dominate nor are dominated.
        """
        points = self.replayed
        rows = points[points["policy"] == policy]
        if not rows["dominated"].all():
            return []
        others = points[~points["bound"] & (points["policy"] != policy)]
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
    validation: float = VALIDATION,
) -> Frontier:
    """Run a scenario under each of its policies at `points` values of the policy's knob.

    On the last `validation`, a share, of its history first, where settings are chosen, then on its
    replay. Where the scenario has no bound, the shipped oracle joins. Raises RunError and
    InputError as run() does, and InputError where the history is too short.
    """
    import pandas as pd

    past = validation_of(scenario, validation)
    settings = [row for choice in _with_bound(scenario) for row in _settings(choice, points)]
    lanes = tuple(choice for choice, _ in settings)
    total, tables = past.span.intervals + scenario.span.intervals, {}
    for part, one, before in (("history", past, 0), ("replay", scenario, past.span.intervals)):
        show = progress and partial(_shown, progress, before, total)
        summary = run(replace(one, policies=lanes), progress=show).summary
        table = _table([label for _, label in settings], summary, scenario.spec.sla.target)
        tables[part] = table.assign(part=part, intervals=one.span.intervals)
    joined = pd.concat([tables[part] for part in PARTS], ignore_index=True)
    return Frontier(scenario, _recommended(joined))


def _shown(
    progress: Callable[[int, int], None], before: int, total: int, done: int, _: int
) -> None:
    progress(before + done, total)


def _recommended(points: pd.DataFrame) -> pd.DataFrame:
    """Return the points with the column `recommended`: at most one setting of each policy."""
    settings = [setting for setting in chosen(points) if setting.held and not setting.bound]
    picked = {(setting.policy, setting.value) for setting in settings}
    values = [f"{value:.4g}" if knob else "" for knob, value in
              zip(points["knob"], points["value"], strict=True)]  # fmt: skip
    pairs = zip(points["policy"], values, strict=True)
    return points.assign(recommended=[pair in picked for pair in pairs])


def _with_bound(scenario: Scenario) -> tuple[PolicyChoice, ...]:
    if any(choice.bound for choice in scenario.policies):
        return scenario.policies
    oracle = Member(load(content.shipped("policies")["oracle"]), {})
    return (*scenario.policies, PolicyChoice("oracle", (oracle,)))


def _settings(choice: PolicyChoice, points: int) -> list[tuple[PolicyChoice, dict[str, Any]]]:
    """Return a policy at each value of its knob, with its first columns of the table."""
    label = {"policy": choice.name, "knob": "", "value": np.nan, "bound": choice.bound}
    knob, values = ("", []) if choice.scheduled else turned(choice.members[0], points)
    if not values:
        return [(choice, label)]
    return [
        (PolicyChoice(f"{choice.name} {knob}={value:g}", (member,)),
         label | {"knob": knob, "value": value})
        for value, member in values
    ]  # fmt: skip


def _table(labels: list[dict[str, Any]], summary: pd.DataFrame, target: float) -> pd.DataFrame:
    """Return the points of one part; `summary` has the rows of `labels` in their order."""
    import pandas as pd

    table, whole = pd.DataFrame(labels), summary["link"] == ALL
    for column in (*_MEASURED, "cost"):
        table[column] = summary[whole][column].to_numpy()
    # A link without a known interval has no violation.
    within = summary[~whole]["sla_violation_rate"].fillna(0.0) <= target
    for column, links in (("links_within_sla", within), ("links_missing_sla", ~within)):
        table[column] = links.groupby(summary[~whole]["policy"], sort=False).sum().to_numpy()
    others = table[~table["bound"]]
    table["dominated"] = _beaten(table, others).any(axis=1) & ~table["bound"].to_numpy()
    first = ["policy", "knob", "value", *_MEASURED, "bound", "dominated"]
    return table[[*first, "links_within_sla", "links_missing_sla", "cost"]]


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
