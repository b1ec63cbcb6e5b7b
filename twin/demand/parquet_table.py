"""Parquet files: only the columns that are needed, repeated texts as codes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twin.core.errors import InputError, Problem
from twin.demand.columns import plain, plain_type
from twin.demand.locations import Location, check_values, too_much
from twin.demand.spec import DemandSpec


class ParquetTable:
    """The columns of a Parquet file. Raises InputError where it is not one, or damaged."""

    def __init__(self, file: Path, limits: DemandSpec) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self.file = file
        self._limits = limits
        with file.open("rb") as stream:
            _check_start(file, stream.read(4))
        try:
            opened = parquet.ParquetFile(file)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged(file) from error
        with opened:
            self._schema = opened.schema_arrow
            self._rows = opened.metadata.num_rows
        try:
            self.names: Sequence[str] = list(self._schema.names)
        except UnicodeDecodeError:
            raise InputError(
                Problem("a column's name is not UTF-8", "", file, None, _UTF_8)
            ) from None
        self.header: int | None = None
        twice = sorted(name for name, count in Counter(self.names).items() if count > 1)
        if twice:
            raise InputError(Problem(f"two columns are named '{twice[0]}'", "", file))
        if not self._rows:
            raise InputError(Problem("has columns, but no samples", "", file))

    def load(self, wanted: Sequence[str], repeated: str | None = None) -> dict[str, Any]:
        """Return the `wanted` columns as Arrow arrays; `repeated` holds few distinct texts."""
        import pyarrow as pa
        from pyarrow import parquet

        check_values(self.file, self._rows, len(wanted), self._limits)
        codes = []
        if repeated is not None and pa.types.is_string(self._schema.field(repeated).type):
            codes = [repeated]
        try:
            with parquet.ParquetFile(self.file, read_dictionary=codes) as opened:
                self._check_size(opened.metadata, set(wanted))
                table = opened.read(columns=list(wanted))
        except MemoryError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged(self.file) from error
        for name in wanted:
            self._check_text(name, table.column(name))
        return {name: table.column(name) for name in wanted}

    def _check_size(self, metadata: Any, wanted: set[str]) -> None:
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        if sum(group.total_byte_size for group in groups) <= self._limits.max_bytes:
            return
        columns = (group.column(k) for group in groups for k in range(group.num_columns))
        size = sum(
            column.total_uncompressed_size
            for column in columns
            if column.path_in_schema.split(".")[0] in wanted
        )
        if size > self._limits.max_bytes:
            what = f"{size} bytes once unpacked, more than {self._limits.max_bytes}"
            raise too_much(self.file, what, "max_bytes")

    def _check_text(self, name: str, column: Any) -> None:
        """Raise InputError where text is none, or codes stand for nothing.

        Arrow takes a file's word for both.
        """
        import pyarrow as pa

        text = plain_type(column)
        is_text = pa.types.is_string(text) or pa.types.is_large_string(text)
        if not is_text and not pa.types.is_dictionary(column.type):
            return
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            binary = pa.large_binary() if pa.types.is_large_string(text) else pa.binary()
            try:
                cells = plain(column).cast(binary).to_pylist()
            except pa.ArrowException:
                raise _damaged(self.file) from error
            row = next((row for row, cell in enumerate(cells) if not _is_utf_8(cell)), 0)
            what = "is not text in UTF-8"
            raise InputError(self.locate(row).problem(name, what, _UTF_8)) from None

    def locate(self, row: int) -> Location:
        """Return the location of a row, counted from 0."""
        return Location(self.file, row + 1, is_line=False)


_UTF_8 = "write the file again in UTF-8"


def _is_utf_8(cell: bytes | None) -> bool:
    try:
        (cell or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


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
