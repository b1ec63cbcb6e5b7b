"""One call from a scenario to its result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twin.api.drawing import ReportDrawing
from twin.core.errors import InputError, Problem, show
from twin.policy.base import Policy
from twin.results.result import Result
from twin.results.saved import SavedResult
from twin.scenario.build import simulate
from twin.scenario.choices import named
from twin.scenario.given import Given, Overrides
from twin.scenario.load import Scenario

Policies = Sequence[str | Policy | type[Policy]] | str | Policy | type[Policy]


def run(
    scenario: str | Path | Mapping[str, Any] | Scenario,
    *,
    policies: Policies | None = None,
    overrides: Mapping[str, Any] | Sequence[str] | str = (),
    seed: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Replay a scenario under its policies, and return what was recorded. Writes nothing.

    `scenario` is a path, the name of a shipped one, a mapping of what a file would hold, or one
    that was loaded before. `policies` picks among the scenario's own names first, then the shipped
    ones, then files by path; it may hold policies themselves, classes or instances. `overrides` is
    a mapping of keys to values, or texts ``KEY=VALUE``. `progress` is called now and then with the
    intervals done and their number. Raises InputError for what cannot be used and RunError where a
    policy fails.
    """
    checked = checked_scenario(scenario, policies, overrides, seed)
    begin = time.perf_counter()
    recording = simulate(checked, progress)
    return Result(checked, recording, time.perf_counter() - begin, ReportDrawing())


def load(folder: str | Path) -> Result:
    """Return the result of a finished run from its folder. Raises InputError where it is none."""
    given: Any = folder
    if not isinstance(given, str | Path):
        raise InputError(Problem(f"must be a folder, not {show(given)}", "folder"))
    return SavedResult(folder, ReportDrawing())


def checked_scenario(
    scenario: str | Path | Mapping[str, Any] | Scenario,
    policies: Policies | None,
    overrides: Mapping[str, Any] | Sequence[str] | str,
    seed: int | None,
) -> Scenario:
    """Return the scenario that a call of :func:`run` means. Raises InputError."""
    asked_for: Any = scenario
    if not isinstance(asked_for, str | Path | Mapping | Scenario):
        what = f"must be a path, a name, a mapping or a Scenario, not {show(scenario)}"
        raise InputError(Problem(what, "scenario"))
    picks, own = (None, {}) if policies is None else named(_listed(policies))
    if picks is not None and not all(isinstance(pick, str) for pick in picks):
        raise InputError(Problem("a policy with keys belongs into the scenario", "policies"))
    mapped = isinstance(overrides, Mapping)
    for key in overrides if isinstance(overrides, Mapping) else ():
        if not isinstance(key, str):
            raise InputError(Problem(f"a key must be text, not {show(key)}", "overrides"))
    asked = Overrides(
        () if mapped else _texts(overrides),
        None if picks is None else tuple(picks),
        seed,
        tuple(overrides.items()) if isinstance(overrides, Mapping) else (),
    )
    given = Given(policies=own)
    if not isinstance(scenario, Scenario):
        return Scenario.load(scenario, asked, given)
    if asked == Overrides():
        return scenario
    return scenario.again(_over(scenario.asked, asked), given)


def _listed(policies: Policies) -> list[Any]:
    given: Any = policies
    if isinstance(given, str | Policy | type):
        return [given]
    if not isinstance(given, Iterable):
        raise InputError(Problem(f"must be a list of policies, not {show(given)}", "policies"))
    return list(given)


def _texts(texts: Sequence[str] | str | Mapping[str, Any]) -> tuple[str, ...]:
    given: Any = texts
    if not isinstance(given, Iterable):
        what = f"must be a mapping or texts KEY=VALUE, not {show(given)}"
        raise InputError(Problem(what, "overrides"))
    listed = (given,) if isinstance(given, str) else tuple(given)
    text: Any
    for text in listed:
        if not isinstance(text, str):
            what = f"must be a mapping or texts KEY=VALUE, not {show(text)}"
            raise InputError(Problem(what, "overrides"))
    return listed


def _over(before: Overrides, now: Overrides) -> Overrides:
    return replace(
        before,
        overrides=before.overrides + now.overrides,
        policies=before.policies if now.policies is None else now.policies,
        seed=before.seed if now.seed is None else now.seed,
        values=before.values + now.values,
    )
