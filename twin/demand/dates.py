"""Times of rows: seconds, epochs in any unit, ISO-8601, and formats that a user states."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.core.errors import Problem
from twin.demand.cells import NUMBER, shown
from twin.demand.locations import Locate, problems_at
from twin.demand.spec import DemandSpec

MICROSECONDS = 10**6
LARGEST_S = 4e12
"""Largest time in seconds: its microseconds, and any difference, fit 64 signed bits."""
_EPOCH = datetime(1970, 1, 1)
_EXCEL = datetime(1899, 12, 30)
_EARLIEST_S, _LATEST_S = 3e8, 1e10
"""Seconds since 1970 that are taken for a date: 1979 to 2286. Milliseconds begin after that."""
_FORMATS = (
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%y %H:%M:%S", "%d.%m.%y %H:%M",
    "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%d/%m/%Y %I:%M:%S %p", "%d/%m/%Y %I:%M %p",
    "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M",
    "%m/%d/%y %H:%M", "%d/%m/%y %H:%M",
    "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M",
    "%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S GMT",
    "%d %b %Y %H:%M:%S", "%d %b %Y %H:%M", "%d-%b-%Y %H:%M:%S", "%d-%b-%y %H:%M:%S",
    "%b %d, %Y @ %H:%M:%S.%f", "%b %d, %Y %H:%M:%S", "%b %d, %Y %I:%M:%S %p",
    "%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %Z %Y", "%d/%b/%Y:%H:%M:%S %z", "%Y%m%d%H%M%S",
    "%m/%d/%Y, %I:%M:%S.%f %p", "%Y%m%d %H%M", "%m/%d/%Y, %I:%M:%S %p", "%d/%m/%Y, %H:%M:%S",
)  # fmt: skip
"""Formats that are tried on times that are neither numbers nor ISO-8601, to say what fits."""
_FAST = set("YmdHMS")
"""Directives that Arrow reads as Python does."""


@dataclass(frozen=True, slots=True)
class Times:
    """Times of rows as whole numbers of a unit that holds them exactly, 1 / `per_second` s."""

    ticks: Ints
    """[rows], counted from `epoch` where that is known."""
    per_second: int = 1
    epoch: datetime | None = None
    """1970 for dates, in UTC where the file said so; None for a count of seconds."""

    def show(self, ticks: int) -> str:
        """Return a time as messages write it."""
        seconds = f"{ticks / self.per_second:.15g} s"
        if self.epoch is None:
            return seconds
        try:
            return self.moment(ticks).isoformat()
        except OverflowError:
            # Moved to a grid, the last minute of the year 9999 is in the next.
            return f"{seconds} after {self.epoch.isoformat()}"

    def moment(self, ticks: int) -> datetime:
        """Return a time as a date. `epoch` must be known."""
        assert self.epoch is not None
        return self.epoch + timedelta(microseconds=int(ticks) * MICROSECONDS // self.per_second)

    def at(self, per_second: int) -> Ints:
        """Return the times in a finer unit."""
        return self.ticks * (per_second // self.per_second)


def of_text(
    column: Any, name: str, locate: Locate, problems: list[Problem], demand: DemandSpec | None
) -> Times | None:
    """Return the times of a trimmed column of text; None where they are numbers of seconds."""
    stated = None if demand is None else demand.time_format
    if stated == "excel":
        return None
    if stated is not None:
        return _stated(column, name, locate, problems, stated)
    if NUMBER.fullmatch(column[0].as_py()):
        return None
    return _from_iso(column, name, locate, problems)


def of_numbers(
    seconds: Floats, name: str, locate: Locate, problems: list[Problem], demand: DemandSpec | None
) -> Times:
    """Return the times that numbers stand for: seconds, an epoch in any unit, days of Excel."""
    if demand is not None and demand.time_format == "excel":
        # A spreadsheet keeps about 10 microseconds, and shows none of them.
        ticks = np.rint(seconds * 86_400).astype(np.int64)
        shift = (_EXCEL - _EPOCH) // timedelta(seconds=1)
        return Times(ticks + shift, 1, _EPOCH)
    low, high = float(np.min(seconds, initial=np.inf)), float(np.max(seconds, initial=-np.inf))
    scale = next((s for s in (1, 10**3, 10**6, 10**9) if _is_epoch(low / s, high / s)), None)
    if scale is not None and scale > 1:
        seconds = seconds / scale
    epoch = None if scale is None else _EPOCH.replace(tzinfo=UTC)
    wrong = np.flatnonzero(~(np.abs(seconds) <= LARGEST_S)).tolist()
    if wrong:
        remedy = "times are seconds from the first sample, or ISO-8601"
        problems += problems_at(
            wrong, locate, name, lambda row: (f"{seconds[row]:.15g} is no time in seconds", remedy)
        )
        return Times(np.zeros(len(seconds), np.int64))
    if (np.rint(seconds) == seconds).all():
        return Times(seconds.astype(np.int64), 1, epoch)
    return Times(np.rint(seconds * MICROSECONDS).astype(np.int64), MICROSECONDS, epoch)


def _is_epoch(low: float, high: float) -> bool:
    return low >= _EARLIEST_S and high < _LATEST_S


def whole_seconds(ticks: Ints) -> Times | None:
    """Return whole numbers as seconds, or since 1970; None where they may be another unit."""
    low, high = int(ticks.min()), int(ticks.max())
    if _is_epoch(low, high):
        return Times(ticks, 1, _EPOCH.replace(tzinfo=UTC))
    return Times(ticks) if max(-low, high) < _EARLIEST_S * 1000 else None


def of_timestamps(column: Any, name: str, locate: Locate, problems: list[Problem]) -> Times:
    """Return the times of Arrow timestamps; those with a zone become UTC."""
    times = _dates(column)
    moments = np.array([datetime.min, datetime.max], "datetime64[us]").astype(np.int64)
    rows = np.flatnonzero((times.ticks < moments[0]) | (times.ticks > moments[1])).tolist()
    what, remedy = "is a time after the year 9999 or before 1", "check the unit of the column"
    problems += problems_at(rows, locate, name, lambda _: (what, remedy))
    return times


def microseconds(column: Any, kind: Any) -> Ints:
    """Return an Arrow column of an integer type of time, `kind`, as microseconds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values: Ints = pc.cast(pc.cast(column, kind, safe=False), pa.int64()).to_numpy()
    return values


def _dates(column: Any) -> Times:
    import pyarrow as pa

    zone = column.type.tz and UTC
    ticks = microseconds(column, pa.timestamp("us", column.type.tz))
    return Times(ticks, MICROSECONDS, _EPOCH.replace(tzinfo=zone or None))


def _from_iso(column: Any, name: str, locate: Locate, problems: list[Problem]) -> Times:
    import pyarrow as pa
    import pyarrow.compute as pc

    for zone in (None, "UTC"):
        try:
            return _dates(pc.cast(column, pa.timestamp("us", zone)))
        except pa.ArrowInvalid:
            continue
    cells = column.to_pylist()
    moments = [iso(cell) for cell in cells]
    return _of_moments(cells, moments, name, locate, problems, _remedy(cells, moments))


def _remedy(cells: Sequence[str], moments: Sequence[datetime | None]) -> str:
    fits = guess_formats(cells) if moments[0] is None else []
    if fits:
        return f"state how to read it, such as \"time_format: '{fits[0]}'\" in the scenario"
    return "write all times as seconds, or all as ISO-8601, such as 2004-11-19T09:30"


def _of_moments(
    cells: Sequence[str],
    moments: Sequence[datetime | None],
    name: str,
    locate: Locate,
    problems: list[Problem],
    remedy: str,
) -> Times:
    bad = [row for row, moment in enumerate(moments) if moment is None]
    problems += problems_at(
        bad, locate, name, lambda row: (f"{shown(cells[row])} is not a time", remedy)
    )
    known = [moment for moment in moments if moment is not None]
    zoned = [moment.tzinfo is not None for moment in known]
    if not bad and len(set(zoned)) > 1:
        odd = zoned.index(not zoned[0])
        has = "has an offset from UTC" if zoned[odd] else "has no offset from UTC"
        what = f"{shown(cells[odd])} {has}, unlike the times before it"
        problems.append(locate(odd).problem(name, what, "give all times an offset, or none"))
    if bad or len(set(zoned)) > 1:
        return Times(np.zeros(len(cells), np.int64))
    epoch = _EPOCH.replace(tzinfo=UTC) if zoned[0] else _EPOCH
    ticks = [(moment - epoch) // timedelta(microseconds=1) for moment in known]
    return Times(np.array(ticks, np.int64), MICROSECONDS, epoch)


def is_iso(cell: str) -> bool:
    """Return whether a text is a time as ISO-8601 writes it."""
    return iso(cell) is not None


def iso(cell: str) -> datetime | None:
    """Return the time that ISO-8601 writes as `cell`; None for other texts."""
    try:
        return datetime.fromisoformat(cell)
    except ValueError:
        return None


def _stated(column: Any, name: str, locate: Locate, problems: list[Problem], stated: str) -> Times:
    """Return texts read by a format, each distinct one once."""
    import pyarrow.compute as pc

    universal = "UTC" in stated or "GMT" in stated
    if (
        not universal
        and {stated[i + 1] for i, char in enumerate(stated[:-1]) if char == "%"} <= _FAST
    ):
        read = pc.strptime(column, format=stated, unit="us", error_is_null=True)
        if not read.null_count:
            return _dates(read)
    coded = column.combine_chunks().dictionary_encode()
    distinct = [parsed(cell, stated) for cell in coded.dictionary.to_pylist()]
    cells = column.to_pylist()
    moments = [distinct[code] for code in coded.indices.to_pylist()]
    fits = guess_formats([cell for cell, moment in zip(cells, moments, strict=True) if not moment])
    remedy = f"it is not written as 'time_format' says, '{stated}'"
    if fits:
        remedy += f"; '{fits[0]}' would read it"
    return _of_moments(cells, moments, name, locate, problems, remedy)


def parsed(cell: str, stated: str) -> datetime | None:
    """Return a text read by a format of :meth:`datetime.strptime`; None where it is not that."""
    try:
        moment = datetime.strptime(cell, stated)
    except ValueError:
        return None
    universal = "UTC" in stated or "GMT" in stated or ("%Z" in stated and _is_utc(cell))
    return moment.replace(tzinfo=UTC) if universal and moment.tzinfo is None else moment


def _is_utc(cell: str) -> bool:
    return any(word in cell for word in ("UTC", "GMT"))


def guess_formats(cells: Sequence[str]) -> list[str]:
    """Return the formats that read all of `cells`, those first that give them even steps.

    A day that may be a month shows in the steps once the times reach the next day.
    """
    sample = [cell for cell in cells[:2000] if cell]
    if not sample:
        return []
    fits = {}
    # Browsers add the zone's name in words, which is the user's language.
    words = re.search(r"GMT[+-]\d{4} (\(.*\))$", sample[0])
    browser = () if words is None else (f"%a %b %d %Y %H:%M:%S GMT%z {words[1]}",)
    for each in (*browser, *_FORMATS):
        if parsed(sample[0], each) is None:
            continue
        moments = [parsed(cell, each) for cell in sample]
        known = [moment for moment in moments if moment is not None]
        if len(known) == len(sample):
            span = max(known).replace(tzinfo=None) - min(known).replace(tzinfo=None)
            fits[each] = span
    return sorted(fits, key=lambda each: fits[each])
