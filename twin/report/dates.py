"""Dates on axes and in texts, as clocks of the trace's time zone show them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.core import clock
from twin.core.units import format_duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HOURS: Final = (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 672, 1344, 2688, 8736)
"""Hours between two ticks, of which the least is taken that needs few ticks."""
_MOST: Final = 8


def instant_text(seconds: float, starts: datetime | None, timezone: str | None) -> str:
    """Return an instant, `seconds` after `starts`: its date where that is known, else how long."""
    if starts is None:
        return format_duration(seconds)
    return f"{clock.local(starts + timedelta(seconds=seconds), timezone):%Y-%m-%d %H:%M}"


def axis_label(starts: datetime, timezone: str | None) -> str:
    """Return what an axis of dates says: whose clocks show them."""
    return f"time in {timezone}" if timezone else "time" if not starts.tzinfo else "UTC"


def date_axis(axes: Axes, starts: datetime, timezone: str | None) -> None:
    """Put dates on the x axis, which counts hours since `starts`; ticks are whole local hours."""
    low, high = axes.get_xlim()
    apart = next((hours for hours in _HOURS if (high - low) / hours <= _MOST), _HOURS[-1])
    minutes = np.arange(np.ceil(low * 60), high * 60 + 1).astype(np.int64)
    # What a clock shows when it is set back or forward is no multiple of the hours since `starts`.
    shown = clock.shown(starts, minutes * 60, timezone) // (60 * clock.SECOND)
    ticks = np.flatnonzero(shown % (60 * apart) == 0)
    axes.set_xticks(minutes[ticks] / 60, [_label(int(each), apart) for each in shown[ticks]])
    axes.set_xlabel(axis_label(starts, timezone))


def _label(minutes: int, apart: int) -> str:
    moment = np.datetime64(minutes, "m").astype(datetime)
    if apart >= 24:
        return f"{moment:%d %b}"
    return f"{moment:%H:%M}\n{moment:%d %b}" if moment.hour == 0 else f"{moment:%H:%M}"
