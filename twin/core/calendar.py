"""Time ahead in months and years, which are those of the calendar where there is a date."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from twin.core.units import DURATION_SCHEMA, MONTH_S, duration, duration_parts

_MONTHS = {"mo": 1, "month": 1, "months": 1, "y": 12, "year": 12, "years": 12}


@dataclass(frozen=True, slots=True)
class CalendarSpan:
    """A time ahead, such as ``24mo`` or ``1y 2w``."""

    text: str
    """As it was written."""
    months: int
    """Whole months and years, in months."""
    rest_s: float
    """All else, seconds."""

    @classmethod
    def of(cls, text: object) -> CalendarSpan:
        """Return what a text says. Raises ValueError as :func:`twin.core.units.duration` does."""
        whole_s, months = duration(text), 0
        for number, unit in duration_parts(text):
            # A part of a month is so much of a twelfth of a year: no calendar has it.
            if unit in _MONTHS and number == int(number):
                months += int(number) * _MONTHS[unit]
        return cls(str(text).strip(), months, whole_s - months * MONTH_S)

    def seconds(self, start: datetime | None = None) -> float:
        """Return how long it is from `start` on; without a date a month is 30.4375 days.

        Where the month that it ends in has no such day, it ends with that month's last day. Raises
        OverflowError where it ends after the year 9999.
        """
        if start is None:
            return self.months * MONTH_S + self.rest_s
        year, month = divmod(start.year * 12 + start.month - 1 + self.months, 12)
        if year > datetime.max.year:
            raise OverflowError("after the year 9999")
        day = min(start.day, calendar.monthrange(year, month + 1)[1])
        end = start.replace(year=year, month=month + 1, day=day) + timedelta(seconds=self.rest_s)
        return (end - start).total_seconds()


def calendar_span(value: Any) -> CalendarSpan:
    """Return a time ahead as written. Raises ValueError, also for one of no length."""
    span = value if isinstance(value, CalendarSpan) else CalendarSpan.of(value)
    if span.months == 0 and span.rest_s == 0:
        raise ValueError("must be longer than 0s")
    return span


def _text(span: CalendarSpan) -> str:
    return span.text


Ahead = Annotated[
    CalendarSpan,
    BeforeValidator(calendar_span),
    PlainSerializer(_text, return_type=str),
    WithJsonSchema(DURATION_SCHEMA | {"examples": ["24mo", "2y", "26w"]}),
]
"""A time ahead, written as text with units."""
