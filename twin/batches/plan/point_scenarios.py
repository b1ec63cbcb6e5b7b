"""The scenario at each point of a sweep, checked as any scenario is, and no part of it twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from twin.batches.plan.points import Point
from twin.core.errors import Loc
from twin.scenario.cache import Cache
from twin.scenario.load import Overrides, Scenario, parse
from twin.scenario.source import Source

_APART: Final = ("sla", "prices")
"""Blocks that are checked by themselves: nothing else of a scenario depends on them."""
_KEPT: Final = 4096
"""Scenarios that are kept at a time, each of other values than those of the blocks apart."""


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
        self._scenarios: OrderedDict[str, Scenario] = OrderedDict()
        self._blocks: dict[str, Any] = {}

    def at(self, values: Point, places: dict[str, Loc] | None = None) -> Scenario:
        """Return the scenario at a point. Raises InputError with every problem of it.

        `places` are those of its values in the sweep, for messages.
        """
        places = places or {key: (key,) for key in values}
        apart = {key: value for key, value in values.items() if key.split(".")[0] in _APART}
        scenario = self._scenario({k: v for k, v in values.items() if k not in apart}, places)
        if not apart:
            return scenario
        blocks = {
            name: self._block(name, part, places)
            for name in _APART
            if (part := {key: v for key, v in apart.items() if key.split(".")[0] == name})
        }
        return replace(scenario, spec=scenario.spec.model_copy(update=blocks))

    def _scenario(self, values: Point, places: dict[str, Loc]) -> Scenario:
        key = repr(values)
        if key not in self._scenarios:
            source = self._source(values, places)
            self._scenarios[key] = Scenario.of(source, self._path, self._asked, self._cache)
            if len(self._scenarios) > _KEPT:
                self._scenarios.popitem(last=False)
        self._scenarios.move_to_end(key)
        return self._scenarios[key]

    def _block(self, name: str, values: Point, places: dict[str, Loc]) -> Any:
        key = repr(values)
        if key not in self._blocks:
            self._blocks[key] = getattr(parse(self._source(values, places)), name)
        return self._blocks[key]

    def _source(self, values: Point, places: dict[str, Loc]) -> Source:
        source = self._base.copy()
        for key, value in values.items():
            source.assign(key, value, self._label(places[key]))
        return source
