"""The sides of a what-if, as is asked and as things are: presents that go on many times."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from twin.api.branches import change
from twin.api.simulation import Simulation
from twin.core.errors import InputError, Problem
from twin.core.units import format_duration
from twin.engine.present import Present
from twin.live.failure_ranking import FailureRanking
from twin.live.outcomes import Outcomes
from twin.live.wanted import WantedPolicy
from twin.routing.shortest_paths import ShortestPaths
from twin.scenario.branch import Branch, read_branch
from twin.telemetry.source import LiveSource


class WhatIfSide:
    """A present, and what its futures come to under the policies that are wanted."""

    def __init__(
        self,
        simulation: Simulation,
        live: LiveSource,
        wanted: Sequence[WantedPolicy],
        branch: Branch | None = None,
    ) -> None:
        """Take the policies that count, and what is different from now on."""
        self.present = Present(simulation, None if simulation.source is live else live)
        self._wanted, self._scenario = wanted, simulation.scenario
        self._seats = [each.seat for each in wanted]
        if branch is not None:
            change(self.present.engine, branch)
        everyone = {choice.name for choice in simulation.scenario.policies}
        self.present.leave_out(everyone - set(self._seats))
        self.present.settle()
        self.ranking: FailureRanking | None = None
        self._parts: list[Outcomes] = []

    def rank_failures(self) -> None:
        """Hold every failure of a network against what the policies allocate."""
        routing, topology = self._scenario.routing, self._scenario.topology
        if topology is not None and isinstance(routing, ShortestPaths):
            seats = {each.name: each.seat for each in self._wanted}
            self.ranking = FailureRanking(routing, topology, self.present.down, seats)

    def go_through(self, future: Simulation, steps: int) -> None:
        """Let one of its futures come, and take what that comes to."""
        first = future.closed
        before = future.recording()
        future.advance((first + steps) * float(future.tick_s))
        recording = future.recording().since(first, before)
        self._parts.append(Outcomes.of(recording, self._seats))
        if self.ranking is not None:
            self.ranking.add(recording)

    @property
    def outcomes(self) -> Outcomes:
        """What all of its futures came to."""
        return Outcomes.joined(self._parts)


def sides_of(
    simulation: Simulation,
    live: LiveSource,
    asked: Mapping[str, Any],
    wanted: Sequence[WantedPolicy],
    until: float,
) -> tuple[list[WhatIfSide], WhatIfSide, list[str]]:
    """Return what is asked, as things are, and what of it makes no difference before `until`.

    What is asked has a side for the simulation's own policies, which come first, and one for each
    that joins them. Where nothing is asked, things are as asked.
    """
    own = [each for each in wanted if not each.joins]
    groups = [own, *([each] for each in wanted if each.joins)]
    sides, notes = [], list[str]()
    for group in groups:
        successors = [each for each in group if each.successor is not None]
        branch = None
        if group and (asked["events"] or asked["links"] or successors):
            branch = _branch(simulation, asked, successors)
            notes = _in_vain(branch, asked, until)
        if group:
            sides.append(WhatIfSide(simulation, live, group, branch))
    if branch is None and len(sides) == 1:
        return sides, sides[0], notes
    return sides, WhatIfSide(simulation, live, wanted), notes


def _branch(
    simulation: Simulation, asked: Mapping[str, Any], successors: Sequence[WantedPolicy]
) -> Branch:
    written = {**asked, "policies": [each.successor for each in successors]}
    try:
        return read_branch(simulation.scenario, written, simulation.now)
    except InputError as error:
        places = [each.place for each in successors]
        raise InputError([_moved(problem, places) for problem in error.problems]) from None


def _moved(problem: Problem, places: Sequence[int]) -> Problem:
    """Return a problem with policies where they were asked for."""

    def moved(text: str) -> str:
        return re.sub(r"^policies\.(\d+)", lambda m: f"policies.{places[int(m[1])]}", text)

    where = problem.where
    if isinstance(where, tuple) and len(where) > 1 and where[0] == "policies":
        where = ("policies", places[int(where[1])], *where[2:])
    return replace(
        problem,
        what=moved(problem.what),
        where=moved(where) if isinstance(where, str) else where,
    )


def _in_vain(branch: Branch, asked: Mapping[str, Any], until: float) -> list[str]:
    """Return what of the events and links that are asked for makes no difference."""
    notes = [
        f"events.{i}: begins after the time that is asked for ends, by "
        f"{format_duration(event.begins - until)}"
        if event.begins > until
        else f"events.{i}: begins as the time that is asked for ends"
        for i, event in enumerate(branch.added)
        if event.begins >= until
    ]
    if asked["links"] and not branch.relinked:
        notes.append("links: they are set like this already")
    return notes
