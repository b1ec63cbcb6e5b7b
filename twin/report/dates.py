"""Dates on axes and in texts, as clocks of the trace's time zone show them."""

from __future__ import annotations

from collections.abc import Sequence
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
    ticks = date_ticks(starts, timezone, *axes.get_xlim())
    axes.set_xticks([at for at, _ in ticks], [label for _, label in ticks])
    axes.set_xlabel(axis_label(starts, timezone))


def date_ticks(
    starts: datetime,
    timezone: str | None,
    low: float,
    high: float,
    steps: Sequence[int] = _HOURS,
    most: int = _MOST,
) -> list[tuple[float, str]]:
    """Return whole local hours between two times, hours since `starts`, and their names.

    They are the least of the `steps`, in hours, apart that makes at most about `most` of them.
    """
    apart = next((hours for hours in steps if (high - low) / hours <= most), steps[-1])
    minutes = np.arange(np.ceil(low * 60), high * 60 + 1).astype(np.int64)
    # What a clock shows when it is set back or forward is no multiple of the hours since `starts`.
    shown = clock.shown(starts, minutes * 60, timezone) // (60 * clock.SECOND)
    ticks = np.flatnonzero(shown % (60 * apart) == 0)
    return [(float(minutes[i]) / 60, _label(int(shown[i]), apart)) for i in ticks]


def clock_changes(starts: datetime, timezone: str | None, hours: float) -> list[tuple[int, int]]:
    """Return what clocks show at the start and after each change, in the hours from `starts` on.

    Pairs of seconds since `starts`, and seconds since 1970 less those: what clocks show is their
    sum. They are looked at each quarter of an hour.
    """
    since = np.arange(0, int(hours * 3600) + 1, 900, dtype=np.int64)
    ahead = clock.shown(starts, since, timezone) // clock.SECOND - since
    changes = [0, *(np.flatnonzero(np.diff(ahead)) + 1)]
    return [(int(since[i]), int(ahead[i])) for i in changes]


def _label(minutes: int, apart: int) -> str:
    moment = np.datetime64(minutes, "m").astype(datetime)
    if apart >= 24:
        return f"{moment:%d %b}"
    return f"{moment:%H:%M}\n{moment:%d %b}" if moment.hour == 0 else f"{moment:%H:%M}"
