"""Where a scenario comes from: a file, a shipped name, or a mapping."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twin.core import content
from twin.core.errors import InputError, Problem, did_you_mean
from twin.scenario import source as yaml_source
from twin.scenario.choices import GivenPolicy, named
from twin.scenario.source import Source

IN_PYTHON = Path("<python>")
"""What stands for the file of a scenario that was made in Python. Paths in it are relative to the
working directory, where no content is looked up by name."""


def read_source(scenario: str | Path) -> tuple[Path, Source]:
    """Return the file of a scenario, a path or the name of a shipped one, and what it holds.

    Raises InputError.
    """
    path = _path(scenario)
    source = yaml_source.read(path)
    source.data.setdefault("name", path.stem)
    return path, source


def read_mapping(
    scenario: Mapping[str, Any],
) -> tuple[Path, Source, dict[str, GivenPolicy]]:
    """Return a scenario that was given as a mapping, and the policies in it that are objects."""
    data = copy.copy(dict(scenario))
    given: dict[str, GivenPolicy] = {}
    if isinstance(data.get("policies"), list | tuple):
        data["policies"], given = named(data["policies"])
    data = {"name": "scenario"} | copy.deepcopy(data)
    return IN_PYTHON, Source(data, {}, None), given


def _path(scenario: str | Path) -> Path:
    if (
        isinstance(scenario, Path)
        or content.is_path("scenarios", scenario)
        or scenario.endswith((".yml", "."))
    ):
        path = Path(scenario)
        if content.is_file(path):
            return path
        if content.is_folder(path):
            raise InputError(Problem("is a folder, not a scenario", file=path))
        names = (
            [p.name for p in path.parent.glob("*.y*ml")] if content.is_folder(path.parent) else []
        )
        hint = did_you_mean(path.name, names)
        raise InputError(Problem("no such file", file=path, suggestion=hint))
    shipped = content.shipped("scenarios")
    if scenario in shipped:
        return shipped[scenario]
    beside = Path(f"{scenario}.yaml")
    hint = (
        f"did you mean './{beside}'?"
        if content.is_file(beside)
        else did_you_mean(scenario, shipped)
    )
    suggestion = hint or f"shipped: {', '.join(shipped)}; a path ends in .yaml"
    raise InputError(Problem(f"no shipped scenario '{scenario}'", suggestion=suggestion))
