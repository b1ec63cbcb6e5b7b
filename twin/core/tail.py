"""Tables that only grow: all of their rows, or the last ones.

A copy may be *lent* the rows of its original, where many copies go on from the same past one after
the other: it appends to the same memory, behind the rows that are there, and the next copy writes
over what it appended. So a copy costs nothing that grows with the past. Only one of them, and not
the original, may be in use at a time, and none may change what is past.
"""

from __future__ import annotations

import copy
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from twin.core.arrays import Floats, Ints
from twin.core.sealed import two_views

_LENT: Final = "rows are lent"
_ROOM: Final = 288
"""Rows of a table, at least, that nobody knows the length of. They cost nothing before they come.
"""


def lending() -> dict[Any, Any]:
    """Return a memo with which :func:`copy.deepcopy` lends the rows of tables to their copies."""
    return {_LENT: True}


class Tail:
    """The last rows of a table that only grows, [rows, columns], counted from its first row.

    At least `keep` rows before the latest appended ones are there; older ones are forgotten.
    """

    def __init__(self, columns: int, keep: int, first: int = 0, dtype: DTypeLike = float) -> None:
        """Begin with row number `first`."""
        self._keep = keep
        self._table: NDArray[Any] = np.zeros((0, columns), dtype=dtype)
        self._first = self._stop = self._latest = first

    def __getstate__(self) -> dict[str, Any]:
        first = self._needed
        rows = self.rows(first, self._stop)
        return {"keep": self._keep, "latest": self._latest, "first": first, "rows": rows}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._keep, self._latest = state["keep"], state["latest"]
        self._first, self._table = state["first"], state["rows"]
        self._stop = self._first + len(self._table)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Tail:
        other = copy.copy(self)
        if _LENT not in memo:
            other._move(self._needed, 1)
        return other

    def for_columns(self, columns: Ints) -> Tail:
        """Return a table that goes on from the last rows of some columns.

        A column may be taken more than once.
        """
        other = copy.copy(self)
        first = self._needed
        kept = self._stop - first
        # With room for as many rows again: it is used for a while, and goes.
        other._table = np.empty((2 * kept + 2, len(columns)), self._table.dtype)
        other._first = first
        # Into place without a copy in between.
        rows = self.rows(first, self._stop)
        np.take(rows, columns, axis=1, out=other._table[:kept], mode="clip")
        return other

    @property
    def _needed(self) -> int:
        """The first row that has to be there."""
        return max(self._first, self._latest - self._keep)

    @property
    def columns(self) -> int:
        """Number of columns."""
        return int(self._table.shape[1])

    @property
    def stop(self) -> int:
        """Number of rows that the whole table has."""
        return self._stop

    def replace(self, first: int, column: int, values: NDArray[Any]) -> None:
        """Replace a column from row `first` on, but for rows that are not among the last `keep`.

        Which those are does not depend on the steps in which rows were appended.
        """
        start = max(first, self._first, self._stop - self._keep)
        stop = min(first + len(values), self._stop)
        if start < stop:
            self.rows(start, stop)[:, column] = values[start - first : stop - first]

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows, [rows, columns]."""
        if self._stop - self._first + len(rows) > len(self._table):
            self._move(max(self._first, self._stop - self._keep), len(rows))
        held = self._stop - self._first
        self._table[held : held + len(rows)] = rows
        self._latest = self._stop
        self._stop += len(rows)

    def _move(self, first: int, rows: int) -> None:
        """Move rows from number `first` on to a table with room for so many more."""
        kept = self._stop - first
        # Then each row is moved twice on average: most tables are long, and all of them in use.
        table = np.empty((kept + kept // 2 + rows, self.columns), self._table.dtype)
        table[:kept] = self.rows(first, self._stop)
        self._table, self._first = table, first

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Return rows start <= i < stop, a view. Raises IndexError for rows that are not there."""
        if start < self._first or stop > self._stop:
            raise IndexError(f"rows [{start}, {stop}) are not in [{self._first}, {self._stop})")
        return self._table[start - self._first : stop - self._first]


class Growing:
    """A table that only grows, [rows, columns], of which all rows are there.

    It is handed out as read-only views of an array that holds nothing but what was appended, and
    zeros where more is to come.
    """

    def __init__(self, columns: int, capacity: int = 0) -> None:
        """Have room for `capacity` rows, where it is known, and more when they come."""
        self.rows = 0
        """Number of rows."""
        self._allocate(np.zeros((0, columns)), capacity)

    def _allocate(self, rows: Floats, capacity: int) -> None:
        # Zeros cost nothing before they are touched.
        self._writer, self._shown = self._table(capacity, rows.shape[1])
        self._writer[: len(rows)] = rows

    def _table(self, rows: int, columns: int) -> tuple[Floats, Floats]:
        """Return a table of zeros twice: to write to, and to hand out."""
        # Views of `owner` cannot be written to; the one that was made before it was locked can.
        owner = np.zeros((rows, columns))
        writer = owner[:]
        owner.setflags(write=False)
        return writer, owner

    def __getstate__(self) -> dict[str, Any]:
        return {"rows": self.rows, "table": self.view(), "capacity": len(self._shown)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.rows = state["rows"]
        self._allocate(state["table"], state["capacity"])

    def __deepcopy__(self, memo: dict[Any, Any]) -> Growing:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        if _LENT not in memo:
            # With room for a quarter more.
            capacity = max(len(self._shown), self.rows + self.rows // 4)
            other._allocate(self.view(), capacity)
        return other

    def append(self, rows: Floats) -> None:
        """Add rows, [rows, columns]."""
        stop = self.rows + len(rows)
        if stop > len(self._shown):
            self._allocate(self._shown[: self.rows], max(2 * stop, _ROOM))
        self._writer[self.rows : stop] = rows
        self.rows = stop

    def view(self, start: int = 0, stop: int | None = None) -> Floats:
        """Return rows start <= i < stop, read-only."""
        return self._shown[start : self.rows if stop is None else stop]


class ShownTable(Growing):
    """A table that grows, whose views nobody can unlock: what policies observe."""

    def put(self, row: int, column: int, values: Floats) -> None:
        """Replace what is in a column from a row on."""
        self._writer[row : row + len(values), column] = values

    def _table(self, rows: int, columns: int) -> tuple[Floats, Floats]:
        return two_views(rows, columns)
