"""Numbers with their uncertainty, and values of keys, as text."""

from __future__ import annotations

import math
from typing import Any

from twin.core.units import counted, duration, format_duration, share
from twin.report.metrics import MetricColumn

_MOST = 60


def interval(shown: MetricColumn, mean: float, width: float) -> str:
    """Return a mean with its interval, where there is one."""
    if math.isnan(width):
        return shown.text(mean)
    return f"{shown.text(mean)} \N{PLUS-MINUS SIGN} {shown.text(width)}"


def signed(shown: MetricColumn, mean: float, width: float) -> str:
    """Return a difference with its sign and its interval."""
    plus = "+" if mean > 0 else ""
    return plus + interval(shown, mean, width)


def count_of(count: int, word: str) -> str:
    """Return ``1 run`` or ``10,000 runs``."""
    return counted(count, word).replace(str(count), f"{count:,}", 1)


def number(value: Any) -> float:
    """Return a value of a key as a number, NaN where it is none.

    Shares are in percent and durations in seconds.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return math.nan
    if not isinstance(value, str):
        return float(value)
    try:
        return 100 * share(value) if value.rstrip().endswith("%") else duration(value)
    except ValueError:
        return math.nan


def kind(value: Any) -> str:
    """Return ``share``, ``duration``, ``number`` or ``text``."""
    if math.isnan(number(value)):
        return "text"
    if not isinstance(value, str):
        return "number"
    return "share" if value.rstrip().endswith("%") else "duration"


def format_number(value: float, unit: str) -> str:
    """Return a number of a kind of value as a person would write it."""
    if unit == "duration":
        return format_duration(60 * round(value / 60) if value > 600 else round(value))
    return f"{value:.3g}{' %' * (unit == 'share')}"


def format_value(value: Any) -> str:
    """Return a value of a key as a table shows it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "as the scenario has it"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}\N{HORIZONTAL ELLIPSIS}"
