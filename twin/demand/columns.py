"""Turns the columns of a file into arrays of numbers, times and links; names every bad cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats
from twin.core.errors import Problem
from twin.demand import cells, dates
from twin.demand.dates import MICROSECONDS as MICROSECONDS
from twin.demand.dates import Times as Times
from twin.demand.locations import Locate, problems_at
from twin.demand.spec import DemandSpec


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


def kpi(
    column: Any,
    name: str,
    locate: Locate,
    problems: list[Problem],
    demand: DemandSpec | None = None,
) -> Floats:
    """Return a KPI, [rows], NaN where it is missing; append what is wrong to `problems`.

    Values that are written with a unit come in that of `demand`.
    """
    values = numbers(column, name, locate, problems, demand=demand)
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
        problems += problems_at(rows, locate, name, lambda _: ("inf is not finite", cells.EMPTY))
    return values


def counts(
    column: Any, name: str, locate: Locate, problems: list[Problem], demand: DemandSpec
) -> tuple[NDArray[np.uint64], Floats]:
    """Return readings of a counter, [rows], exactly; and as floats, NaN where one is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = plain(column)
    values = kpi(column, name, locate, problems, demand)
    known = np.isfinite(values)
    if is_text(column):
        column = cells.pointed(cells.trimmed(column), demand.decimal)
    exact = np.where(known, values, 0).clip(0, 2.0**64 - 2048).astype(np.uint64)
    try:
        some = pc.cast(column.filter(pa.array(known)), pa.uint64()).to_numpy()
        exact[known] = some
    except pa.ArrowInvalid:
        pass  # Written as numbers with a point or an exponent, which are as exact as floats.
    return exact, values


def numbers(
    column: Any,
    name: str,
    locate: Locate,
    problems: list[Problem],
    instead: str = "",
    demand: DemandSpec | None = None,
) -> Floats:
    """Return numbers, [rows], NaN where a sample is missing; append what is wrong to `problems`.

    Text must be a finite number; `instead` is the remedy where it is not.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = plain(column)
    if is_text(column):
        return cells.numbers(column, name, locate, problems, instead, demand)
    known = pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null
    if not any(is_kind(column.type) for is_kind in known):
        what = f"holds {column.type}, not numbers"
        problems.append(Problem(what, name, locate(0).file, None, "store it as double"))
        return np.full(len(column), np.nan)
    values: Floats = pc.cast(column, pa.float64(), safe=False).to_numpy()
    return values


def times(
    column: Any,
    name: str,
    locate: Locate,
    problems: list[Problem],
    demand: DemandSpec | None = None,
) -> Times:
    """Return the times of all rows; append what is wrong to `problems`.

    Numbers are seconds, or an epoch where they are large enough for one. Text is a number,
    ISO-8601 or what `demand` states, throughout; Arrow timestamps are dates. Times with a zone
    become UTC.
    """
    import pyarrow as pa

    column = plain(column)
    if is_text(column):
        column = cells.trimmed(column)
    if column.null_count:
        empty = np.flatnonzero(column.is_null().to_numpy()).tolist()
        remedy = "give every row its time"
        problems += problems_at(empty, locate, name, lambda _: ("is empty", remedy))
        return Times(np.zeros(len(column), np.int64))
    if pa.types.is_timestamp(column.type):
        return dates.of_timestamps(column, name, locate, problems)
    if pa.types.is_duration(column.type):
        return Times(dates.microseconds(column, pa.duration("us")), MICROSECONDS)
    if is_text(column):
        written = dates.of_text(column, name, locate, problems, demand)
        if written is not None:
            return written
    if pa.types.is_int64(column.type) and (demand is None or demand.time_format is None):
        counted = dates.whole_seconds(column.to_numpy())
        if counted is not None:
            return counted
    before = len(problems)
    remedy = "write all times as seconds, or all as ISO-8601"
    seconds = numbers(column, name, locate, problems, instead=remedy)
    unknown = np.flatnonzero(np.isnan(seconds)).tolist() if len(problems) == before else []
    problems += problems_at(unknown, locate, name, lambda _: ("is no time", remedy))
    if len(problems) > before:
        return Times(np.zeros(len(column), np.int64))
    return dates.of_numbers(seconds, name, locate, problems, demand)


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


def together(columns: Sequence[Any]) -> Any:
    """Return the names in several columns as one, with a colon between them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(columns) == 1:
        return columns[0]
    texts = [pc.utf8_trim_whitespace(pc.cast(plain(column), pa.string())) for column in columns]
    return pc.binary_join_element_wise(*texts, ":")


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
