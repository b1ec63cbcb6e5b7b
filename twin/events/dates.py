"""Starts of events that are dates, as seconds from the start of the replay."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from twin.core import clock
from twin.core.errors import InputError, Problem
from twin.core.units import Seconds
from twin.events.base import Event


def in_replay(
    events: Iterable[Event], starts: datetime | None, timezone: str | None
) -> tuple[Event, ...]:
    """Return events whose starts count from the replay, which `starts` at a date if it has one.

    A date without an offset is what clocks in `timezone` show, or as the trace's own. Raises
    InputError, with the place of the first event that cannot be placed.
    """
    placed = []
    for number, event in enumerate(events):
        if isinstance(event.start, datetime):
            try:
                start = Seconds(_seconds(event.start, starts, timezone))
            except ValueError as error:
                raise InputError(Problem(str(error), ("events", number, "start"))) from None
            event = event.model_copy(update={"start": start})
        placed.append(event)
    return tuple(placed)


def _seconds(moment: datetime, starts: datetime | None, timezone: str | None) -> float:
    if starts is None:
        raise ValueError(
            "is a date, but the trace has none; state 'demand.starts', or write a duration"
        )
    if starts.tzinfo is None and moment.tzinfo is not None:
        raise ValueError(
            "has an offset from UTC, but the times of the trace have none; state 'demand.timezone'"
        )
    if starts.tzinfo is not None and timezone is None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (clock.in_utc(moment, timezone) - starts).total_seconds()
    if seconds < 0:
        began = clock.local(starts, timezone).isoformat()
        raise ValueError(f"{moment.isoformat()} is before the replay, which starts at {began}")
    return seconds
