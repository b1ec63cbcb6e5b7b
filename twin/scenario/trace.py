"""A trace by itself, without a scenario around it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twin.core.errors import InputError
from twin.demand.read import read as read_trace
from twin.demand.trace import Trace
from twin.scenario.assembly import parse
from twin.scenario.source import Source
from twin.scenario.spec import ScenarioSpec


def load_trace(demand: dict[str, Any], overrides: Sequence[str]) -> Trace:
    """Return the trace of a block `demand`, without a scenario around it.

    `overrides` are texts ``KEY=VALUE``, keys those of the block or of a scenario. Raises
    InputError.
    """
    source = Source({"name": "trace", "demand": demand, "policies": ["none"]}, {}, None)
    for override in overrides:
        known = override.split("=")[0].split(".")[0] in ScenarioSpec.model_fields
        source.override(override if known else f"demand.{override}")
    spec = parse(source)
    tick_s = int(spec.tick) if "tick" in spec.model_fields_set else None
    try:
        return read_trace(spec.demand, Path(), tick_s, spec.seed)
    except InputError as error:
        raise InputError(source.place(problem) for problem in error.problems) from None
