"""The scenario at each point of a sweep, checked as any scenario is, and no part of it twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, get_type_hints

from pydantic import TypeAdapter, ValidationError

from twin.batches.plan.points import Point
from twin.core.errors import InputError, Loc
from twin.core.recent import Recent
from twin.scenario.cache import Cache
from twin.scenario.checks import (
    event_problems,
    link_problems,
    placed,
    span_problems,
    with_files,
)
from twin.scenario.given import Overrides
from twin.scenario.load import Scenario
from twin.scenario.source import Source
from twin.scenario.spec import ScenarioSpec

_APART: Final = ("events", "prices", "sla")
"""Blocks on which nothing else that a scenario names depends: no trace, no policy, no model."""
_BLOCKS: Final = {
    name: TypeAdapter[Any](get_type_hints(ScenarioSpec, include_extras=True)[name])
    for name in _APART
}
_KEPT: Final = 4096
"""Scenarios that are kept at a time, and blocks; each of other values."""


class PointScenarios:
    """Makes the scenario of any point of a sweep."""

    def __init__(
        self,
        base: Source,
        path: Path,
        asked: Overrides,
        label: Callable[[Loc], str],
        cache: Cache | None = None,
    ) -> None:
        """Take the scenario as written; `label` is how messages name a place of the sweep.

        What scenarios name is taken from `cache`, or read.
        """
        self._base, self._path, self._asked, self._label = base, path, asked, label
        self._cache = cache or Cache()
        self._scenarios = Recent[str, Scenario](_KEPT)
        self._blocks = Recent[str, Any](_KEPT)

    def at(self, values: Point, places: dict[str, Loc] | None = None) -> Scenario:
        """Return the scenario at a point. Raises InputError with every problem of it.

        `places` are those of its values in the sweep, for messages.
        """
        places = places or {key: (key,) for key in values}
        apart = {key: value for key, value in values.items() if key.split(".")[0] in _APART}
        if not apart:
            return self._scenario(values, places)
        try:
            rest = self._scenario({k: v for k, v in values.items() if k not in apart}, places)
            return self._with_blocks(rest, apart, places)
        except (InputError, ValidationError):
            # What the point as a whole says is wrong, or nothing: the values may belong together.
            return self._checked(values, places)

    def _with_blocks(self, rest: Scenario, apart: Point, places: dict[str, Loc]) -> Scenario:
        """Return a scenario with other blocks. Raises an error unless they are as they should."""
        blocks = {
            name: self._block(name, part, places)
            for name in _APART
            if (part := {key: v for key, v in apart.items() if key.split(".")[0] == name})
        }
        spec = rest.spec.model_copy(update=blocks)
        if "events" not in blocks:
            return replace(rest, spec=spec)
        spec = placed(with_files(spec, rest.folder), rest.trace, rest.span)
        self._check_events(scenario := replace(rest, spec=spec))
        return scenario

    def _check_events(self, scenario: Scenario) -> None:
        spec, trace, span, scope = scenario.spec, scenario.trace, scenario.span, scenario.scope
        silent = self._cache.silent(trace, span.history)
        problems = [
            *link_problems(spec, scope, self._base.blamed),
            *span_problems(spec, trace, span, silent),
        ]
        # What an event may do is asked only of one that names what there is.
        if problems := problems or list(event_problems(spec, span, scope)):
            raise InputError(problems)

    def _scenario(self, values: Point, places: dict[str, Loc]) -> Scenario:
        return self._scenarios.get(repr(values), lambda: self._checked(values, places))

    def _checked(self, values: Point, places: dict[str, Loc]) -> Scenario:
        source = self._assigned(self._base.copy(), values, places)
        return Scenario.of(source, self._path, self._asked, self._cache)

    def _block(self, name: str, values: Point, places: dict[str, Loc]) -> Any:
        def read() -> Any:
            source = self._assigned(self._base.copy(name), values, places)
            return _BLOCKS[name].validate_python(source.data[name])

        return self._blocks.get(repr(values), read)

    def _assigned(self, source: Source, values: Point, places: dict[str, Loc]) -> Source:
        for key, value in values.items():
            source.assign(key, value, self._label(places[key]))
        return source
