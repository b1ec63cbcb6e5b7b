"""Makes the plan of a batch from its sweep: every run, checked before the first one starts."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from twin.batches.plan.identity import PointDigests
from twin.batches.plan.payload import Payload
from twin.batches.plan.plan import Plan, PlannedPoint
from twin.batches.plan.point_scenarios import PointScenarios
from twin.batches.plan.points import Point, count_of, points_of
from twin.batches.plan.spec import BLOCKS, MOST_RUNS, SweepSpec
from twin.core import content
from twin.core.errors import InputError, Loc, Problem, did_you_mean, dotted, one_of, show
from twin.core.validation import problems_of
from twin.scenario import source as yaml_source
from twin.scenario.assembly import MOST_PROBLEMS, PICKED
from twin.scenario.cache import Cache
from twin.scenario.find import read_source
from twin.scenario.given import Overrides
from twin.scenario.load import Scenario
from twin.scenario.source import Source


def plan(sweep: str | Path | dict[str, Any], cache: Cache | None = None) -> Plan:
    """Return the plan of a sweep, a file or what such a file would hold.

    Everything is checked: every point's scenario, its trace, policies and models, which are taken
    from `cache`, or read. Raises InputError with every problem found.
    """
    source = _source(sweep)
    spec = _parse(source)
    return _Planner(source, spec, cache or Cache()).plan()


def _source(sweep: str | Path | dict[str, Any]) -> Source:
    if isinstance(sweep, dict):
        return Source({"name": "batch", **sweep}, {}, None)
    path = Path(sweep)
    if not content.is_file(path):
        what = "is a folder, not a sweep" if content.is_folder(path) else "no such file"
        shipped = str(sweep) in content.shipped("scenarios")
        hint = "a sweep is a file that names a scenario" if shipped else ""
        raise InputError(Problem(what, file=path, suggestion=hint))
    source = yaml_source.read(path)
    source.data.setdefault("name", re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._"))
    if "scenario" not in source.data and "policies" in source.data:
        remedy = "'twin run' takes scenarios; a sweep names one after 'scenario:'"
        raise InputError(Problem("is a scenario, not a sweep", file=path, suggestion=remedy))
    return source


def _parse(source: Source) -> SweepSpec:
    try:
        spec = SweepSpec.model_validate(source.data)
    except ValidationError as error:
        problems = problems_of(error, known=BLOCKS)
        raise InputError([source.place(problem) for problem in problems]) from None
    if crossed := [source.place(problem) for problem in _crossed(spec)]:
        raise InputError(crossed)
    return spec


def _crossed(spec: SweepSpec) -> Iterator[Problem]:
    """Yield what is wrong between keys of a sweep that are valid one by one."""
    blocks = [key for key in ("points", "random", "latin_hypercube") if getattr(spec, key)]
    for block in blocks[1:]:
        yield Problem(f"excludes '{blocks[0]}'", (block,), suggestion="a grid can go with either")
    seen: dict[str, Loc] = {}
    for key, place in spec.places:
        if key == "seed" and place[0] != "set":
            remedy = "write 'replications', which have seeds of their own"
            yield Problem("cannot be varied", place, suggestion=remedy)
        elif key == "policies":
            remedy = "write 'policies' beside 'scenario'"
            yield Problem("cannot be varied", place, suggestion=remedy)
        elif key in seen:
            yield Problem(f"is given in '{seen[key][0]}' as well", place)
        seen[key] = place
    for key, values in spec.grid.items():
        earlier: set[Hashable] = set()
        for i, value in enumerate(values):
            same = value if isinstance(value, Hashable) else ("block", repr(value))
            if same in earlier:
                yield Problem(f"{show(value)} is there twice", ("grid", key, i))
            earlier.add(same)


class _Planner:
    """Makes the scenario of each point, and collects what is wrong with any of them."""

    def __init__(self, source: Source, spec: SweepSpec, cache: Cache) -> None:
        self._source = source
        self._spec = spec
        self._cache = cache
        self._payload = Payload()
        self._problems: dict[str, Problem] = {}

    def plan(self) -> Plan:
        path, base = self._scenario_source()
        asked = Overrides(policies=self._policies(path, base))
        base.name(PICKED, self._label(("policies",)))
        for key, value in self._spec.set.items():
            base.assign(key, value, self._label(("set", key)))
        self._check_size(count_of(self._spec))
        scenarios = PointScenarios(base, path, asked, self._label, self._cache)
        digests = PointDigests()
        points: dict[str, PlannedPoint] = {}
        first: Scenario | None = None
        random, repeated = False, 0
        for values, places in points_of(self._spec):
            scenario = self._try(scenarios, values, places)
            if scenario is None:
                continue
            first = first or scenario
            self._check_policies(first, scenario, values, places)
            random = random or _random(scenario)
            digest = digests.of(scenario)
            if digest in points:
                repeated += 1
                self._add_repeated(points[digest], values, places)
                continue
            self._payload.take(scenario)
            points[digest] = PlannedPoint(len(points), values, digest)
        if self._problems:
            raise InputError(self._problems.values())
        assert first is not None
        self._check_until(first)
        return Plan(
            self._spec,
            self._source.path,
            first,
            tuple(points.values()),
            self._payload,
            lambda point: scenarios.at(point.keys),
            random,
            repeated,
        )

    def _scenario_source(self) -> tuple[Path, Source]:
        named = self._spec.scenario
        if content.is_path("scenarios", named) and self._source.path is not None:
            named = os.path.normpath(self._source.path.parent / named)
            named = named if content.is_path("scenarios", named) else f"./{named}"
        try:
            return read_source(named)
        except InputError as error:
            if any(problem.file is not None for problem in error.problems) and content.is_file(
                Path(named)
            ):
                raise
            raise InputError(
                self._source.place(
                    Problem(problem.what, ("scenario",), suggestion=problem.suggestion)
                )
                for problem in error.problems
            ) from None

    def _policies(self, scenario: Path, base: Source) -> tuple[str, ...] | None:
        """Return the policies that are picked: paths, and what only lies beside the sweep, by path.

        A path is relative to the sweep's file. A name is the scenario's own, or is looked up beside
        the scenario, beside the sweep, and among the shipped.
        """
        picks = self._spec.policies
        if picks is None or self._source.path is None:
            return picks
        folder = self._source.path.parent
        entries = base.data.get("policies")
        own = [_entry_name(entry) for entry in entries] if isinstance(entries, list) else []

        def found(place: int, pick: str) -> str:
            if content.is_path("policies", pick):
                return str((folder / pick).resolve())
            files = (each / f"{pick}.py" for each in (scenario.parent, folder))
            if pick in own or [content.is_file(file) for file in files] != [False, True]:
                return pick
            # A user's file with a shipped name is refused here.
            return str(content.find("policies", pick, folder, ("policies", place)).resolve())

        return tuple(found(place, pick) for place, pick in enumerate(picks))

    def _try(
        self, scenarios: PointScenarios, values: Point, places: dict[str, Loc]
    ) -> Scenario | None:
        try:
            return scenarios.at(values, places)
        except InputError as error:
            for problem in error.problems:
                self._problems.setdefault(str(problem), problem)
            if len(self._problems) >= MOST_PROBLEMS:
                raise InputError(self._problems.values()) from None
            return None

    def _label(self, place: Loc) -> str:
        return str(self._source.place(Problem("", place))).rstrip(": ") or dotted(place)

    def _add_repeated(self, other: PlannedPoint, values: Point, places: dict[str, Loc]) -> None:
        # Drawn values may repeat; values that somebody wrote should not.
        if self._spec.random or self._spec.latin_hypercube:
            return
        what = f"{_values_text(values)} and {_values_text(other.keys)} are the same run"
        problem = self._source.place(Problem(what, next(iter(places.values()))))
        self._problems.setdefault(str(problem), problem)

    def _check_policies(
        self, first: Scenario, scenario: Scenario, values: Point, places: dict[str, Loc]
    ) -> None:
        # Tables compare policies by name, so that a name has to mean the same at every point.
        names, own = ([choice.name for choice in s.policies] for s in (first, scenario))
        if names == own:
            return
        key = next((key for key in values if key.startswith("policies.")), next(iter(values)))
        what = f"changes the policies, from {one_of(names, 'and')} to {one_of(own, 'and')}"
        remedy = "give the entry a 'name' in the scenario, or pick policies beside 'scenario'"
        problem = self._source.place(Problem(what, places[key], suggestion=remedy))
        self._problems.setdefault(str(problem), problem)

    def _check_size(self, points: int) -> None:
        runs = points * self._spec.replications
        if runs > MOST_RUNS:
            what = f"{runs} runs are more than the {MOST_RUNS} that a batch may hold"
            raise InputError(self._source.place(Problem(what, ("replications",))))

    def _check_until(self, scenario: Scenario) -> None:
        until = self._spec.until
        if until is None:
            return
        names = [choice.name for choice in scenario.policies]
        what = hint = ""
        where: Loc = ("until", "policy")
        if until.policy is not None and until.policy not in names:
            what = f"no policy '{until.policy}' in the scenario"
            hint = did_you_mean(until.policy, names)
        elif until.metric == "cost" and scenario.spec.prices is None:
            where, what = ("until", "metric"), "the scenario states no 'prices'"
        elif until.difference and len(names) == 1:
            where, what = ("until", "difference"), "needs a second policy"
        elif until.difference and until.policy == names[0]:
            what = f"'{names[0]}' is what differences are to"
        elif self._spec.replications <= until.block:
            where = ("replications",)
            what = f"must be more than the {until.block} of 'until.block', since it is the cap"
        if what:
            raise InputError(self._source.place(Problem(what, where, suggestion=hint)))


def _entry_name(entry: Any) -> Any:
    """Return the name of a policy as a scenario writes it."""
    return entry.get("name") or entry.get("use") if isinstance(entry, dict) else entry


def _random(scenario: Scenario) -> bool:
    links = scenario.spec.links.values()
    varied = any(link.lead_time.low < link.lead_time.high for link in links)
    drawn = any(event.draws for event in scenario.spec.events)
    return varied or drawn or scenario.spec.demand.source == "synthetic"


def _values_text(values: Point) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items()) or "the scenario as it is"
