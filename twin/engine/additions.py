"""Which events cannot be added to a simulation that is under way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.units import format_duration
from twin.engine.span import ReplaySpan
from twin.events.base import Event, clashes
from twin.events.dates import in_replay
from twin.events.scope import Scope, unknown
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


def refuse(added: Sequence[Event], earlier: Sequence[Event], now: float, scope: Scope) -> None:
    """Raise InputError for the first of the events that cannot be added beside the earlier ones."""
    for event in added:
        _refuse_late(event, now, scope.horizon)
        _refuse_unknown(event, scope)
        _refuse_impossible(event, scope)
    _refuse_clashing(added, earlier, scope.links)


def _refuse_late(event: Event, now: float, horizon: float) -> None:
    """Raise InputError for an event that would have begun already, or begins after the end."""
    if event.begins < now:
        begins = format_duration(event.begins)
        what = f"would have begun at {begins}, and it is {format_duration(now)}"
        raise InputError(Problem(what, _name(event), suggestion="write 'now', or a later time"))
    if event.begins > horizon:
        what = f"is after the end of the replay, {format_duration(horizon)}"
        raise InputError(Problem(what, _name(event)))


def _refuse_unknown(event: Event, scope: Scope) -> None:
    """Raise InputError for an event that names what there is not, such as a link."""
    for _, kind, names in event.names():
        known = scope.known(kind)
        for name in unknown(known, names):
            word = "policy" if kind == "policies" else kind.removesuffix("s")
            hint = did_you_mean(name, known) or f"there are: {', '.join(known[:8])}"
            problem = Problem(f"there is no {word} '{name}'", _name(event), suggestion=hint)
            raise InputError(problem)


def _refuse_impossible(event: Event, scope: Scope) -> None:
    """Raise InputError for an event that cannot happen in this network."""
    for refusal in event.refusals(scope):
        where = f"{_name(event)}.{refusal.key}".rstrip(".")
        raise InputError(Problem(refusal.what, where, suggestion=refusal.suggestion))


def _refuse_clashing(
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
