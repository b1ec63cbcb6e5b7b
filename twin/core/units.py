"""Durations, shares and traffic units: from the text a user writes to SI numbers and back."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from twin.core.errors import show

DAY_S = 86_400
LONGEST_S = 36_525 * DAY_S
YEAR_S = 31_557_600
"""A year of 365.25 days; a month is a twelfth of it, wherever no date says which month it is."""
MONTH_S = YEAR_S // 12

_SECONDS = {
    "ms": 0.001,
    "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600,
    "d": DAY_S, "day": DAY_S, "days": DAY_S,
    "w": 7 * DAY_S, "week": 7 * DAY_S, "weeks": 7 * DAY_S,
    "mo": MONTH_S, "month": MONTH_S, "months": MONTH_S,
    "y": YEAR_S, "year": YEAR_S, "years": YEAR_S,
}  # fmt: skip

MBPS = {
    "bit/s": 1e-6,
    "kbit/s": 1e-3,
    "Mbit/s": 1.0,
    "Gbit/s": 1e3,
    "byte/s": 8e-6,
}
"""Mbit/s in one of each traffic unit that a trace may be written in."""

BIT_RATES = {unit: MBPS[unit] for unit in ("bit/s", "kbit/s", "Mbit/s", "Gbit/s")} | {"Tbit/s": 1e6}
"""Mbit/s in one of each unit that a rate may be written in."""

_PART = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)")
_RATE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+/s)\s*")
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_PERCENT = re.compile(rf"\s*({_NUMBER})\s*%\s*")
_PLAIN = re.compile(rf"\s*({_NUMBER})\s*")


def duration(text: object) -> float:
    """Return the seconds in a duration such as ``90min``, ``8h 2min 30s``, ``3d`` or ``24mo``.

    Raises ValueError for a number without a unit, an unknown unit or a negative duration.
    """
    total = sum(number * _SECONDS[unit] for number, unit in duration_parts(text))
    if not total <= LONGEST_S:
        raise ValueError(f"{show(text)} is longer than a hundred years")
    return total


def duration_parts(text: object) -> list[tuple[float, str]]:
    """Return the numbers and units in the text of a duration. Raises ValueError as it does."""
    if not isinstance(text, str):
        raise ValueError(
            f"a duration is text with a unit, such as '90min' or '1h 30min', not {show(text)}"
        )
    position, parts = 0, []
    while position < len(text.rstrip()):
        part = _PART.match(text, position)
        if part is None:
            raise ValueError(
                f"{show(text)} is not a duration; write it like '90min', '8h 2min 30s' or '3d'"
            )
        number, unit = part.groups()
        if unit not in _SECONDS:
            known = "ms, s, min, h, d, w, mo or y"
            raise ValueError(f"{show(text)} has the unknown unit '{unit}'; use {known}")
        parts.append((float(number), unit))
        position = part.end()
    if position == 0:
        raise ValueError("a duration is empty; write it like '90min', '8h 2min 30s' or '3d'")
    return parts


def bit_rate(value: object) -> float:
    """Return the Mbit/s in ``100Gbit/s``; a bare number is in Mbit/s. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return as_float(value)
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2] not in BIT_RATES:
        what = f"a rate is written like '10Gbit/s', or as a number of Mbit/s, not {show(value)}"
        raise ValueError(what)
    return float(match[1]) * BIT_RATES[match[2]]


def format_duration(seconds: float) -> str:
    """Return the shortest text that :func:`duration` reads back as `seconds`."""
    rest, parts = seconds, []
    for size, unit in ((DAY_S, "d"), (3600, "h"), (60, "min")):
        count = math.floor(rest / size)
        if count:
            parts.append(f"{count}{unit}")
            rest -= count * size
    if rest or not parts:
        parts.append(f"{rest:.9f}".rstrip("0").rstrip(".") + "s")
    return " ".join(parts)


def counted(count: int, word: str) -> str:
    """Return ``1 gap`` or ``2 gaps``."""
    plural = word[:-1] + "ies" if word.endswith("y") else word + "s"
    return f"{count} {word if count == 1 else plural}"


def share(value: object) -> float:
    """Return a share written as ``1%`` or ``0.01``. Raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"a share is written like '1%' or 0.01, not {show(value)}")
    if isinstance(value, str):
        if percent := _PERCENT.fullmatch(value):
            return float(percent.group(1)) / 100
        if not (plain := _PLAIN.fullmatch(value)):
            raise ValueError(f"{show(value)} is not a share; write it like '1%' or 0.01")
        value = plain.group(1)
    number = as_float(value)
    if not math.isfinite(number):
        raise ValueError(f"a share must be finite, not {show(value)}")
    return number


def as_float(value: str | float) -> float:
    """Return a number, infinite where a whole number is too large for one with a point."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def duration_field(value: Any) -> float:
    """Return the seconds of a duration field. Raises ValueError as :func:`duration` does."""
    # Values that were parsed before (defaults, Python callers) pass as seconds.
    if isinstance(value, Seconds):
        return value
    return Seconds(duration(value))


class Seconds(float):
    """A number of seconds that came from a duration text."""


DURATION_SCHEMA = {
    "type": "string",
    "pattern": r"^\s*(\d+(\.\d+)?\s*(ms|s|sec|min|h|d|w|mo|y"
    r"|seconds?|minutes?|hours?|days?|weeks?|months?|years?)\s*)+$",
    "examples": ["90min", "8h 2min 30s", "3d"],
}
SHARE_SCHEMA = {
    "anyOf": [
        {"type": "number"},
        {"type": "string", "pattern": r"^\s*[+-]?[0-9.]+([eE][+-]?\d+)?\s*%?\s*$"},
    ],
    "examples": ["1%", 0.01],
}

Duration = Annotated[
    float,
    BeforeValidator(duration_field),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(DURATION_SCHEMA),
]
"""Seconds, written as text with a unit; default values are made with :func:`seconds`."""

Window = Annotated[Duration, Field(gt=0)]
"""Seconds as :data:`Duration`, more than none."""

Share = Annotated[float, BeforeValidator(share), Field(ge=0, le=1), WithJsonSchema(SHARE_SCHEMA)]
"""A share between 0 and 1, written as ``1%`` or ``0.01``."""

Margin = Annotated[float, BeforeValidator(share), Field(gt=-1), WithJsonSchema(SHARE_SCHEMA)]
"""A relative margin above -1, written as ``10%`` or ``0.1``."""

BitRate = Annotated[
    float,
    BeforeValidator(bit_rate),
    Field(ge=1e-6, allow_inf_nan=False),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}], "examples": ["10Gbit/s"]}),
]
"""Mbit/s, written with a unit or as a number of them."""

Percentile = Annotated[float, Field(ge=0, le=100)]
"""A percentile between 0 and 100."""


def seconds(text: str) -> Seconds:
    """Return a default value for a :data:`Duration` field or parameter."""
    return Seconds(duration(text))
