"""One call from a scenario to its result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from twin.results.result import Result
from twin.scenario.build import simulate
from twin.scenario.load import Overrides, Scenario


def run(
    scenario: str | Path | Scenario,
    *,
    policies: Sequence[str] | str | None = None,
    overrides: Sequence[str] | str = (),
    seed: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Replay a scenario under its policies, and return what was recorded. Writes nothing.

    `scenario` is a path, the name of a shipped one, or one that was loaded before; `policies`
    picks among the scenario's own names first, then the shipped ones, then files by path;
    `overrides` are texts ``KEY=VALUE``; `progress` is called now and then with the intervals
    done and their number. Raises InputError for what cannot be used and RunError where a
    policy fails.
    """
    picks = None if policies is None else _texts(policies)
    asked = Overrides(_texts(overrides), picks, seed)
    if not isinstance(scenario, Scenario):
        scenario = Scenario.load(scenario, asked)
    elif asked != Overrides():
        scenario = Scenario.load(scenario.path, _over(scenario.asked, asked))
    begin = time.perf_counter()
    recording = simulate(scenario, progress)
    return Result(scenario, recording, time.perf_counter() - begin)


def _texts(texts: Sequence[str] | str) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else tuple(texts)


def _over(before: Overrides, now: Overrides) -> Overrides:
    return replace(
        before,
        overrides=before.overrides + now.overrides,
        policies=before.policies if now.policies is None else now.policies,
        seed=before.seed if now.seed is None else now.seed,
    )
