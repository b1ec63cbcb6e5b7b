"""A scenario with everything that it names: trace read, policies and models found, all checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from twin.core.errors import InputError, Problem
from twin.demand.trace import Trace
from twin.engine.span import ReplaySpan
from twin.events.scope import Scope
from twin.forecast.forecaster import Forecaster
from twin.forecast.library import ModelLibrary
from twin.routing.table import Routing
from twin.scenario.assembly import Assembly
from twin.scenario.cache import Cache
from twin.scenario.checks import scope_of, warnings
from twin.scenario.choices import PolicyChoice
from twin.scenario.find import IN_PYTHON, read_mapping, read_source
from twin.scenario.given import Given, Overrides
from twin.scenario.network import routing_of
from twin.scenario.source import Source
from twin.scenario.spec import ScenarioSpec
from twin.topology.topology import Topology


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
    def scope(self) -> Scope:
        """What events may name here."""
        names = tuple(choice.name for choice in self.policies)
        return scope_of(self.spec, self.trace, self.routing, self.topology, names)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may be meant, but changes what a run says."""
        own = warnings(self.spec, self.trace, self.links, self.span, self.topology)
        return *self.trace.warnings, *own

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
        given = given or Given()
        assembly = Assembly(source, path, cache or Cache(), given)
        found = assembly.assembled(asked.policies)
        return cls(path=path, asked=asked, given=given, source=source, **found._asdict())

    def with_flows(self, names: tuple[str, ...]) -> Scenario:
        """Return the scenario of a matrix with more flows, which carry nothing."""
        trace = self.trace.with_flows(names)
        return replace(self, trace=trace, routing=routing_of(self.spec, trace, self.topology))

    def forecaster(self, model: str) -> Forecaster:
        """Return a model by name or path. Raises InputError where it cannot be used."""
        return self.library.get(model)

    @property
    def library(self) -> ModelLibrary:
        """Its models, and others beside it or shipped, by name or path."""
        return ModelLibrary(
            self.content_folder, tuple(self.trace.kpis), self.span.history, self.models
        )
