"""Branches: what differs from a stated instant of a scenario on.

A branch makes another scenario of the one that it leaves, its trunk: with more events, other links,
other policies and other values of keys. All of that begins at the fork or later, so that trunk and
branch have the same past.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from twin.core import content
from twin.core.errors import InputError, Loc, Problem, did_you_mean
from twin.core.fields import Name, Strict
from twin.core.units import format_duration
from twin.core.validation import problems_of
from twin.engine.links import LinkSpec
from twin.events.base import AnyEvent, Event, event_kinds
from twin.scenario import source as yaml_source
from twin.scenario.choices import PolicyChoice
from twin.scenario.find import read_mapping, read_source
from twin.scenario.load import Scenario
from twin.scenario.source import Source
from twin.scenario.spec import PolicySpec, blocks, policy_entry

_CHANGEABLE = ("events", "links")
"""Blocks whose keys a branch may override: all others decide the past as well."""


_TAKEN = ("trunk", "branches.csv", "manifest.json", "report.html")
"""Names that something else has in the folder of a fork."""


class BranchSpec(Strict):
    """A branch as written."""

    name: Name
    events: tuple[AnyEvent, ...] = ()
    links: dict[str, LinkSpec] = Field(default={})
    policies: tuple[Annotated[PolicySpec, BeforeValidator(policy_entry)], ...] = ()
    overrides: dict[str, Any] = Field(default={})


@dataclass(frozen=True)
class Branch:
    """A scenario that differs from its trunk from the fork on."""

    name: str
    scenario: Scenario
    cancelled: tuple[int, ...]
    """Events of the trunk that do not happen, or happen otherwise, by number."""
    added: tuple[Event, ...]
    """Events that the trunk does not have."""
    successors: tuple[PolicyChoice, ...]
    """Policies that take over from those of the same name."""
    relinked: bool
    """Whether the settings of links change."""


def read_branch(trunk: Scenario, branch: str | Path | Mapping[str, Any], at: float) -> Branch:
    """Return a branch of a scenario from `at` seconds of the replay on.

    `branch` is a file, or a mapping of what it would hold. Raises InputError with every problem.
    """
    if isinstance(branch, Mapping):
        source = Source({"name": "branch", **branch}, {}, None)
    else:
        path = Path(branch)
        if not content.is_file(path):
            siblings = path.parent.glob("*.y*ml") if content.is_folder(path.parent) else ()
            hint = did_you_mean(path.name, [sibling.name for sibling in siblings])
            raise InputError(Problem("no such file", file=path, suggestion=hint))
        source = yaml_source.read(path)
        source.data.setdefault("name", path.stem)
    return _Branching(trunk, source, at).branch()


class _Branching:
    """Makes the scenario of a branch, and says what in it would change the past."""

    def __init__(self, trunk: Scenario, source: Source, at: float) -> None:
        self._trunk, self._source, self._at = trunk, source, at
        self._fork = format_duration(at)
        self._problems: list[Problem] = []

    def branch(self) -> Branch:
        """Return the branch. Raises InputError with every problem found."""
        spec = self._parsed()
        self._check(spec)
        merged = self._merged(spec)
        self._stop_on_problems()
        trunk = self._trunk
        scenario = Scenario.of(merged, trunk.path, trunk.asked, given=trunk.given)
        before, events = trunk.spec.events, scenario.spec.events
        changed = tuple(i for i, event in enumerate(before) if events[i] != event)
        for i in changed:
            if min(before[i].begins, events[i].begins) < self._at:
                key = next(key for key in spec.overrides if key.split(".")[1] == str(i))
                what = f"changes an event that begins before the fork at {self._fork}"
                self._say(("overrides", key), what)
        for i, event in enumerate(events[len(before) :]):
            if event.begins < self._at:
                what = f"is before the fork at {self._fork}"
                self._say(("events", i, "start"), what, "write 'now', or a later time")
        self._stop_on_problems()
        names = {entry.name for entry in spec.policies}
        return Branch(
            spec.name,
            scenario,
            changed,
            (*(events[i] for i in changed), *events[len(before) :]),
            tuple(choice for choice in scenario.policies if choice.name in names),
            scenario.spec.links != trunk.spec.links,
        )

    def _parsed(self) -> BranchSpec:
        try:
            return BranchSpec.model_validate(self._source.data)
        except ValidationError as error:
            known = {place: keys for place, keys in blocks().items() if place}
            known[()] = list(BranchSpec.model_fields)
            problems = problems_of(error, known=known, tags=tuple(event_kinds()))
            raise InputError([self._source.place(problem) for problem in problems]) from None

    def _check(self, spec: BranchSpec) -> None:
        for i, event in enumerate(spec.events):
            if isinstance(event.start, float) and event.start < self._at:
                what = f"is before the fork at {self._fork}"
                self._say(("events", i, "start"), what, "write 'now', or a later time")
        if spec.name in _TAKEN:
            self._say(("name",), f"'{spec.name}' is taken", "give it another 'name'")
        for key in spec.overrides:
            if key in _CHANGEABLE:
                example = "events.0.factor" if key == "events" else "links.link-1.capacity_mbps"
                what = f"replaces all of '{key}'"
                self._say(("overrides", key), what, f"name what changes, such as {example}")
            elif key.split(".")[0] not in _CHANGEABLE:
                remedy = f"a branch overrides keys of {' and '.join(_CHANGEABLE)}"
                self._say(("overrides", key), "decides what was before the fork too", remedy)
        names = [choice.name for choice in self._trunk.policies]
        for i, entry in enumerate(spec.policies):
            if entry.name in [each.name for each in spec.policies[:i]]:
                self._say(("policies", i), f"a second policy takes over from '{entry.name}'")
            if entry.name not in names:
                what = "must have the 'name' of the policy that it takes over from"
                listed = did_you_mean(entry.name, names) or f"there are: {', '.join(names)}"
                self._say(("policies", i), what, listed)

    def _merged(self, spec: BranchSpec) -> Source:
        """Return the trunk's scenario as written, with what the branch says."""
        trunk, branch = self._trunk, self._source.data
        merged = _written(trunk)
        merged.data["seed"] = trunk.spec.seed
        for key, value in spec.overrides.items():
            merged.assign(key, value, self._label(("overrides", key)))
        events = [*(merged.data.get("events") or ())]
        for i, event in enumerate(branch.get("events") or ()):
            merged.name(("events", len(events)), self._label(("events", i)))
            events.append(self._begun(event, spec.events[i]))
        links = {**(merged.data.get("links") or {})}
        for link, stated in (branch.get("links") or {}).items():
            merged.name(("links", link), self._label(("links", link)))
            links[link] = {**(links.get(link) or {}), **stated}
        policies = [policy_entry(entry) for entry in merged.data["policies"]]
        for i, entry in enumerate(spec.policies):
            names = [_named(each) for each in policies]
            place = names.index(entry.name) if entry.name in names else len(policies)
            merged.name(("policies", place), self._label(("policies", i)))
            policies[place : place + 1] = [branch["policies"][i]]
        merged.data |= {"events": events, "links": links, "policies": policies}
        return merged

    def _begun(self, written: Any, event: Event) -> Any:
        """Return an event as written, with the fork in the place of ``now``."""
        if event.start is not None:
            return written
        if isinstance(written, Event):
            return written.model_copy(update={"start": self._at})
        return written | {"start": self._fork}

    def _say(self, where: Loc, what: str, suggestion: str = "") -> None:
        self._problems.append(self._source.place(Problem(what, where, suggestion=suggestion)))

    def _stop_on_problems(self) -> None:
        if self._problems:
            raise InputError(self._problems)

    def _label(self, where: Loc) -> str:
        """Return how a message names a place of the branch."""
        return str(self._source.place(Problem("", where))).rstrip(": ")


def _written(trunk: Scenario) -> Source:
    """Return what a scenario was made from, with what its caller overrides."""
    if trunk.given.source is not None and trunk.source is not None:
        # What a file says now need not be what a live simulation began with.
        return trunk.source.copy()
    if trunk.written is None:
        _, merged = read_source(trunk.path)
    else:
        _, merged, _ = read_mapping(trunk.written)
    for text in trunk.asked.overrides:
        merged.override(text)
    for key, value in trunk.asked.values:
        merged.assign(key, value, f"overrides:{key}")
    return merged


def _named(entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return str(entry)
    return str(entry.get("name") or Path(str(entry.get("use") or "")).stem)
