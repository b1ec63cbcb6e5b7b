"""What every kind of event has in common, and the data that it compiles to.

An event is what a user writes. When it is added to a simulation it becomes *changes*, operations on
the state of the links at stated instants, and *courses*, which say how offered demand departs from
its base over time. Both are plain data, so that a simulation that holds them can be copied.
"""

from __future__ import annotations

import importlib
import pkgutil
import zlib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    field_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails

from twin.core.arrays import Bools, Floats
from twin.core.errors import InputError, Loc, did_you_mean, show
from twin.core.fields import Name, Strict, longer_than_nothing
from twin.core.units import Duration
from twin.core.validation import problems_of
from twin.events.scope import Acted, Scope, Targets, names_of
from twin.events.start import Start

if TYPE_CHECKING:
    from pathlib import Path

    from twin.events.course import Course
    from twin.events.effects import Effect
    from twin.events.watch import Watch


class Phase(IntEnum):
    """The order of things that happen at one instant."""

    CLOSE = 10
    END = 20
    START = 30
    DECIDE = 40
    EFFECT = 50


class Refusal(NamedTuple):
    """Why an event cannot happen in a network."""

    key: str
    """The key that says so; empty: all of it."""
    what: str
    suggestion: str = ""


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

    def drain(self, links: Bools) -> None:
        """Begin to move traffic away from `links`, which are up."""

    def undrain(self, links: Bools) -> None:
        """End one drain of each of `links`."""

    def extend(self, mbps: Floats) -> None:
        """Build so much more capacity, Mbit/s, [links]."""


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
    """``start`` or ``end`` in the log of events, or what happens between; empty: not logged."""
    links: Bools | None = None
    """What the log says that it touches, [links]; None: all that the event does."""
    detail: str = ""
    """What the log says of it."""


class Event(Strict):
    """Something that happens to the network. `start` counts from the start of the replay."""

    acts_on: ClassVar[Acted] = "links"
    """What its targets name; `flows` are the demand series that are routed over links."""
    draws: ClassVar[bool] = False
    """Whether it draws random numbers."""
    kinds: ClassVar[dict[str, type[Event]]] = {}
    """Kinds whose modules have been imported, by name; :func:`event_kinds` has all."""

    kind: str = Field(description="what happens")
    name: Name | None = Field(
        None,
        description="what tables call it and its random numbers are keyed by; absent: its kind and "
        "targets",
        examples=["concert"],
    )
    start: Start = Field(
        description="from the start of the replay, a date where the trace has dates, or, in a "
        "branch, `now`",
        examples=["6h", "2026-04-04T20:00"],
    )
    duration: Duration | None = Field(
        None, description="how long it lasts; absent: to the end of the replay", examples=["45min"]
    )

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

    def names(self) -> Iterator[tuple[str, Acted, Targets]]:
        """Yield the names that it uses: the key that has them, and what they are names of."""
        yield "links" if self.acts_on == "flows" else self.acts_on, self.acts_on, self.targets

    def read(self, folder: Path) -> Self:  # noqa: ARG002
        """Return it with what it names in files, relative to `folder`. Raises InputError."""
        return self

    def new_flows(self, scope: Scope) -> Iterator[str]:  # noqa: ARG002
        """Yield the flows that it brings demand to and that nothing is known of."""
        yield from ()

    def refusals(self, scope: Scope) -> Iterator[Refusal]:  # noqa: ARG002
        """Yield why it cannot happen here. What it names is there."""
        yield from ()

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

    def effects(self, scope: Scope) -> tuple[Effect, ...]:  # noqa: ARG002
        """Return what else it does over a span of time."""
        return ()

    def watch(self, scope: Scope) -> Watch | None:  # noqa: ARG002
        """Return what looks at the offered load, and lets changes follow from it."""
        return None

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
        return self._stream(scope.seed, self.name or f"{self.kind}\0{targets}")

    def random_of(self, seed: int, member: str, *more: int) -> np.random.Generator:
        """Return the stream of one thing that it acts on, keyed by that and its own name or kind.

        Whatever else it acts on, and whatever happens beside it, moves nothing. `more` are parts.
        """
        return self._stream(seed, f"{self.name or self.kind}\0{member}", *more)

    def _stream(self, seed: int, key: str, *more: int) -> np.random.Generator:
        words = [seed, EVENT_STREAM, zlib.crc32(key.encode()), *more]
        return np.random.default_rng(np.random.SeedSequence(words))


class LinkEvent(Event):
    """Something that happens to links, or to the flows over them."""

    links: Annotated[Targets, names_of("link")] = Field(
        "all",
        description="links by name or pattern, one or a list, or `all`",
        examples=[["link-1", "core-*"]],
    )

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


def event_kinds() -> dict[str, type[Event]]:
    """Return every kind, by its name in a scenario.

    Their modules are imported when somebody first asks: most runs start faster without.
    """
    _import_kinds()
    return dict(sorted(Event.kinds.items()))


@cache
def _import_kinds() -> None:
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")


def event_of(value: Any) -> Event:
    """Return the event that a block of keys describes. Raises ValueError where it is none."""
    if isinstance(value, Event):
        return value
    if not isinstance(value, dict):
        raise ValueError(f"must be a block of keys, not {show(value)}")
    kind, kinds = value.get("kind"), event_kinds()
    if isinstance(kind, str) and kind in kinds:
        try:
            return kinds[kind].model_validate(value)
        except ValidationError as error:
            # The kind says whose keys are known when a place is turned into a message.
            details = [_detail(d, (kind, *d["loc"])) for d in error.errors()]
            raise ValidationError.from_exception_data(error.title, details) from None
    if "kind" not in value:
        raise ValueError("'kind' is missing")
    hint = did_you_mean(kind, kinds) or f"known: {', '.join(kinds)}"
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
