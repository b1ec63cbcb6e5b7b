"""From a scenario as written to all that it names: found, read and checked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from twin.core import content
from twin.core.errors import InputError, Loc, Problem
from twin.core.printable import unfit
from twin.core.units import Seconds, format_duration
from twin.core.validation import problems_of
from twin.demand.extend import extended
from twin.demand.trace import Trace
from twin.engine.span import ReplaySpan
from twin.events.base import event_kinds
from twin.forecast.forecaster import Forecaster
from twin.forecast.library import ModelLibrary
from twin.forecast.names import files
from twin.routing.table import Routing
from twin.scenario import checks
from twin.scenario.cache import Cache
from twin.scenario.checks import placed, span_of, span_problems, whole_ticks
from twin.scenario.choices import Member, PolicyChoice
from twin.scenario.collected import nothing_yet
from twin.scenario.find import IN_PYTHON
from twin.scenario.given import Given
from twin.scenario.network import routing_of, topology_of, trace_of, with_new_flows
from twin.scenario.source import Source
from twin.scenario.spec import PolicySpec, ScenarioSpec, blocks
from twin.topology.topology import Topology

T = TypeVar("T")

PICKED: Loc = ("--policies",)
MOST_PROBLEMS = 20
"""Problems of one scenario that are reported at once."""


_STAND_INS: Mapping[str, Mapping[str, Any]] = {
    "events": {"kind": "surge", "start": "0s", "duration": "1s", "factor": 1},
    "policies": {"use": "static_p95"},
}
"""What is checked instead of an entry that cannot be understood, so that the others are, too."""


def parse(source: Source) -> ScenarioSpec:
    """Return what a scenario says, without what it names. Raises InputError."""
    spec, problems = parsed(source)
    if problems:
        raise InputError(_in_order(problems))
    return spec


def parsed(source: Source) -> tuple[ScenarioSpec, list[Problem]]:
    """Return the same, and what is wrong in entries of lists, for which others stand in.

    Raises InputError where more than such entries is wrong.
    """
    try:
        return ScenarioSpec.model_validate(source.data), []
    except ValidationError as error:
        found = problems_of(error, known=blocks(), tags=tuple(event_kinds()))
    problems = [_placed(problem, source) for problem in found]
    try:
        return ScenarioSpec.model_validate(_mended(source.data, found)), problems
    except (ValidationError, LookupError):
        raise InputError(_in_order(problems)) from None


def _mended(data: Mapping[str, Any], problems: Iterable[Problem]) -> dict[str, Any]:
    """Return a scenario whose entries with problems are stand-ins. Raises LookupError."""
    mended = dict(data)
    for problem in problems:
        where = problem.where
        if not isinstance(where, tuple) or len(where) < 2:
            raise LookupError(where)
        block, at = where[:2]
        if not isinstance(block, str) or block not in _STAND_INS or not isinstance(at, int):
            raise LookupError(where)
        entry = mended[block][at]
        own = entry.get("name") if isinstance(entry, Mapping) else None
        name = own if isinstance(own, str) else f"{block}-{at}"
        mended[block] = [*mended[block]]
        mended[block][at] = {**_STAND_INS[block], "name": name}
    return mended


def _placed(problem: Problem, source: Source) -> Problem:
    """Return a problem with its place; one of the scenario as a whole has only its file."""
    if problem.where:
        return source.place(problem)
    return Problem(problem.what, "", source.path, None, problem.suggestion)


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    # A problem without a line concerns its whole file, and comes last there.
    ordered = sorted(problems, key=lambda p: (str(p.file or ""), p.line or sys.maxsize))
    if len(ordered) <= MOST_PROBLEMS:
        return ordered
    rest = Problem(f"and {len(ordered) - MOST_PROBLEMS} more problems")
    return [*ordered[:MOST_PROBLEMS], rest]


class Assembled(NamedTuple):
    """A checked scenario, and what was found of what it names."""

    spec: ScenarioSpec
    trace: Trace
    span: ReplaySpan
    policies: tuple[PolicyChoice, ...]
    models: dict[str, Forecaster]
    fallback: PolicyChoice | None
    topology: Topology | None
    routing: Routing | None


class Assembly:
    """Puts a scenario together and collects the problems of everything that it names."""

    def __init__(self, source: Source, path: Path, cache: Cache, given: Given) -> None:
        self._source = source
        self._given = given
        self._path = path
        self._cache = cache
        self._folder = path.parent
        self._content = None if path == IN_PYTHON else path.parent
        self._problems: list[Problem] = []

    def assembled(self, picks: tuple[str, ...] | None) -> Assembled:
        """Return the scenario with its policies, or those picked.

        Raises InputError with all problems that can be found: what depends on what is not there is
        not looked at.
        """
        spec, self._problems = parsed(self._source)
        filed = self._try(partial(checks.with_files, spec, self._folder))
        spec = filed or spec
        spec, places = self._pick(spec, picks)
        topology = self._try(partial(topology_of, spec, self._folder, self._cache))
        if (trace := self._trace(spec, topology)) is not None and self._given.trace is None:
            spec = spec.model_copy(update={"tick": Seconds(trace.tick_s)})
        choices = [
            self._try(partial(self._choice, place, entry, spec.tick))
            for place, entry in zip(places, spec.policies, strict=True)
        ]
        fallback = None
        if spec.fallback is not None:
            spare = partial(self._member, ("fallback",), spec.fallback.use, {}, 0)
            member = self._try(spare)
            if member is not None:
                fallback = PolicyChoice(member.source.name, (member,))
                if why := unfit(fallback.name):
                    what = f"the name of policy '{fallback.name}' {why}"
                    self._say(("fallback", "use"), what, "rename its file")
        if trace is None or (topology is None and spec.topology is not None):
            self._stop_on_problems()
        assert trace is not None
        if self._given.routing is None and self._given.source is None:
            trace = with_new_flows(spec, trace, topology, self._cache)
        both = zip(choices, places, strict=True)
        known = [(choice, place) for choice, place in both if choice is not None]
        self._check_unique(known)
        routing, live, living = self._given.routing, self._given.source, self._given.living
        if routing is None:
            routing = self._try(partial(routing_of, spec, trace, topology))
            if routing is None and spec.topology is not None:
                self._stop_on_problems()
        if routing is not None and routing.flows != trace.links:
            named = f"{', '.join(routing.flows[:8])}; the trace has {', '.join(trace.links[:8])}"
            remedy = "name the columns of the matrix in the order of the trace"
            self._take([Problem(f"is for the flows {named}", ("routing",), suggestion=remedy)])
        names, samples = tuple(_name(entry) for entry in spec.policies), trace.samples
        scope = checks.scope_of(spec, trace, routing, topology, names)
        self._take(checks.link_problems(spec, scope, self._source.blamed))
        span = (
            self._try(partial(span_of, spec, trace))
            if live is None and samples
            else ReplaySpan(samples, samples, 0, endless=True)
        )
        if span is not None:
            placed_spec = self._try(partial(placed, spec, trace, span))
            if placed_spec is None:
                self._stop_on_problems()
            spec = placed_spec or spec
            # A link of a living twin may have been silent for as long as it remembers.
            begun = living and (live is not None or not samples)
            silent = () if begun else self._cache.silent(trace, span.history)
            self._take(span_problems(spec, trace, span, silent))
            self._check_schedules(known, spec, span)
        if span is None:
            self._stop_on_problems()
        assert span is not None
        if filed is not None:
            self._take(checks.event_problems(spec, span, scope))
        self._stop_on_problems()
        policies = [choice for choice, _ in known]
        every = [*policies, *([fallback] if fallback is not None else [])]
        # Where history is collected, a model is used once there is enough for it.
        history = sys.maxsize if living and spec.is_collected else span.history
        models = self._models(every, [*places, ("fallback",)][: len(every)], trace, history)
        self._stop_on_problems()
        return Assembled(spec, trace, span, tuple(policies), models, fallback, topology, routing)

    def _trace(self, spec: ScenarioSpec, topology: Topology | None) -> Trace | None:
        if self._given.trace is not None:
            return self._try(partial(extended, self._given.trace, spec.demand))
        if spec.is_collected and self._given.living:
            return self._try(partial(nothing_yet, spec, topology))
        if topology is None and spec.topology is not None:
            return None
        return self._try(partial(trace_of, spec, topology, self._folder, self._cache))

    # Problems

    def _try(self, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except InputError as error:
            self._take(error.problems)
            return None

    def _take(self, problems: Iterable[Problem]) -> None:
        self._problems += [self._source.place(problem) for problem in problems]

    def _say(self, where: Loc, what: str, suggestion: str = "") -> None:
        self._take([Problem(what, where, suggestion=suggestion)])

    def _stop_on_problems(self) -> None:
        if self._problems:
            raise InputError(_in_order(self._problems))

    # Policies and models

    def _pick(
        self, spec: ScenarioSpec, picks: tuple[str, ...] | None
    ) -> tuple[ScenarioSpec, list[Loc]]:
        """Return the spec with the policies that were asked for, and where each was written."""
        if picks is None:
            return spec, [("policies", i) for i in range(len(spec.policies))]
        own: dict[str, tuple[PolicySpec, Loc]] = {
            _name(entry): (entry, ("policies", i)) for i, entry in enumerate(spec.policies)
        }
        if not any(picks):
            raise InputError(self._source.place(Problem("names no policy", PICKED)))
        for pick in picks:
            if picks.count(pick) > 1:
                what = f"'{pick}' is picked twice"
                raise InputError(self._source.place(Problem(what, PICKED)))
        chosen = [own.get(pick, (PolicySpec(use=pick), PICKED)) for pick in picks]
        policies = tuple(entry for entry, _ in chosen)
        return spec.model_copy(update={"policies": policies}), [place for _, place in chosen]

    def _choice(self, where: Loc, entry: PolicySpec, tick_s: float) -> PolicyChoice:
        if entry.schedule is None:
            assert entry.use is not None
            if entry.use in self._given.policies and not entry.parameters:
                return replace(self._given.policies[entry.use], name=_name(entry))
            member = self._member(where, entry.use, entry.parameters, 0)
            return PolicyChoice(_name(entry), (member,))
        members = []
        for i, part in enumerate(entry.schedule):
            place = (*where, "schedule", i)
            first = whole_ticks(part.from_s, tick_s, (*place, "from"))
            members.append(self._member(place, part.use, part.parameters, first))
        return PolicyChoice(_name(entry), tuple(members), scheduled=True)

    def _member(self, where: Loc, use: str, parameters: dict[str, Any], first: int) -> Member:
        # What the caller names by path is relative to where the caller is; and a policy written
        # as a bare name has no key `use` of its own.
        picked = where == PICKED
        folder = Path() if picked and content.is_path("policies", use) else self._content
        place = where if picked or self._source.is_text(where) else (*where, "use")
        source = self._cache.policy(self._cache.find("policies", use, folder, place))
        member = Member(source, parameters, first)
        member.make(where)
        return member

    def _models(
        self, choices: Sequence[PolicyChoice], places: Sequence[Loc], trace: Trace, history: int
    ) -> dict[str, Forecaster]:
        kpis = tuple(trace.kpis)
        library = ModelLibrary(self._content, kpis, history)
        for choice, place in zip(choices, places, strict=True):
            for i, member in enumerate(choice.members):
                where = (*place, "schedule", i) if choice.scheduled else place
                announced = self._try(partial(member.source.models, member.make(), kpis))
                for model in announced or ():
                    named = [key for key, value in member.parameters.items() if value == model]
                    at = (*where, *named[:1])
                    for name in files(model, kpis):
                        self._try(partial(library.get, name, at, self._cache.model))
        return library.loaded

    # What depends on the trace

    def _check_unique(self, choices: Sequence[tuple[PolicyChoice, Loc]]) -> None:
        seen: dict[str, Loc] = {}
        for choice, place in choices:
            if why := unfit(choice.name):
                self._say(place, f"the name of policy '{choice.name}' {why}", "give it a 'name'")
            if choice.name in seen:
                where = self._source.blamed(seen[choice.name], place, "name", "use")
                self._say(where, f"a second policy is called '{choice.name}'", "give it a 'name'")
            seen.setdefault(choice.name, place)

    def _check_schedules(
        self,
        choices: Sequence[tuple[PolicyChoice, Loc]],
        spec: ScenarioSpec,
        span: ReplaySpan,
    ) -> None:
        for choice, place in choices:
            for i, member in enumerate(choice.members):
                if not span.endless and member.first >= span.intervals:
                    end = format_duration(span.intervals * spec.tick)
                    where = (*place, "schedule", i, "from")
                    self._say(where, f"is after the end of the replay, {end}")


def _name(entry: PolicySpec) -> str:
    return entry.name or Path(entry.use or "").stem
