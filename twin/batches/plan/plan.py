"""The plan of a batch: its points, and the runs that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from twin.batches.plan.identity import run_id, seed_of
from twin.batches.plan.payload import Payload
from twin.batches.plan.points import Point
from twin.batches.plan.spec import SweepSpec
from twin.core.errors import InputError, Problem
from twin.core.units import counted
from twin.scenario.load import Scenario


@dataclass(frozen=True, slots=True)
class PlannedPoint:
    """One point of a sweep, checked."""

    number: int
    keys: Point
    """The value of each varied key; a key that keeps the scenario's value is absent."""
    digest: str


@dataclass(frozen=True)
class Plan:
    """All points of a sweep, and the runs that they stand for."""

    spec: SweepSpec
    file: Path | None
    """Where the sweep was read from."""
    scenario: Scenario
    """The first point."""
    points: tuple[PlannedPoint, ...]
    payload: Payload
    """What the scenarios of all points share."""
    at: Callable[[PlannedPoint], Scenario]
    """Makes the scenario at a point again."""
    random: bool
    """Whether a replication differs from the next."""
    repeated: int
    """Samples that came out the same as others, and are no points of their own."""

    @property
    def seed(self) -> int:
        """The scenario's own seed."""
        return self.scenario.spec.seed

    @property
    def policies(self) -> tuple[str, ...]:
        """Names of the policies, in the scenario's order; differences are to the first."""
        return tuple(choice.name for choice in self.scenario.policies)

    def packed(self, point: PlannedPoint) -> bytes:
        """Return the scenario at a point, without its trace, models and policies' code."""
        return self.payload.pack(self.at(point))

    def run_id(self, point: PlannedPoint, replication: int) -> str:
        """Return the id of a run."""
        return run_id(point.digest, seed_of(self.seed, replication))

    def ids(self) -> Iterator[str]:
        """Yield the ids of all runs that the sweep may hold, in the order of its tables."""
        for point in self.points:
            for replication in range(self.spec.replications):
                yield self.run_id(point, replication)

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The type of each varied key's column: `bool`, `int64`, `float64` or `text`."""
        return {
            key: _kind([point.keys[key] for point in self.points if key in point.keys])
            for key in self.spec.keys
        }

    @property
    def size(self) -> int:
        """Number of runs; the largest possible number where replications may end early."""
        return len(self.points) * self.spec.replications

    def summary(self) -> str:
        """Return one sentence on what the batch holds."""
        most = "up to " if self.spec.until else ""
        same = f"; {counted(self.repeated, 'sample')} came out as others" if self.repeated else ""
        return (
            f"{self.spec.name}: {counted(len(self.points), 'point')} x {most}"
            f"{counted(self.spec.replications, 'replication')} = {most}{counted(self.size, 'run')} "
            f"of {counted(len(self.policies), 'policy')}{same}"
        )


def pick(ids: Sequence[str], prefix: str) -> str:
    """Return the one id that begins with `prefix`. Raises InputError unless exactly one does."""
    matches = [each for each in ids if each.startswith(prefix)]
    if len(matches) == 1:
        return matches[0]
    what = (
        f"--show: no run '{prefix}'" if not matches else f"--show: '{prefix}' begins several runs"
    )
    raise InputError(Problem(what, suggestion="the column run_id of runs.parquet has them"))


def _kind(values: Sequence[Any]) -> str:
    if values and all(isinstance(value, bool) for value in values):
        return "bool"
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        return "text"
    whole = all(isinstance(value, int) and abs(value) < 2**63 for value in values)
    return "int64" if whole else "float64"
