"""The location of a value in a file, so that every problem names its line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from twin.core.errors import InputError, Problem
from twin.core.units import counted
from twin.demand.spec import DemandSpec

MOST = 20
"""Most problems reported at once."""
SHOWN = 5
"""Most problems of one kind and column; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Location:
    """One row of a file: the line of a text, or the row of a table; both count from 1."""

    file: Path
    number: int
    is_line: bool = True

    def __str__(self) -> str:
        return f"{'line' if self.is_line else 'row'} {self.number}"

    def problem(self, column: str, what: str, suggestion: str = "") -> Problem:
        """Return the problem that the value of `column` has here."""
        if self.is_line:
            return Problem(what, column, self.file, self.number, suggestion)
        return Problem(what, f"row {self.number}, {column}", self.file, None, suggestion)


def too_much(file: Path, what: str, key: str) -> InputError:
    """Return the error of a file that holds more than `key` of the block `demand` allows."""
    return InputError(Problem(f"holds {what}", "", file, None, f"raise 'demand.{key}' if it may"))


def check_values(file: Path, rows: int, columns: int, limits: DemandSpec) -> None:
    """Raise InputError where so many rows and columns are more than may be read."""
    if rows * columns > limits.max_values:
        what = f"{rows} rows of {counted(columns, 'column')}, more than {limits.max_values} values"
        raise too_much(file, what, "max_values")


Locate = Callable[[int], Location]
"""From the index of a row, counted from 0, to its location."""


class ColumnFile(Protocol):
    """A file of named columns, each loaded when it is asked for."""

    file: Path
    names: Sequence[str]
    header: int | None
    """Line of the names where the file is text, else None."""

    def load(self, wanted: Sequence[str], repeated: str | None = None) -> dict[str, Any]:
        """Return the `wanted` columns as Arrow arrays; `repeated` holds few distinct texts."""

    def locate(self, row: int) -> Location:
        """Return the location of a row, counted from 0."""


def problems_at(
    rows: Iterable[int], locate: Locate, column: str, explain: Callable[[int], tuple[str, str]]
) -> list[Problem]:
    """Return a problem for each of the first rows, and one that counts the others.

    `explain` returns what is wrong with a row, and the remedy.
    """
    rows = list(rows)
    if not rows:
        return []
    problems = [locate(row).problem(column, *explain(row)) for row in rows[:SHOWN]]
    return problems + not_shown(len(rows), column, locate(rows[0]).file)


def not_shown(count: int, column: str, file: Path) -> list[Problem]:
    """Return a problem that counts those of `count` beyond the first `SHOWN`, if there are any."""
    return [Problem(f"and {count - SHOWN} more", column, file)] if count > SHOWN else []


def refuse(problems: Sequence[Problem]) -> None:
    """Raise InputError where there are problems, with the first of them."""
    if problems:
        raise InputError(problems[:MOST])
