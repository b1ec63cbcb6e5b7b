"""What every kind of event has in common, and the data that it compiles to.

An event is what a user writes. When it is added to a simulation it becomes *changes*, operations on
the state of the links at stated instants, and *courses*, which say how offered demand departs from
its base over time. Both are plain data, so that a simulation that holds them can be copied.
"""

from __future__ import annotations

import fnmatch
import zlib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    field_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails

from twin.core.arrays import Bools
from twin.core.errors import InputError, Loc, did_you_mean, show
from twin.core.fields import Name, Strict, longer_than_nothing
from twin.core.units import Duration
from twin.core.validation import problems_of
from twin.events.start import Start

if TYPE_CHECKING:
    from twin.events.course import Course
    from twin.topology.topology import Topology

Targets = Literal["all"] | tuple[str, ...]
Acted = Literal["links", "flows", "sites", "groups"]


class Phase(IntEnum):
    """The order of things that happen at one instant."""

    CLOSE = 10
    END = 20
    START = 30
    DECIDE = 40
    EFFECT = 50


class LinkState(Protocol):
    """What an operation may change: the links at the present instant; arrays are [links]."""

    def fail(self, links: Bools) -> None:
        """Begin one failure of each of `links`."""

    def repair(self, links: Bools) -> None:
        """End one failure of each of `links`; overlapping ones keep a link down."""

    def limit(
        self, key: str, start: float, links: Bools, mbps: float | None, factor: float
    ) -> None:
        """Begin a change of nominal capacity, to `mbps` or by `factor`."""

    def unlimit(self, key: str) -> None:
        """End the change of nominal capacity that began under `key`."""


class Operation(Protocol):
    """What a change does."""

    def apply(self, state: LinkState) -> None:
        """Change the state of the links."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happens at one instant."""

    time: float
    """Seconds from the start of the replay."""
    phase: Phase
    operation: Operation | None = None
    """None: nothing but an instant at which an interval is divided."""
    logged: str = ""
    """``start`` or ``end`` in the log of events; empty: not logged."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an event is compiled for."""

    links: tuple[str, ...]
    flows: tuple[str, ...]
    """Demand series: the links themselves, or what is routed over them."""
    horizon: float
    """End of the replay, seconds from its start; infinite in a live simulation."""
    seed: int
    key: str
    """Unique among the events of a simulation."""
    topology: Topology | None = None

    def known(self, what: Acted) -> tuple[str, ...]:
        """Return the names of all links, flows, sites or groups that there are."""
        if what == "links":
            return self.links
        if what == "flows":
            return self.flows
        if self.topology is None:
            return ()
        return self.topology.site_names if what == "sites" else tuple(self.topology.risk_groups)

    def mask(self, names: Targets) -> Bools:
        """Return which links `names` stands for, [links]."""
        return _mask(self.links, names)

    def flow_mask(self, names: Targets) -> Bools:
        """Return which flows `names` stands for, [flows]."""
        return _mask(self.flows, names)

    def at_sites(self, names: Targets) -> Bools:
        """Return the links that end at any of the sites `names`, [links]."""
        sites = set(_named(self.known("sites"), names))
        links = self.topology.links if self.topology is not None else ()
        touched = {link.name for link in links if {link.source, link.target} & sites}
        return np.isin(self.links, list(touched))

    def in_groups(self, names: Targets) -> Bools:
        """Return the links of the risk groups `names`, [links]."""
        groups = self.topology.risk_groups if self.topology is not None else {}
        chosen = _named(self.known("groups"), names)
        return np.isin(self.links, [link for name in chosen for link in groups[name]])


def unknown(known: tuple[str, ...], names: Targets) -> list[str]:
    """Return the names, or patterns such as ``core-*``, that stand for nothing known."""
    return [] if names == "all" else [name for name in names if not _named(known, (name,))]


def _named(known: tuple[str, ...], names: Targets) -> list[str]:
    """Return the known names that `names` stand for; a name as it is comes before a pattern."""
    if names == "all":
        return list(known)
    exact = set(known)
    return [
        each
        for name in names
        for each in ([name] if name in exact else fnmatch.filter(known, name))
    ]


def _mask(known: tuple[str, ...], names: Targets) -> Bools:
    if names == "all":
        return np.ones(len(known), dtype=np.bool_)
    return np.isin(known, _named(known, names))


def names_of(what: str) -> BeforeValidator:
    """Return what reads the names of links, sites or groups, one or several.

    `what` is the word for one of them. Of links there may be all.
    """
    several = f"'all' or a list of {what}s" if what == "link" else f"a list of {what}s"

    def read(value: Any) -> Any:
        if isinstance(value, str):
            return value if what == "link" and value == "all" else (value,)
        if not isinstance(value, list | tuple) or any(
            isinstance(i, dict | list | None) for i in value
        ):
            raise ValueError(f"must be {several}")
        if not value:
            raise ValueError(f"names no {what}; write {several}")
        return tuple(str(item) for item in value)

    return BeforeValidator(read)


class Event(Strict):
    """Something that happens to the network. `start` counts from the start of the replay."""

    acts_on: ClassVar[Acted] = "links"
    """What its targets name; `flows` are the demand series that are routed over links."""
    kinds: ClassVar[dict[str, type[Event]]] = {}
    """Every kind that has been defined, by its name in a scenario."""

    kind: str
    name: Name | None = None
    start: Start
    duration: Duration | None = Field(None, description="absent: to the end of the replay")

    _takes_time = field_validator("duration")(longer_than_nothing)

    def __init__(self, **fields: Any) -> None:
        """Make an event in Python. Raises InputError, in a sentence, for keys it cannot have."""
        try:
            super().__init__(**fields)
        except ValidationError as error:
            known: dict[Loc, list[str]] = {(): [n for n in type(self).model_fields if n != "kind"]}
            where = (type(self).__name__,)
            raise InputError(problems_of(error, prefix=where, known=known)) from None

    # Checking a scenario does not pass here: there, problems have places in a file.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Make the kind known under the default of its field `kind`."""
        super().__pydantic_init_subclass__(**kwargs)
        kind = cls.model_fields["kind"].default
        if isinstance(kind, str):
            Event.kinds[kind] = cls

    # What a kind says of itself

    @property
    def targets(self) -> Targets:
        """Names of what it acts on."""
        return "all"

    def touched(self, scope: Scope) -> Bools:
        """Return the links that it acts on, or the flows where it acts on these."""
        return (
            scope.flow_mask(self.targets) if self.acts_on == "flows" else scope.mask(self.targets)
        )

    def begin(self, scope: Scope) -> Operation | None:  # noqa: ARG002
        """Return what happens when it starts."""
        return None

    def finish(self, scope: Scope) -> Operation | None:  # noqa: ARG002
        """Return what happens when it ends."""
        return None

    def instants(self) -> tuple[float, ...]:
        """Return the other times at which its course changes, which divide an interval."""
        return ()

    def courses(self, scope: Scope) -> tuple[Course, ...]:  # noqa: ARG002
        """Return how it changes the offered demand."""
        return ()

    @property
    def rivals(self) -> Hashable:
        """What it has in common with the events that it may clash with; None: it clashes with none.

        Only those that have the same are asked for :meth:`clashes`.
        """
        return None

    def clashes(self, earlier: Event, links: Sequence[str]) -> Iterator[str]:  # noqa: ARG002
        """Yield why it cannot stand beside an earlier event, one text for each link of `links`.

        A text ends where the place of the earlier event is to follow.
        """
        yield from ()

    # What all kinds share

    @property
    def begins(self) -> float:
        """Its start, seconds. Raises ValueError for one whose start is still ``now`` or a date."""
        if self.start is None:
            raise ValueError("an event that starts now has no start before it is added")
        if isinstance(self.start, datetime):
            raise ValueError("an event at a date has no start before it is in a replay")
        return self.start

    def end(self, horizon: float) -> float:
        """Return when it ends, `horizon` where it states no duration."""
        return horizon if self.duration is None else self.begins + self.duration

    def changes(self, scope: Scope) -> Iterator[Change]:
        """Yield what it does to the links, and when."""
        yield Change(self.begins, Phase.START, self.begin(scope), "start")
        end = self.end(scope.horizon)
        if end < scope.horizon:
            yield Change(end, Phase.END, self.finish(scope), "end")
        for time in self.instants():
            if time < scope.horizon:
                yield Change(time, Phase.START)

    def random(self, scope: Scope) -> np.random.Generator:
        """Return its own stream of random numbers.

        Keyed by its name, or by its kind and links, and never by its place among the events: what
        is added beside it moves nothing.
        """
        targets = "all" if self.targets == "all" else "\0".join(self.targets)
        key = zlib.crc32((self.name or f"{self.kind}\0{targets}").encode())
        return np.random.default_rng(np.random.SeedSequence([scope.seed, EVENT_STREAM, key]))


class LinkEvent(Event):
    """Something that happens to links, or to the flows over them."""

    links: Annotated[Targets, names_of("link")] = "all"

    @property
    def targets(self) -> Targets:
        """Names of what it acts on."""
        return self.links


EVENT_STREAM = 0xE7E7
"""Random stream of events, beside the seed."""


def clashes(
    events: Sequence[Event], links: Sequence[str], first: int = 0
) -> Iterator[tuple[int, Event, Event, str]]:
    """Yield each event from number `first` on that cannot stand beside one before it.

    With its number, that event and why, as in :meth:`Event.clashes`.
    """
    rivals: dict[Hashable, list[Event]] = {}
    for number, event in enumerate(events):
        if event.rivals is None:
            continue
        others = rivals.setdefault(event.rivals, [])
        if number >= first:
            for other in others:
                for why in event.clashes(other, links):
                    yield number, event, other, why
        others.append(event)


def event_of(value: Any) -> Event:
    """Return the event that a block of keys describes. Raises ValueError where it is none."""
    if isinstance(value, Event):
        return value
    if not isinstance(value, dict):
        raise ValueError(f"must be a block of keys, not {show(value)}")
    kind = value.get("kind")
    if isinstance(kind, str) and kind in Event.kinds:
        try:
            return Event.kinds[kind].model_validate(value)
        except ValidationError as error:
            # The kind says whose keys are known when a place is turned into a message.
            details = [_detail(d, (kind, *d["loc"])) for d in error.errors()]
            raise ValidationError.from_exception_data(error.title, details) from None
    if "kind" not in value:
        raise ValueError("'kind' is missing")
    hint = did_you_mean(kind, Event.kinds) or f"known: {', '.join(Event.kinds)}"
    what = f"unknown kind {show(kind)}; {hint}"
    what = what if isinstance(kind, str) else f"must be text, not {show(kind)}"
    refused = InitErrorDetails(
        type="value_error", loc=("kind",), input=kind, ctx={"error": ValueError(what)}
    )
    raise ValidationError.from_exception_data("Event", [refused])


def _detail(detail: ErrorDetails, loc: Loc) -> InitErrorDetails:
    context = detail.get("ctx", {})
    return InitErrorDetails(type=detail["type"], loc=loc, input=detail["input"], ctx=context)


AnyEvent = Annotated[SerializeAsAny[Event], BeforeValidator(event_of)]
"""An event of any kind, also of one that is defined after this."""
