"""Turns the columns of a file into arrays of numbers, times and links; names every bad cell."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats, Ints
from twin.core.errors import Problem
from twin.demand.locations import Locate, problems_at

MICROSECONDS = 10**6
LARGEST_S = 4e12
"""Largest time in seconds: its microseconds, and any difference, fit 64 signed bits."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_EPOCH = datetime(1970, 1, 1)


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
        if self.epoch is not None:
            return self.moment(ticks).isoformat()
        return f"{ticks / self.per_second:.15g} s"

    def moment(self, ticks: int) -> datetime:
        """Return a time as a date. `epoch` must be known."""
        assert self.epoch is not None
        return self.epoch + timedelta(microseconds=int(ticks) * MICROSECONDS // self.per_second)


def plain(column: Any) -> Any:
    """Return an Arrow column with dictionary codes replaced by their values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return column
    return pc.cast(column, column.type.value_type)


def plain_type(column: Any) -> Any:
    """Return the type of an Arrow column, or of what its dictionary codes stand for."""
    import pyarrow as pa

    return column.type.value_type if pa.types.is_dictionary(column.type) else column.type


def is_text(column: Any) -> bool:
    """Return whether an Arrow column holds text."""
    import pyarrow as pa

    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _trimmed(column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)


def kpi(column: Any, name: str, locate: Locate, problems: list[Problem]) -> Floats:
    """Return a KPI, [rows], NaN where it is missing; append what is wrong to `problems`."""
    values = numbers(column, name, locate, problems)
    if np.fmin.reduce(values, initial=0) < 0:
        remedy = "a KPI is never below 0: correct it, or leave the cell empty"
        problems += problems_at(
            np.flatnonzero(values < 0).tolist(),
            locate,
            name,
            lambda row: (f"{values[row]:.15g} is negative", remedy),
        )
    if np.fmax.reduce(values, initial=0) == np.inf:
        rows = np.flatnonzero(values == np.inf).tolist()
        problems += problems_at(rows, locate, name, lambda _: ("inf is not finite", _EMPTY))
    return values


_EMPTY = "leave the cell empty where the sample is missing"


def numbers(
    column: Any, name: str, locate: Locate, problems: list[Problem], instead: str = ""
) -> Floats:
    """Return numbers, [rows], NaN where a cell is empty; append what is wrong to `problems`.

    Text must be a finite number; `instead` is the remedy where it is not.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = plain(column)
    if is_text(column):
        return _from_text(column, name, locate, problems, instead)
    known = pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null
    if not any(is_kind(column.type) for is_kind in known):
        what = f"holds {column.type}, not numbers"
        problems.append(Problem(what, name, locate(0).file, None, "store it as double"))
        return np.full(len(column), np.nan)
    values: Floats = pc.cast(column, pa.float64(), safe=False).to_numpy()
    return values


def _from_text(
    column: Any, name: str, locate: Locate, problems: list[Problem], instead: str
) -> Floats:
    import pyarrow as pa
    import pyarrow.compute as pc

    for trim in (False, True):
        try:
            parsed = pc.cast(_trimmed(column) if trim else column, pa.float64())
        except pa.ArrowInvalid:
            continue
        values: Floats = parsed.to_numpy()
        if np.isnan(values).sum() == parsed.null_count and not np.isinf(values).any():
            return values
    cells = _trimmed(column).to_pylist()
    bad = [row for row, cell in enumerate(cells) if cell is not None and not _is_number(cell)]
    problems += problems_at(bad, locate, name, lambda row: _explain(cells[row], instead))
    if bad:
        return np.full(len(column), np.nan)
    # Numbers that Arrow does not read, such as +5.
    return np.array([np.nan if cell is None else float(cell) for cell in cells])


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None and math.isfinite(float(cell))


def _explain(cell: str, instead: str) -> tuple[str, str]:
    what = f"{shown(cell)} is not a number"
    if instead:
        return what, instead
    if not cell.isascii() and _NUMBER.fullmatch(_in_ascii(cell)):
        return what, f"write it in the digits 0 to 9: {_in_ascii(cell)}"
    if re.fullmatch(r"[+-]?[0-9]+,[0-9]+", cell):
        return what, f"write the decimal point as '.': {cell.replace(',', '.')}"
    if _NUMBER.fullmatch(cell):
        return f"{shown(cell)} is too large", _EMPTY
    if cell.strip("+-").lower() in {"nan", "inf", "infinity", "null", "none", "na", "n/a", ""}:
        return what, _EMPTY
    return what, "write a number, or " + _EMPTY


def _in_ascii(cell: str) -> str:
    """Return a cell with the digits of other scripts as 0 to 9."""
    return "".join(str(unicodedata.decimal(char, char)) for char in cell)


def shown(cell: str) -> str:
    """Return a cell as messages quote it, cut where it is long."""
    return f"'{cell if len(cell) <= 40 else cell[:37] + '...'}'"


def times(column: Any, name: str, locate: Locate, problems: list[Problem]) -> Times:
    """Return the times of all rows; append what is wrong to `problems`.

    Numbers are seconds. Text is seconds or ISO-8601, throughout; Arrow timestamps are dates.
    Times with a zone become UTC.
    """
    import pyarrow as pa

    column = plain(column)
    if is_text(column):
        column = _trimmed(column)
    if column.null_count:
        empty = np.flatnonzero(column.is_null().to_numpy()).tolist()
        remedy = "give every row its time"
        problems += problems_at(empty, locate, name, lambda _: ("is empty", remedy))
        return Times(np.zeros(len(column), np.int64))
    if pa.types.is_timestamp(column.type):
        return _possible(_dates(column), name, locate, problems)
    if pa.types.is_duration(column.type):
        return Times(_microseconds(column, pa.duration("us")), MICROSECONDS)
    if is_text(column) and not _NUMBER.fullmatch(column[0].as_py()):
        return _from_iso(column, name, locate, problems)
    return _seconds(column, name, locate, problems)


def _seconds(column: Any, name: str, locate: Locate, problems: list[Problem]) -> Times:
    import pyarrow as pa

    before = len(problems)
    if pa.types.is_int64(column.type):
        ticks: Ints = column.to_numpy()
        if max(-int(ticks.min()), int(ticks.max())) <= LARGEST_S:
            return Times(ticks)
    remedy = "write all times as seconds, or all as ISO-8601"
    seconds = numbers(column, name, locate, problems, instead=remedy)
    wrong = np.flatnonzero(~(np.abs(seconds) <= LARGEST_S)).tolist()
    if len(problems) > before:
        return Times(np.zeros(len(column), np.int64))
    if wrong:
        remedy = "times are seconds from the first sample, or ISO-8601"
        problems += problems_at(
            wrong, locate, name, lambda row: (f"{seconds[row]:.15g} is no time in seconds", remedy)
        )
        return Times(np.zeros(len(column), np.int64))
    if (np.rint(seconds) == seconds).all():
        return Times(seconds.astype(np.int64))
    return Times(np.rint(seconds * MICROSECONDS).astype(np.int64), MICROSECONDS)


def _microseconds(column: Any, kind: Any) -> Ints:
    import pyarrow as pa
    import pyarrow.compute as pc

    values: Ints = pc.cast(pc.cast(column, kind, safe=False), pa.int64()).to_numpy()
    return values


def _dates(column: Any) -> Times:
    import pyarrow as pa

    zone = column.type.tz and UTC
    ticks = _microseconds(column, pa.timestamp("us", column.type.tz))
    return Times(ticks, MICROSECONDS, _EPOCH.replace(tzinfo=zone or None))


def _possible(times: Times, name: str, locate: Locate, problems: list[Problem]) -> Times:
    moments = np.array([datetime.min, datetime.max], "datetime64[us]").astype(np.int64)
    rows = np.flatnonzero((times.ticks < moments[0]) | (times.ticks > moments[1])).tolist()
    what, remedy = "is a time after the year 9999 or before 1", "check the unit of the column"
    problems += problems_at(rows, locate, name, lambda _: (what, remedy))
    return times


def _from_iso(column: Any, name: str, locate: Locate, problems: list[Problem]) -> Times:
    import pyarrow as pa
    import pyarrow.compute as pc

    for zone in (None, "UTC"):
        try:
            return _dates(pc.cast(column, pa.timestamp("us", zone)))
        except pa.ArrowInvalid:
            continue
    cells = column.to_pylist()
    moments = [_iso(cell) for cell in cells]
    bad = [row for row, moment in enumerate(moments) if moment is None]
    remedy = "write all times as seconds, or all as ISO-8601, such as 2004-11-19T09:30"
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


def _iso(cell: str) -> datetime | None:
    try:
        return datetime.fromisoformat(cell)
    except ValueError:
        return None


def links(
    column: Any, name: str, locate: Locate, problems: list[Problem]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Return the code of each row's link, [rows], and the links in natural order.

    Append what is wrong to `problems`.
    """
    coded = _coded(column)
    if coded is None:
        what = f"holds {column.type}, not names"
        problems.append(Problem(what, name, locate(0).file, None, "store it as text"))
        return np.zeros(len(column), np.int32), ("link-1",)
    texts = ["" if text is None else str(text).strip() for text in coded.dictionary.to_pylist()]
    codes = coded.indices.fill_null(len(texts)).to_numpy().astype(np.int32, copy=False)
    used = np.bincount(codes, minlength=len(texts) + 1)
    names = {text for text, count in zip(texts, used[:-1], strict=True) if count and text}
    links = sorted(names, key=natural)
    place = {text: code for code, text in enumerate(links)}
    moved = np.array([place.get(text, -1) for text in [*texts, ""]], np.int32)
    if used[-1] or not np.array_equal(moved[:-1], np.arange(len(texts))):
        codes = moved[codes]
        empty = np.flatnonzero(codes < 0).tolist()
        problems += problems_at(
            empty, locate, name, lambda _: ("is empty", "name the link of every row")
        )
    return codes, tuple(links)


def _coded(column: Any) -> Any:
    """Return a column of texts or integers as one Arrow array of codes; None for other types."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_integer(column.type):
        column = pc.cast(column, pa.string())
    if is_text(column):
        column = column.dictionary_encode()
    if not pa.types.is_dictionary(column.type):
        return None
    return column.unify_dictionaries().combine_chunks()


def natural(text: str) -> list[tuple[int, int, str, str]]:
    """Return a key that sorts link-2 before link-10."""
    parts = re.split(r"([0-9]+)", text)
    # A longer number is a larger one; int() refuses thousands of digits.
    digits = [part.lstrip("0") if part.isdecimal() else None for part in parts]
    return [
        (1, 0, part, "") if own is None else (0, len(own), own, part)
        for part, own in zip(parts, digits, strict=True)
    ]
