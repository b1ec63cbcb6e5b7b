"""`twin validate`: what a scenario or a sweep holds, checked without running it."""

from __future__ import annotations

from pathlib import Path

from twin.core import content
from twin.core.units import counted
from twin.scenario import source
from twin.scenario.load import Scenario


def valid(file: str) -> str:
    """Return what a valid file holds, in a few words. Raises InputError for any other."""
    path = Path(file)
    if content.is_file(path) and "scenario" in source.read(path).data:
        from twin.batches.plan.planner import plan

        return plan(path).summary()
    scenario = Scenario.load(file)
    return ", ".join(
        [
            counted(len(scenario.trace.links), "link"),
            f"{counted(scenario.span.history, 'sample')} of history",
            f"{counted(scenario.span.intervals, 'interval')} to replay",
            counted(len(scenario.policies), "policy"),
            counted(len(scenario.spec.events), "event"),
            *(f"warning: {warning}" for warning in scenario.warnings),
        ]
    )
