"""JSON lines: an object a line, with `time`, `link` and a number for each KPI, as a trace has them.

    {"time": "2026-10-07T12:00:00Z", "link": "core-1", "internet": 412.5}

`time` is ISO-8601 (UTC where it states no offset) or seconds since 1970. `null` is a missing value.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any, Final

from twin.core.errors import InputError, show
from twin.live.formats.reading import Columns, Reading, at_line, refuse_large
from twin.live.samples import Samples

_OWN: Final = "time"
_LONGEST_LINE: Final = 2**16
"""Bytes of one object: Python reads a line in one go, while which nothing else is done."""


def read(data: bytes, reading: Reading) -> Samples:
    """Return the samples of a body. Raises InputError with the line of what is wrong."""
    refuse_large(data)
    columns = Columns()
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            _add(columns, _entry(line), reading)
        except (ValueError, InputError) as error:
            raise at_line(number, error) from None
    return columns.samples()


def _entry(line: bytes) -> Any:
    """Return what a line says. Raises ValueError."""
    if len(line) > _LONGEST_LINE:
        raise ValueError(f"has more than {_LONGEST_LINE:,} bytes; write one object a line")
    try:
        return json.loads(line)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("is not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error}") from None
    except ValueError:
        # Python reads no whole number of more digits: that takes time with their square.
        most = sys.get_int_max_str_digits()
        raise ValueError(f"holds a whole number of more than {most:,} digits") from None


def _add(columns: Columns, entry: Any, reading: Reading) -> None:
    if not isinstance(entry, dict):
        what = f"must be an object, not {show(entry)}"
        raise ValueError(what + "; write one object a line" if isinstance(entry, list) else what)
    if _OWN not in entry:
        raise ValueError("has no 'time'")
    time_s, link = seconds(entry.pop(_OWN)), entry.pop(reading.label, None)
    if not isinstance(link, str):
        raise ValueError(f"'{reading.label}' must be the name of a link, not {show(link)}")
    if not entry:
        raise ValueError("has no KPI, such as 'internet'")
    for name, value in entry.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"'{name}' must be a number, not {show(value)}")
        columns.add(link, reading.kpi_of.get(name, name), time_s, _float(value))


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def seconds(value: Any) -> float:
    """Return a time in seconds since 1970: a number, or ISO-8601. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"'time' must be ISO-8601 or seconds since 1970, not {show(value)}")
    if isinstance(value, int | float):
        return _float(value)
    try:
        moment = datetime.fromisoformat(value)
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"{show(value)} is no time in ISO-8601") from None
