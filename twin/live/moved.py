"""A scenario as a living twin runs it: on a live source, and moved on where it begins anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import twin
from twin.core.errors import InputError, Problem
from twin.core.units import format_duration
from twin.demand.trace import Trace
from twin.engine.span import ReplaySpan
from twin.events.base import Event
from twin.results.resolved import resolved_scenario
from twin.scenario.choices import Member, PolicyChoice
from twin.scenario.given import Given
from twin.scenario.load import Scenario
from twin.telemetry.source import LiveSource

_FALLBACK = {"use": "rolling_max", "after": 12}
"""What decides where a policy fails and the scenario states no fallback: for that tick, and for
good after so many failures."""
_EPOCH = datetime(1970, 1, 1)
_RISES: Final = ("ramp", "cutover")
"""Keys of events that come to stay: how long they take to."""


def living_scenario(scenario: Scenario, history: Trace, begins: datetime | None) -> Scenario:
    """Return a scenario with `history` as its past, and its present at the instant `begins`.

    Policies that see the future are left out; where one fails, a fallback decides. Raises
    InputError.
    """
    if scenario.spec.demand.extend is not None:
        what = "has no meaning for a living twin, which is told what comes"
        raise InputError(scenario.place(Problem(what, ("demand", "extend"))))
    assert scenario.source is not None
    source = scenario.source.copy()
    for key in ("replay", "time_limit"):
        source.data.pop(key, None)
    source.data["tick"] = format_duration(history.tick_s)
    source.data.setdefault("fallback", dict(_FALLBACK))
    # Events at dates are placed by when the live began.
    ends = timedelta(seconds=history.samples * history.tick_s)
    placed = history if begins is None else replace(history, starts=begins - ends)
    policies, routing = scenario.given.policies, scenario.given.routing
    given = Given(policies, placed, LiveSource(placed), routing, living=True)
    asked = replace(scenario.asked, policies=_without_bounds(scenario))
    return Scenario.of(source, scenario.path, asked, None, given)


def _without_bounds(scenario: Scenario) -> tuple[str, ...]:
    """Return the policies of a scenario, as they are asked for, that do not see the future."""
    names = scenario.asked.policies or tuple(choice.name for choice in scenario.policies)
    kept = tuple(
        name for name, choice in zip(names, scenario.policies, strict=True) if not choice.bound
    )
    if not kept:
        what = "has none that decides without seeing the future"
        raise InputError(scenario.place(Problem(what, ("policies",))))
    return kept


def stored(scenario: Scenario) -> str:
    """Return a living scenario as YAML from which :func:`restored` makes it again."""
    return resolved_scenario(replace(scenario, given=replace(scenario.given, trace=None)))


def identity(scenario: Scenario) -> str:
    """Return a digest of what decides beside the samples: scenario, policies, models, version."""
    chosen = [*scenario.policies, *([scenario.fallback] if scenario.fallback else [])]
    parts = [
        stored(scenario),
        *(member.source.digest for choice in chosen for member in choice.members),
        *(f"{name} {model.card.sha256}" for name, model in sorted(scenario.models.items())),
        twin.__version__,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def moved_on(
    scenario: Scenario,
    source: LiveSource,
    intervals: int,
    added: tuple[Event, ...] = (),
    fitted: int | None = None,
) -> Scenario:
    """Return a living scenario as it goes on so many intervals after it began.

    What `source` has is its history, of which policies learn from the first `fitted` samples, by
    default from all. Events and schedules go on where they are: what is over is
    left out, and an event under way has the rest of its duration. `added` are further events, with
    their starts from now on.
    """
    offset = float(intervals * source.tick_s)
    events = (*_later(scenario.spec.events, offset), *added)
    samples = source.history.samples
    return replace(
        scenario,
        spec=scenario.spec.model_copy(update={"events": events}),
        trace=source.history,
        span=ReplaySpan(fitted or samples, samples, 0, endless=True),
        policies=tuple(_scheduled_later(choice, intervals) for choice in scenario.policies),
        given=replace(scenario.given, trace=source.history, source=source),
    )


def events_later(events: tuple[Event, ...], offset: float) -> tuple[Event, ...]:
    """Return events as seconds from an instant `offset` on, without those that are over."""
    return tuple(_later(events, offset))


def under_way(events: tuple[Event, ...], now: float) -> bool:
    """Return whether any event has begun and neither ended nor, without an end, come to stay."""
    return any(event.begins < now < _settles(event) for event in events)


def _settles(event: Event) -> float:
    """Return when an event ends, or is fully there where it does not."""
    end = event.end(float("inf"))
    if end < float("inf"):
        return end
    return event.begins + sum(getattr(event, key, 0.0) for key in _RISES)


def _later(events: tuple[Event, ...], offset: float) -> Iterator[Event]:
    for event in events:
        end = event.end(float("inf"))
        if end <= offset:
            continue
        start = max(event.begins - offset, 0.0)
        changed: dict[str, object] = {"start": start}
        if event.duration is not None:
            changed["duration"] = type(event.duration)(end - offset - start)
        elif _settles(event) <= offset:
            # It does not rise again.
            rises = {key: getattr(event, key) for key in _RISES if hasattr(event, key)}
            changed |= {key: type(rise)(0) for key, rise in rises.items()}
        yield event.model_copy(update=changed)


def _scheduled_later(choice: PolicyChoice, intervals: int) -> PolicyChoice:
    """Return a schedule that begins with the member that decides after so many intervals."""
    if not choice.scheduled or not intervals:
        return choice
    begun = [member for member in choice.members if member.first <= intervals]
    rest = [member for member in choice.members if member.first > intervals]
    members: list[Member] = [replace(begun[-1], first=0)]
    members += [replace(member, first=member.first - intervals) for member in rest]
    return replace(choice, members=tuple(members))


def zero_of(trace: Trace) -> datetime | None:
    """Return when sample 0 of a trace begins, in UTC and without saying so; None: nobody knows."""
    starts = trace.starts
    if starts is None or starts.tzinfo is None:
        return starts
    return starts.astimezone(UTC).replace(tzinfo=None)


def unix_ms(moment: datetime) -> int:
    """Return a time in UTC as milliseconds since 1970."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment_of(unix_s: float) -> datetime:
    """Return seconds since 1970 as a time in UTC, which does not say so."""
    return _EPOCH + timedelta(seconds=unix_s)
