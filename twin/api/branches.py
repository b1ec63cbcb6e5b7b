"""One past and several futures: a scenario that is forked at an instant, and its branches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.account.summary import summarise
from twin.api.simulation import Simulation
from twin.core.errors import InputError, Problem
from twin.core.files import same_directory
from twin.core.units import format_duration
from twin.engine.recording import Recording
from twin.results.result import Result
from twin.scenario.branch import Branch, read_branch
from twin.scenario.build import lane_of, settings_of
from twin.scenario.load import Scenario

if TYPE_CHECKING:
    import pandas as pd

TRUNK = "trunk"
"""The future in which nothing is changed."""


@dataclass(frozen=True)
class BranchedRun:
    """The results of a trunk and its branches."""

    at: float
    """The fork, seconds from the start of the replay."""
    results: dict[str, Result]
    """By branch, the trunk first; each with the whole replay."""
    past: Recording
    """What was recorded before the fork."""

    @cached_property
    def summary(self) -> pd.DataFrame:
        """What came after the fork: `branch`, and the columns of a run's summary.

        A row for each branch, policy and link, and one for each branch and policy with link `all`.
        """
        import pandas as pd

        first = self.past.intervals
        tables = []
        for name, result in self.results.items():
            table = summarise(result.recording.since(first, self.past), result.settlement)
            table.insert(0, "branch", name)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)


@same_directory()
def run_branches(
    scenario: Scenario,
    at: float,
    branches: Sequence[str | Path | Mapping[str, Any]],
    progress: Callable[[int, int], None] | None = None,
) -> BranchedRun:
    """Replay a scenario to `at` seconds, then go on once unchanged and once as each branch says.

    What happens at `at` itself happens in each future. `progress` is called now and then with the
    intervals done and their number, of all futures. Raises InputError for what cannot be used and
    RunError where a policy fails.
    """
    span, tick_s = scenario.span, scenario.trace.tick_s
    end = span.horizon(tick_s)
    if not tick_s <= at < end:
        what = f"{format_duration(at)} is not between the first tick and the end of the replay"
        raise InputError(Problem(what, "--fork", suggestion=f"it ends at {format_duration(end)}"))
    planned = [read_branch(scenario, branch, at) for branch in branches]
    names = [TRUNK, *(branch.name for branch in planned)]
    for name in names:
        if names.count(name) > 1:
            what = f"a second branch is called '{name}'"
            raise InputError(Problem(what, "--branch", suggestion="give it a 'name'"))
    scenario, planned = _on_the_same_flows(scenario, planned)
    count = _Count(progress, span.intervals, len(names))
    trunk = Simulation.of(scenario)
    trunk.advance(at, count.of(0))
    past, done = trunk.recording(), trunk.closed
    results = {}
    for number, branch in enumerate(planned, start=1):
        simulation = trunk.fork()
        change(simulation, branch)
        ahead = number * (span.intervals - done)
        results[branch.name] = simulation.run(progress=count.of(ahead))
    results = {TRUNK: trunk.run(progress=count.of(0))} | results
    return BranchedRun(at, results, past)


def _on_the_same_flows(
    trunk: Scenario, branches: Sequence[Branch]
) -> tuple[Scenario, list[Branch]]:
    """Return trunk and branches with all flows that demand moves to in any of them."""
    flows = dict.fromkeys(flow for branch in branches for flow in branch.scenario.trace.links)
    new = tuple(flow for flow in flows if flow not in trunk.trace.links)
    if not new:
        return trunk, [*branches]
    trunk = trunk.with_flows(new)
    return trunk, [
        replace(branch, scenario=replace(branch.scenario, trace=trunk.trace, routing=trunk.routing))
        for branch in branches
    ]


def change(simulation: Simulation, branch: Branch) -> None:
    """Let a simulation that stands at the fork go on as the branch says."""
    scenario = branch.scenario
    for number in branch.cancelled:
        simulation.cancel(number)
    for event in branch.added:
        simulation.add(event)
    if branch.relinked:
        simulation.change_links(settings_of(scenario))
    for successor in branch.successors:
        simulation.hand_over(successor.name, lane_of(scenario, successor))
    simulation.scenario = scenario


class _Count:
    """Counts the intervals of all futures together."""

    def __init__(
        self, progress: Callable[[int, int], None] | None, intervals: int, futures: int
    ) -> None:
        self._progress, self._total = progress, intervals * futures

    def of(self, before: int) -> Callable[[int, int], None] | None:
        """Return what to call with the progress of a future, after `before` intervals of others."""
        progress = self._progress
        if progress is None:
            return None
        return lambda done, _: progress(min(before + done, self._total), self._total)
