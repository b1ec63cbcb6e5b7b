"""Excel workbooks: one sheet as a table, read by openpyxl where that is installed."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from twin.core.errors import InputError, Problem, did_you_mean
from twin.demand.cells import MISSING
from twin.demand.locations import Location, check_values, too_much
from twin.demand.spec import DemandSpec

_LOOKED_AT = 80
"""Rows at the top of a sheet among which the header is looked for."""
_EPOCH = datetime(1970, 1, 1)
_MILLISECOND = timedelta(milliseconds=1)


class ExcelTable:
    """The columns of one sheet. Raises InputError where the file is no workbook, or damaged."""

    def __init__(self, file: Path, data: bytes, limits: DemandSpec) -> None:
        self.file = file
        self.header: int | None = None
        self._limits = limits
        _check_size(file, data, limits.max_bytes)
        self._rows = self._read(data)
        place = _header(self._rows)
        self._first = place + 1
        self.names: Sequence[str] = [_name(cell) for cell in self._rows[place]]
        while self.names and not self.names[-1]:
            self.names = self.names[:-1]
        twice = [name for name, n in Counter(self.names).items() if name and n > 1]
        if twice:
            raise InputError(Problem(f"two columns are named '{twice[0]}'", "", file))
        above = sum(any(cell is not None for cell in row) for row in self._rows[:place])
        rows = f"{above} row{'s' * (above > 1)} above the header left out"
        self.notes: tuple[str, ...] = (rows,) if above else ()
        self._body = [
            (number, row)
            for number, row in enumerate(self._rows[self._first :], self._first + 1)
            if any(cell not in (None, "") for cell in row)
        ]
        if not self._body:
            raise InputError(Problem("has a header, but no samples", "", file))

    def _read(self, data: bytes) -> list[tuple[Any, ...]]:
        try:
            from openpyxl import load_workbook
        except ImportError:
            what = "is an Excel workbook, which needs openpyxl"
            remedy = "install twin[excel], or save the sheet as CSV"
            raise InputError(Problem(what, "", self.file, None, remedy)) from None
        try:
            book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            sheet = self._sheet(book)
            return list(self._bounded(sheet.iter_rows(values_only=True)))
        except (InputError, MemoryError):
            raise
        except Exception as error:  # openpyxl raises whatever its parsers raise
            what = "is an Excel workbook that is damaged, or of a kind that is not read"
            raise InputError(
                Problem(what, "", self.file, None, "save it again as .xlsx")
            ) from error

    def _sheet(self, book: Any) -> Any:
        wanted = self._limits.sheet
        if wanted is None:
            return book.worksheets[0]
        if wanted not in book.sheetnames:
            hint = did_you_mean(wanted, book.sheetnames) or f"there is '{book.sheetnames[0]}'"
            raise InputError(Problem(f"no sheet '{wanted}'", "demand.sheet", None, None, hint))
        return book[wanted]

    def _bounded(self, rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        """Yield rows while there are no more values than may be read."""
        seen = 0
        for row in rows:
            seen += len(row)
            if seen > self._limits.max_values:
                check_values(self.file, seen, 1, self._limits)
            yield row

    def load(self, wanted: Sequence[str], repeated: str | None = None) -> dict[str, Any]:  # noqa: ARG002
        """Return the `wanted` columns as Arrow arrays: dates, numbers, or else text."""
        import pyarrow as pa

        place = {name: k for k, name in enumerate(self.names)}
        loaded = {}
        for name in wanted:
            k = place[name]
            cells = [row[k] if k < len(row) else None for _, row in self._body]
            loaded[name] = pa.chunked_array([_column(cells)])
        return loaded

    def locate(self, row: int) -> Location:
        """Return the location of a row, counted from 0."""
        return Location(self.file, self._body[row][0], is_line=False)


def _check_size(file: Path, data: bytes, most: int) -> None:
    """Raise InputError where a workbook holds more than `most` bytes once it is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(part.file_size for part in archive.infolist())
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, EOFError):
        remedy = "use 'source: csv'" if data[:4] != b"\xd0\xcf\x11\xe0" else "save it as .xlsx"
        raise InputError(Problem("is not an .xlsx workbook", "", file, None, remedy)) from None
    if size > most:
        raise too_much(file, f"{size} bytes once unpacked, more than {most}", "max_bytes")
    if not any(name.startswith("xl/") for name in names):
        raise InputError(Problem("is a zip archive, but no workbook", "", file))


def _header(rows: Sequence[tuple[Any, ...]]) -> int:
    """Return the row above the first with two values, or the first that holds anything."""
    below = next((k for k, row in enumerate(rows[:_LOOKED_AT]) if _values(row) > 1), None)
    if below is not None:
        for k in range(below - 1, -1, -1):
            if sum(cell is not None for cell in rows[k]) > 1 and not _values(rows[k]):
                return k
    filled = (k for k, row in enumerate(rows) if any(cell is not None for cell in row))
    place = next(islice(filled, 1), None)
    return 0 if place is None else place


def _values(row: Sequence[Any]) -> int:
    return sum(_is_value(cell) for cell in row)


def _is_value(cell: Any) -> bool:
    if isinstance(cell, str):
        text = cell.strip()
        return bool(text) and (text[0].isdigit() or text.lower() in MISSING)
    return isinstance(cell, int | float | date | time) and not isinstance(cell, bool)


def _name(cell: Any) -> str:
    return "" if cell is None else str(cell).strip()


def _column(cells: list[Any]) -> Any:
    import pyarrow as pa

    known = [cell for cell in cells if cell is not None]
    if known and all(isinstance(cell, datetime) for cell in known):
        # A spreadsheet keeps days as floats: what it shows as 00:05 may be a few microseconds off.
        return pa.array([_to_millisecond(cell) for cell in cells], pa.timestamp("us"))
    if all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in known):
        return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())
    return pa.array([None if cell is None else str(cell) for cell in cells], pa.string())


def _to_millisecond(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    since = moment - _EPOCH
    return _EPOCH + round(since / _MILLISECOND) * _MILLISECOND
