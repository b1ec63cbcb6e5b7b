"""Which events cannot be added to a simulation that is under way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.units import format_duration
from twin.engine.span import ReplaySpan
from twin.events.base import Event, Scope, clashes, unknown
from twin.events.dates import in_replay
from twin.telemetry.source import TelemetrySource


def begun(
    events: Sequence[Event], now: float, source: TelemetrySource, span: ReplaySpan
) -> list[Event]:
    """Return events with their starts in seconds from the start of the replay.

    Raises InputError for a date that is not in it.
    """
    starts = source.starts
    if starts is not None:
        starts += timedelta(seconds=span.first * source.tick_s)
    at_once = [e.model_copy(update={"start": now}) if e.start is None else e for e in events]
    return [*in_replay(at_once, starts, source.timezone)]


def refuse_late(event: Event, now: float, horizon: float) -> None:
    """Raise InputError for an event that would have begun already, or begins after the end."""
    if event.begins < now:
        begins = format_duration(event.begins)
        what = f"would have begun at {begins}, and it is {format_duration(now)}"
        raise InputError(Problem(what, _name(event), suggestion="write 'now', or a later time"))
    if event.begins > horizon:
        what = f"is after the end of the replay, {format_duration(horizon)}"
        raise InputError(Problem(what, _name(event)))


def refuse_unknown(event: Event, scope: Scope) -> None:
    """Raise InputError for an event on a link, a flow, a site or a group that there is not."""
    known = scope.known(event.acts_on)
    for name in unknown(known, event.targets):
        what = f"there is no {event.acts_on.removesuffix('s')} '{name}'"
        hint = did_you_mean(name, known) or f"there are: {', '.join(known[:8])}"
        raise InputError(Problem(what, _name(event), suggestion=hint))


def refuse_clashing(
    events: Sequence[Event], earlier: Sequence[Event], links: tuple[str, ...]
) -> None:
    """Raise InputError for an event that cannot stand beside an earlier one, or one before it."""
    names = {event.name for event in earlier if event.name is not None}
    for event in events:
        if event.name in names:
            raise InputError(Problem(f"a second event is called '{event.name}'", _name(event)))
        if event.name is not None:
            names.add(event.name)
    for _, event, other, clash in clashes([*earlier, *events], links, len(earlier)):
        raise InputError(Problem(f"{clash} {_name(other)}", _name(event)))


def _name(event: Event) -> str:
    return event.name or type(event).__name__
