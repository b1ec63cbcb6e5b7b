"""Parquet files: only the columns that are needed, repeated texts as codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twin.core.errors import InputError, Problem
from twin.demand.locations import Location


class ParquetTable:
    """The columns of a Parquet file. Raises InputError where it is not one, or damaged."""

    def __init__(self, file: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self.file = file
        with file.open("rb") as stream:
            _check_start(file, stream.read(4))
        try:
            opened = parquet.ParquetFile(file)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged(file) from error
        with opened:
            self._schema = opened.schema_arrow
            rows = opened.metadata.num_rows
        self.names: Sequence[str] = list(self._schema.names)
        self.header: int | None = None
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise InputError(Problem(f"two columns are named '{twice[0]}'", "", file))
        if not rows:
            raise InputError(Problem("has columns, but no samples", "", file))

    def load(self, wanted: Sequence[str], repeated: str | None = None) -> dict[str, Any]:
        """Return the `wanted` columns as Arrow arrays; `repeated` holds few distinct texts."""
        import pyarrow as pa
        from pyarrow import parquet

        codes = []
        if repeated is not None and pa.types.is_string(self._schema.field(repeated).type):
            codes = [repeated]
        try:
            with parquet.ParquetFile(self.file, read_dictionary=codes) as opened:
                table = opened.read(columns=list(wanted))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged(self.file) from error
        return {name: table.column(name) for name in wanted}

    def locate(self, row: int) -> Location:
        """Return the location of a row, counted from 0."""
        return Location(self.file, row + 1, is_line=False)


def _check_start(file: Path, start: bytes) -> None:
    if not start:
        raise InputError(Problem("is empty", "", file))
    if start != b"PAR1":
        packed = start.startswith((b"\x1f\x8b", b"BZh"))
        remedy = "use 'source: csv'" if packed or _is_text(start) else ""
        raise InputError(Problem("is not a Parquet file", "", file, None, remedy))


def _is_text(start: bytes) -> bool:
    return start.startswith(b"\xef\xbb\xbf") or (start.isascii() and min(start) >= 9)


def _damaged(file: Path) -> InputError:
    what = "is a Parquet file that is damaged or cut short"
    return InputError(Problem(what, "", file, None, "write or copy it again"))
