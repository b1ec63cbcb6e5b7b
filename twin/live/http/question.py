"""What a client may ask: the body of a what-if, checked before anything is forked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.fields import Integer, Strict
from twin.core.units import DAY_S, Duration, format_duration, seconds
from twin.core.validation import problems_of
from twin.engine.links import LinkSpec
from twin.events.base import AnyEvent, Event, event_kinds
from twin.live.wanted import questionable, shipped_policies

MOST_BYTES: Final = 256 * 1024
LONGEST_S: Final = DAY_S
_MOST_EVENTS: Final = 50
_MOST_POLICIES: Final = 20
_MOST_JOINING: Final = 4
"""Policies that the twin does not have: each has to learn, and goes its way by itself."""
_MOST_NESTED: Final = 20
_MOST_DIGITS: Final = 40
_MOST_TOLD: Final = 10
"""Unknown names that are told, and one more."""
_READS_FILES: Final = ("path",)
"""Keys of events that name a file: a request reaches none."""


def _name_or_entry(value: Any) -> Any:
    if not isinstance(value, str | dict):
        raise ValueError("must be a name, or a block of keys")
    return value


NameOrEntry = Annotated[str | dict[str, Any], BeforeValidator(_name_or_entry)]


class WhatIfQuestion(Strict):
    """What if, from now on: these events happen, to these links, under these policies."""

    events: tuple[AnyEvent, ...] = Field(
        (), description="as in a scenario; `start` is from now, and now if absent"
    )
    links: dict[str, LinkSpec] = Field(
        {}, description="what is set otherwise, as in a scenario, such as `capacity_mbps`"
    )
    policies: (
        tuple[Annotated[str | dict[str, Any], BeforeValidator(_name_or_entry)], ...] | None
    ) = Field(
        None,
        min_length=1,
        max_length=_MOST_POLICIES,
        description="of this twin, or shipped ones, by name or as an entry of a scenario, which "
        "take over from the one of their name, else from the one that acts; absent: all",
    )
    for_s: Duration = Field(seconds("6h"), alias="for")
    replications: Annotated[Integer, Field(ge=2, le=500)] = Field(
        50, description="demand paths that are drawn from the forecast"
    )
    seed: Annotated[Integer, Field(ge=0, lt=2**63)] = 1

    def written_links(self) -> dict[str, Any]:
        """Return `links` as they were written."""
        return {
            name: link.model_dump(mode="json", by_alias=True, exclude_unset=True)
            for name, link in self.links.items()
        }

    @field_validator("for_s")
    @classmethod
    def _not_for_ever(cls, value: float) -> float:
        if not 0 < value <= LONGEST_S:
            what = "longer than 0s" if not value else f"at most {format_duration(LONGEST_S)}"
            raise ValueError(f"must be {what}, not '{format_duration(value)}'")
        return value

    @field_validator("events")
    @classmethod
    def _not_too_many(cls, value: tuple[Event, ...]) -> tuple[Event, ...]:
        if len(value) > _MOST_EVENTS:
            raise ValueError(f"holds {len(value)} events; at most {_MOST_EVENTS} are taken")
        return value


def read_question(
    body: bytes, *, policies: tuple[str, ...], links: tuple[str, ...]
) -> WhatIfQuestion:
    """Return the question that a body asks of a twin. Raises InputError with every problem."""
    block = _json_block(body)
    _start_now(block.get("events"))
    try:
        question = WhatIfQuestion.model_validate(block)
    except ValidationError as error:
        kinds: dict[tuple[int | str, ...], list[str]] = {
            ("events", "*", kind): [f.alias or key for key, f in spec.model_fields.items()]
            for kind, spec in event_kinds().items()
        }
        top = [f.alias or key for key, f in WhatIfQuestion.model_fields.items()]
        keys = list(LinkSpec.model_fields)
        known: dict[tuple[int | str, ...], list[str]] = {(): top, ("links", "*"): keys, **kinds}
        raise InputError(problems_of(error, known=known, tags=tuple(event_kinds()))) from None
    problems = [
        *_policies(question.policies or (), policies),
        *_unknown("links", tuple(question.links), ("defaults", *links), "link of this twin"),
        *_files(question.events),
    ]
    if problems:
        raise InputError(problems)
    return question


def _start_now(events: Any) -> None:
    """Let events that do not say when they start do so now, where their kind has to start."""
    for event in events if isinstance(events, list) else ():
        kind = event.get("kind") if isinstance(event, dict) else None
        spec = event_kinds().get(kind) if isinstance(kind, str) else None
        if spec is not None and spec.model_fields["start"].is_required():
            event.setdefault("start", "now")


def _json_block(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode("utf-8")
        block = json.loads(text or "{}", parse_constant=_no_constant, parse_int=_whole)
    except UnicodeDecodeError:
        raise InputError(Problem("is not text in UTF-8", "body")) from None
    except json.JSONDecodeError as error:
        where = f"body: line {error.lineno}"
        raise InputError(Problem(f"is not JSON: {error.msg}", where)) from None
    except RecursionError:
        raise InputError(Problem("is nested too deeply", "body")) from None
    if not isinstance(block, dict):
        raise InputError(Problem("must be a block of keys", "body"))
    if _depth(block) > _MOST_NESTED:
        raise InputError(Problem("is nested too deeply", "body"))
    return block


def _no_constant(name: str) -> float:
    raise InputError(Problem(f"{name} is no number of JSON", "body"))


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise InputError(Problem(f"holds a number of {len(digits):,} digits", "body"))
    return int(digits)


def _depth(block: Any) -> int:
    depth, level = 0, [block]
    while level and depth <= _MOST_NESTED:
        depth += 1
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.values()
            elif isinstance(value, list):
                inner += value
        level = inner
    return depth


def _policies(asked: tuple[str | dict[str, Any], ...], known: tuple[str, ...]) -> Iterator[Problem]:
    shipped = shipped_policies()
    names = tuple(each for each in asked if isinstance(each, str))
    yield from _unknown("policies", names, (*known, *shipped), "policy of this twin, or shipped",
                        [i for i, each in enumerate(asked) if isinstance(each, str)])  # fmt: skip
    for i, each in enumerate(asked):
        if isinstance(each, dict):
            yield from questionable(each, i)
    joining = [each for each in asked if isinstance(each, dict) or each not in known]
    if len(joining) > _MOST_JOINING:
        what = f"holds {len(joining)} policies that have to learn; at most {_MOST_JOINING} are "
        yield Problem(what + "taken", ("policies",), None, None, "ask twice")


def _unknown(
    key: str,
    names: tuple[str, ...],
    known: tuple[str, ...],
    noun: str,
    places: Sequence[int | str] | None = None,
) -> Iterator[Problem]:
    there, wrong = set(known), 0
    for name, place in zip(names, names if places is None else places, strict=True):
        if name not in there:
            yield Problem(f"'{name[:100]}' is no {noun}", (key, place), None, None,
                          did_you_mean(name, known))  # fmt: skip
            wrong += 1
            if wrong > _MOST_TOLD:
                return


def _files(events: tuple[Event, ...]) -> Iterator[Problem]:
    for i, event in enumerate(events):
        for key in _READS_FILES:
            if getattr(event, key, None) is not None:
                yield Problem("a request can name no file", ("events", i, key), None, None,
                              "write its content")  # fmt: skip
