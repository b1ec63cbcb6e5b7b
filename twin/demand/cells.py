"""Texts that stand for numbers: missing samples, decimal commas, values with their own unit."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import Problem
from twin.demand.locations import Locate, problems_at
from twin.demand.spec import DemandSpec

MISSING = (
    "", "nan", "-nan", "+nan", "null", "(null)", "none", "u", "na", "n/a", "#n/a", "<na>", "-",
    "--", "undefined",
)  # fmt: skip
"""What tools write, in any case, where they have no sample."""
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
EMPTY = "leave the cell empty where the sample is missing"

_WITH_UNIT = r"^(?P<number>[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(?P<unit>[A-Za-z][A-Za-z/ ]*)$"
_RATE = re.compile(
    r"(?P<prefix>[kKMGTP]?)(?P<binary>i?)"
    r"(?P<what>b|[Bb]its?|B|[Bb]ytes?|[Oo]ctets?)\s*(?:/\s*s|/\s*sec|/\s*second|ps)"
)
_POWER = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}


def unit_mbps(unit: str) -> float | None:
    """Return the Mbit/s in one of a unit as tools write it, such as ``Gb/s`` or ``KByte/s``."""
    match = _RATE.fullmatch(unit.strip())
    if match is None:
        return None
    size = 1.0 if match["what"] == "b" or match["what"].lower().startswith("bit") else 8.0
    base = 1024.0 if match["binary"] else 1000.0
    # One division by a power of ten: the nearest number to what is written.
    return size * base ** _POWER[match["prefix"]] / 1e6


def trimmed(column: Any) -> Any:
    """Return an Arrow column of text without white space around cells; empty ones are null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)


def numbers(
    column: Any,
    name: str,
    locate: Locate,
    problems: list[Problem],
    instead: str,
    demand: DemandSpec | None,
) -> Floats:
    """Return the numbers that texts stand for, [rows], NaN where a sample is missing.

    Append what is wrong to `problems`; `instead` is the remedy of a cell that is no number.
    """
    plain = demand is None or demand.decimal is None
    if plain and (values := _cast(column)) is not None:
        return values
    column = pointed(_known(column), None if demand is None else demand.decimal)
    if (values := _cast(column)) is not None:
        return values
    if demand is not None and not instead:
        converted = _with_units(column, demand)
        if converted is not None:
            return converted
    cells = column.to_pylist()
    bad = [row for row, cell in enumerate(cells) if cell is not None and not _is_number(cell)]
    problems += problems_at(bad, locate, name, lambda row: _explain(cells[row], instead))
    if bad:
        return np.full(len(column), np.nan)
    return np.array([np.nan if cell is None else float(cell) for cell in cells])


def _cast(column: Any) -> Floats | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        values: Floats = pc.cast(column, pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    return None if np.isinf(values).any() else values


def _known(column: Any) -> Any:
    """Return a column of text in which what stands for a missing sample is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = trimmed(column)
    missing = pc.is_in(pc.utf8_lower(column), value_set=pa.array(MISSING, column.type))
    return pc.if_else(missing, pa.scalar(None, column.type), column)


def pointed(column: Any, decimal: str | None) -> Any:
    """Return a column of text with points for decimals and nothing between thousands."""
    import pyarrow.compute as pc

    if decimal is None:
        return column
    grouping = r"([0-9])[.'\s\x{00a0}\x{202f}]([0-9]{3})" if decimal == "," else (
        r"([0-9])[,'\s\x{00a0}\x{202f}]([0-9]{3})"
    )  # fmt: skip
    for _ in range(2):  # groups that touch, such as 1.234.567, overlap
        column = pc.replace_substring_regex(column, grouping, r"\1\2")
    return column if decimal == "." else pc.replace_substring(column, ",", ".")


def _with_units(column: Any, demand: DemandSpec) -> Floats | None:
    """Return values that are written with their unit, in that of `demand`; None for others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = pc.extract_regex(column, _WITH_UNIT)
    if parts.null_count > column.null_count:
        # Grafana writes a rate of nothing as '0', and PRTG as '< 0.01 kbit/s'.
        bare = pc.match_substring_regex(column, r"^0(\.0+)?$")
        column = pc.if_else(bare, "0 b/s", column)
        parts = pc.extract_regex(column, _WITH_UNIT)
    if parts.null_count > column.null_count:
        return None
    unit = pc.struct_field(parts, "unit").combine_chunks().dictionary_encode()
    factors = [
        None if text is None else unit_mbps(text) for text in unit.dictionary.to_pylist()
    ]  # fmt: skip
    if not factors or None in factors:
        return None
    try:
        values: Floats = pc.cast(pc.struct_field(parts, "number"), pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    factor = np.array([*factors, np.nan])[unit.indices.fill_null(len(factors)).to_numpy()]
    in_unit: Floats = values * factor / demand.unit_mbps
    return in_unit


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None and math.isfinite(float(cell))


def _explain(cell: str, instead: str) -> tuple[str, str]:
    what = f"{shown(cell)} is not a number"
    if instead:
        return what, instead
    if not cell.isascii() and NUMBER.fullmatch(_in_ascii(cell)):
        return what, f"write it in the digits 0 to 9: {_in_ascii(cell)}"
    if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]{3})*,[0-9]+", cell):
        return what, "if ',' is the decimal point, write \"decimal: ','\" in the scenario"
    if re.fullmatch(r"[+-]?[0-9]{1,3}(,[0-9]{3})+\.[0-9]*", cell):
        return what, "if ',' groups thousands, write \"decimal: '.'\" in the scenario"
    if NUMBER.fullmatch(cell):
        return f"{shown(cell)} is too large", EMPTY
    if cell.strip("+-").lower() in {"inf", "infinity"}:
        return what, EMPTY
    return what, "write a number, or " + EMPTY


def _in_ascii(cell: str) -> str:
    """Return a cell with the digits of other scripts as 0 to 9."""
    return "".join(str(unicodedata.decimal(char, char)) for char in cell)


def shown(cell: str) -> str:
    """Return a cell as messages quote it, cut where it is long."""
    return f"'{cell if len(cell) <= 40 else cell[:37] + '...'}'"
