"""Clocks: time zones, local times to UTC and back, the two changes of a year included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from twin.core.arrays import Bools, Ints
from twin.core.errors import did_you_mean, show

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

SECOND = 10**6
"""Microseconds in a second."""
DAY = 86_400 * SECOND
_EPOCH = datetime(1970, 1, 1)


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """Return a time zone of the IANA database. Raises ValueError for a name that is not in it."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(name, available_timezones()) or "write one such as 'Europe/Berlin'"
        raise ValueError(f"there is no time zone {show(name)}; {hint}") from None


def local(moment: datetime, timezone: str | None) -> datetime:
    """Return a moment as clocks in `timezone` show it, where one is stated."""
    return moment if timezone is None else moment.astimezone(zone(timezone))


def shown(starts: datetime, since_s: Ints, timezone: str | None) -> Ints:
    """Return what clocks show, microseconds since 1970, [times], `since_s` seconds after `starts`.

    As clocks in `timezone`, where one is stated, else as those of `starts`.
    """
    first = (starts.replace(tzinfo=None) - _EPOCH) // timedelta(microseconds=1)
    times = first + since_s * SECOND
    if timezone is None:
        return times
    own = starts.utcoffset() or timedelta()
    times = times - own // timedelta(microseconds=1)
    return times + offsets(times, timezone, of_local=False)


def hours(starts: datetime, since_s: Ints, timezone: str | None) -> Ints:
    """Return the hour of the day, [times], of the times that :func:`shown` takes."""
    return shown(starts, since_s, timezone) // (3600 * SECOND) % 24


def offsets(times: Ints, timezone: str, *, of_local: bool, fold: int = 0) -> Ints:
    """Return offsets from UTC, microseconds, [times], at times in microseconds since 1970.

    The times are UTC; or, with `of_local`, what clocks show. Of a local time that comes twice,
    `fold` 0 is the first and 1 the second.
    """
    where = zone(timezone)

    def at(time: int) -> int:
        moment = _EPOCH + timedelta(microseconds=time)
        if not of_local:
            shift = moment.replace(tzinfo=UTC).astimezone(where).utcoffset()
        else:
            shift = moment.replace(tzinfo=where, fold=fold).utcoffset()
        return (shift or timedelta()) // timedelta(microseconds=1)

    days, day = np.unique(times // DAY, return_inverse=True)
    begins = [at(int(each) * DAY) for each in days]
    ends = [at(int(each + 1) * DAY - 1) for each in days]
    result = np.array(begins, np.int64)[day]
    # On a day of few a year the offset changes, and each time of it is looked up.
    changing = np.flatnonzero((np.array(begins) != np.array(ends))[day])
    distinct, place = np.unique(times[changing], return_inverse=True)
    result[changing] = np.array([at(int(each)) for each in distinct], np.int64)[place]
    return result


def skipped(times: Ints, timezone: str) -> Bools:
    """Return which local times no clock shows, since it is set forward over them, [times]."""
    # Python takes fold 0 of such a time by the offset before the change, fold 1 by that after it.
    first, second = (offsets(times, timezone, of_local=True, fold=fold) for fold in (0, 1))
    return np.asarray(first < second)


def twice(times: Ints, timezone: str) -> Bools:
    """Return which local times come twice, since the clock is set back, [times]."""
    first, second = (offsets(times, timezone, of_local=True, fold=fold) for fold in (0, 1))
    return np.asarray(first > second)


def in_utc(moment: datetime, timezone: str | None) -> datetime:
    """Return a moment in UTC: one without an offset is what clocks in `timezone` show.

    Without a time zone it stays as it is. Raises ValueError for a local time that does not exist,
    or that comes twice.
    """
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    if timezone is None:
        return moment
    place: tzinfo = zone(timezone)
    first, second = (moment.replace(tzinfo=place, fold=fold) for fold in (0, 1))
    before, after = first.utcoffset() or timedelta(), second.utcoffset() or timedelta()
    if before < after:
        what = f"{moment.isoformat()} does not exist in {timezone}: the clock is set forward"
        raise ValueError(f"{what}; write another time")
    if before > after:
        what = f"{moment.isoformat()} comes twice in {timezone}: the clock is set back"
        choice = f"{first.isoformat()} or {second.isoformat()}"
        raise ValueError(f"{what}; write {choice}")
    return first.astimezone(UTC)
