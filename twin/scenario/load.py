"""A scenario with everything that it names: trace read, policies and models found, all checked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from twin.core import content
from twin.core.errors import InputError, Loc, Problem
from twin.core.printable import unfit
from twin.core.units import format_duration
from twin.core.validation import problems_of
from twin.demand.trace import Trace
from twin.engine.span import ReplaySpan
from twin.events.base import Event
from twin.forecast.forecaster import Forecaster
from twin.forecast.library import ModelLibrary
from twin.forecast.names import files
from twin.routing.table import Routing
from twin.scenario.cache import Cache
from twin.scenario.checks import link_problems, span_of, span_problems, warnings, whole_ticks
from twin.scenario.choices import GivenPolicy, Member, PolicyChoice
from twin.scenario.find import IN_PYTHON, read_mapping, read_source
from twin.scenario.network import routing_of, topology_of
from twin.scenario.source import Source
from twin.scenario.spec import PolicySpec, ScenarioSpec, blocks
from twin.telemetry.source import TelemetrySource
from twin.topology.topology import Topology

T = TypeVar("T")

PICKED: Loc = ("--policies",)
MOST_PROBLEMS = 20
"""Problems of one scenario that are reported at once."""


@dataclass(frozen=True, slots=True)
class Given:
    """Objects that a caller hands over instead of names."""

    policies: Mapping[str, GivenPolicy] = field(default_factory=dict)
    """By the names that stand for them."""
    trace: Trace | None = None
    source: TelemetrySource | None = None
    """What delivers telemetry as it comes, after the samples of `trace`."""
    routing: Routing | None = None


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a caller overrides in the file."""

    overrides: tuple[str, ...] = ()
    """Texts ``KEY=VALUE``."""
    policies: tuple[str, ...] | None = None
    """Names among the scenario's own first, then among the shipped, or paths."""
    seed: int | None = None
    values: tuple[tuple[str, Any], ...] = ()
    """Overrides as keys and values, from Python."""


@dataclass(frozen=True, repr=False)
class Scenario:
    """A checked scenario, ready to run."""

    spec: ScenarioSpec
    path: Path
    """The file it was read from; paths and the user's own content are looked up beside it."""
    asked: Overrides
    trace: Trace
    span: ReplaySpan
    policies: tuple[PolicyChoice, ...]
    models: dict[str, Forecaster]
    """The models that its policies announced, by the name or path they use."""
    fallback: PolicyChoice | None = None
    """What decides where a policy fails."""
    given: Given = field(default_factory=Given)
    """What was handed over as an object."""
    written: Mapping[str, Any] | None = None
    """The mapping that it was made from, if it was no file."""
    topology: Topology | None = None
    """The network, where one is stated."""
    routing: Routing | None = None
    """How the series of the trace are carried by links, where they are not links themselves."""
    source: Source | None = None
    """What was written, with the line of every key."""

    def place(self, problem: Problem) -> Problem:
        """Return a problem with the file and line of the key that it names."""
        return problem if self.source is None else self.source.place(problem)

    def __deepcopy__(self, memo: dict[int, Any]) -> Scenario:
        # Nothing here ever changes, except that models are kept once they are read.
        return self

    @property
    def links(self) -> tuple[str, ...]:
        """Names of the links: those of the trace, or those that its flows are routed over."""
        return self.trace.links if self.routing is None else self.routing.links

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may be meant, but changes what a run says."""
        return tuple(warnings(self.spec, self.links, self.span, self.topology))

    def __repr__(self) -> str:
        names = ", ".join(choice.name for choice in self.policies)
        return f"<Scenario {self.spec.name}: {len(self.trace.links)} links, {names}>"

    @property
    def folder(self) -> Path:
        """What paths are relative to."""
        return self.path.parent

    @property
    def content_folder(self) -> Path | None:
        """Where the user's own content is looked up by name; None for a scenario without a file."""
        return None if self.path == IN_PYTHON else self.path.parent

    @classmethod
    def load(
        cls,
        scenario: str | Path | Mapping[str, Any],
        asked: Overrides | None = None,
        given: Given | None = None,
        cache: Cache | None = None,
    ) -> Scenario:
        """Read and check a scenario, the trace, policies and models included.

        `scenario` is a path, the name of a shipped one, or a mapping of what a file would hold, in
        which policies may be objects. What it names is taken from `cache`, or read. Raises
        InputError with every problem found.
        """
        asked, given = asked or Overrides(), given or Given()
        if isinstance(scenario, Mapping):
            path, source, own = read_mapping(scenario)
            given = replace(given, policies={**own, **given.policies})
        else:
            path, source = read_source(scenario)
        for override in asked.overrides:
            source.override(override)
        for key, value in asked.values:
            source.assign(key, value, f"overrides:{key}")
        if asked.seed is not None:
            source.set("seed", asked.seed, "--seed")
        checked = cls.of(source, path, asked, cache, given)
        return replace(checked, written=scenario) if isinstance(scenario, Mapping) else checked

    def again(self, asked: Overrides, given: Given) -> Scenario:
        """Return the same scenario, read again with other overrides.

        Raises InputError, also for one that was made on a live source.
        """
        if self.given.source is not None:
            what = "was made on a live source, which cannot be run again"
            raise InputError(Problem(what, "scenario"))
        policies = {**self.given.policies, **given.policies}
        given = replace(self.given, policies=policies)
        written = self.path if self.written is None else self.written
        return Scenario.load(written, asked, given)

    @classmethod
    def of(
        cls,
        source: Source,
        path: Path,
        asked: Overrides,
        cache: Cache | None = None,
        given: Given | None = None,
    ) -> Scenario:
        """Check the scenario that `source`, read from `path`, holds after all changes.

        What it names is taken from `cache`, or read. Raises InputError with every problem found.
        """
        assembly = _Assembly(source, path, cache or Cache(), given or Given())
        return assembly.scenario(parse(source), asked)

    def forecaster(self, model: str) -> Forecaster:
        """Return a model by name or path. Raises InputError where it cannot be used."""
        return self.library.get(model)

    @property
    def library(self) -> ModelLibrary:
        """Its models, and others beside it or shipped, by name or path."""
        return ModelLibrary(
            self.content_folder, tuple(self.trace.kpis), self.span.history, self.models
        )


def parse(source: Source) -> ScenarioSpec:
    """Return what a scenario says, without what it names. Raises InputError."""
    try:
        return ScenarioSpec.model_validate(source.data)
    except ValidationError as error:
        problems = problems_of(error, known=blocks(), tags=tuple(Event.kinds))
        raise InputError(_in_order(source.place(problem) for problem in problems)) from None


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    # A problem without a line concerns its whole file, and comes last there.
    ordered = sorted(problems, key=lambda p: (str(p.file or ""), p.line or sys.maxsize))
    if len(ordered) <= MOST_PROBLEMS:
        return ordered
    rest = Problem(f"and {len(ordered) - MOST_PROBLEMS} more problems")
    return [*ordered[:MOST_PROBLEMS], rest]


class _Assembly:
    """Puts a scenario together and collects the problems of everything that it names."""

    def __init__(self, source: Source, path: Path, cache: Cache, given: Given) -> None:
        self._source = source
        self._given = given
        self._path = path
        self._cache = cache
        self._folder = path.parent
        self._content = None if path == IN_PYTHON else path.parent
        self._problems: list[Problem] = []

    def scenario(self, spec: ScenarioSpec, asked: Overrides) -> Scenario:
        """Return the scenario. Raises InputError with all problems found."""
        spec, places = self._pick(spec, asked.policies)
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
        trace = self._trace(spec)
        self._stop_on_problems()
        assert trace is not None
        policies = [choice for choice in choices if choice is not None]
        self._check_unique(policies, places)
        topology = self._try(partial(topology_of, spec, self._folder, self._cache))
        self._stop_on_problems()
        routing, live = self._given.routing, self._given.source
        if routing is None:
            routing = self._try(partial(routing_of, spec, trace, topology))
        self._stop_on_problems()
        flows = () if routing is None else trace.links
        links = trace.links if routing is None else routing.links
        if routing is not None and routing.flows != trace.links:
            named = f"{', '.join(routing.flows[:8])}; the trace has {', '.join(trace.links[:8])}"
            remedy = "name the columns of the matrix in the order of the trace"
            self._take([Problem(f"is for the flows {named}", ("routing",), suggestion=remedy)])
        self._take(link_problems(spec, links, flows, topology, self._source.blamed))
        samples = trace.samples
        span = (
            self._try(partial(span_of, spec, trace))
            if live is None
            else ReplaySpan(samples, samples, 0, endless=True)
        )
        if span is not None:
            self._take(span_problems(spec, trace, span, self._cache.silent(trace, span.history)))
            self._check_schedules(policies, places, spec, span)
        self._stop_on_problems()
        assert span is not None
        every = [*policies, *([fallback] if fallback is not None else [])]
        models = self._models(every, [*places, ("fallback",)][: len(every)], trace, span)
        self._stop_on_problems()
        return Scenario(
            spec, self._path, asked, trace, span, tuple(policies), models, fallback, self._given,
            None, topology, routing, self._source,
        )  # fmt: skip

    def _trace(self, spec: ScenarioSpec) -> Trace | None:
        if self._given.trace is not None:
            return self._given.trace
        tick_s = int(spec.tick)
        read = self._cache.trace
        return self._try(partial(read, spec.demand, self._folder, tick_s, spec.seed))

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
        self, choices: Sequence[PolicyChoice], places: Sequence[Loc], trace: Trace, span: ReplaySpan
    ) -> dict[str, Forecaster]:
        kpis = tuple(trace.kpis)
        library = ModelLibrary(self._content, kpis, span.history)
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

    def _check_unique(self, choices: Sequence[PolicyChoice], places: Sequence[Loc]) -> None:
        seen: dict[str, Loc] = {}
        for choice, place in zip(choices, places, strict=True):
            if why := unfit(choice.name):
                self._say(place, f"the name of policy '{choice.name}' {why}", "give it a 'name'")
            if choice.name in seen:
                where = self._source.blamed(seen[choice.name], place, "name", "use")
                self._say(where, f"a second policy is called '{choice.name}'", "give it a 'name'")
            seen.setdefault(choice.name, place)

    def _check_schedules(
        self,
        choices: Sequence[PolicyChoice],
        places: Sequence[Loc],
        spec: ScenarioSpec,
        span: ReplaySpan,
    ) -> None:
        for choice, place in zip(choices, places, strict=True):
            for i, member in enumerate(choice.members):
                if not span.endless and member.first >= span.intervals:
                    end = format_duration(span.intervals * spec.tick)
                    where = (*place, "schedule", i, "from")
                    self._say(where, f"is after the end of the replay, {end}")


def _name(entry: PolicySpec) -> str:
    return entry.name or Path(entry.use or "").stem
