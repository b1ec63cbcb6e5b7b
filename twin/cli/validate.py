"""`twin validate`: what a scenario or a sweep holds, checked without running it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from twin.core import content
from twin.core.errors import InputError, Problem
from twin.core.units import counted
from twin.scenario import source
from twin.scenario.cache import Cache
from twin.scenario.given import Given, Overrides
from twin.scenario.load import Scenario


def valid(file: str, overrides: Sequence[str] = (), *, run_policies: bool = True) -> str:
    """Return what a valid file holds, in a few words. Raises InputError for any other.

    `overrides` are texts ``KEY=VALUE`` for scenarios; a sweep has its own block for that.
    Without `run_policies` no code of a user's policies is run, and the words say what that leaves
    unchecked.
    """
    path, cache = Path(file), Cache(run_policies=run_policies)
    if content.is_file(path) and "scenario" in source.read(path).data:
        from twin.batches.plan.planner import plan

        if overrides:
            remedy = "write it under 'set' in the sweep"
            raise InputError(Problem("--set: is for scenarios", file=path, suggestion=remedy))
        words = [plan(path, cache).summary()]
    else:
        asked = Overrides(tuple(overrides))
        words = list(_of_scenario(Scenario.load(file, asked, Given(living=True), cache)))
    return ", ".join([*words, *not_checked(cache)])


def not_checked(cache: Cache) -> Iterator[str]:
    """Yield what was not checked since the code of policies was not run."""
    if cache.not_run:
        files = ", ".join(sorted({str(path) for path in cache.not_run}))
        yield f"not checked: parameters and models of {files}"


def _of_scenario(scenario: Scenario) -> Iterator[str]:
    yield counted(len(scenario.links), "link")
    if scenario.spec.is_collected:
        yield "no trace to replay: 'twin serve' collects its history"
    else:
        yield f"{counted(scenario.span.history, 'sample')} of history"
        yield f"{counted(scenario.span.intervals, 'interval')} to replay"
    yield counted(len(scenario.policies), "policy")
    yield counted(len(scenario.spec.events), "event")
    for warning in scenario.warnings:
        yield f"warning: {warning}"
