"""When an event starts, as a user writes it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from twin.core.errors import show
from twin.core.units import DURATION_SCHEMA, duration_field, format_duration

_DATE = re.compile(r"\s*\d{4}-\d{2}-\d{2}")


def _start(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and value.strip() == "now":
        return None
    if not isinstance(value, str) or not _DATE.match(value):
        return duration_field(value)
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueError(f"{show(value)} is no date; write it like 2026-04-04T20:00") from None


def _start_text(start: float | datetime | None) -> str:
    if isinstance(start, datetime):
        return start.isoformat()
    return "now" if start is None else format_duration(start)


Start = Annotated[
    float | datetime | None,
    BeforeValidator(_start),
    PlainSerializer(_start_text),
    WithJsonSchema(
        {
            "anyOf": [
                DURATION_SCHEMA,
                {
                    "type": "string",
                    "pattern": "^\\s*\\d{4}-\\d{2}-\\d{2}",
                    "examples": ["2026-04-04T20:00"],
                },
            ]
        }
    ),
]
"""Seconds from the start of the replay, or a date, of which a scenario makes such seconds.

None: now, of an event that is added to a simulation.
"""
