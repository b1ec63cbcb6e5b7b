"""Which events cannot be added to a simulation that is under way."""

from __future__ import annotations

from collections.abc import Iterable

from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.units import format_duration
from twin.events.base import Event, Scope, unknown


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


def refuse_clashing(event: Event, earlier: Iterable[Event], links: tuple[str, ...]) -> None:
    """Raise InputError for an event that cannot stand beside an earlier one."""
    for other in earlier:
        if event.name is not None and event.name == other.name:
            raise InputError(Problem(f"a second event is called '{event.name}'", _name(event)))
        for clash in event.clashes(other, links):
            raise InputError(Problem(f"{clash} {_name(other)}", _name(event)))


def _name(event: Event) -> str:
    return event.name or type(event).__name__
