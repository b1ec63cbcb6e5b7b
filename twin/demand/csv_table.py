"""CSV files: any of three separators, compressed or not, with the line of every row."""

from __future__ import annotations

import codecs
import csv
import functools
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.core.errors import InputError, Problem
from twin.core.text import decode, line_at
from twin.core.units import counted
from twin.demand import preamble
from twin.demand.locations import SHOWN, Location, check_values, not_shown, refuse
from twin.demand.spec import DemandSpec
from twin.demand.unpack import unpacked

BLOCK = 1 << 24
"""Bytes parsed at once; a row must fit."""

_VALUE = re.compile(r"\s*[+-]?(\d[\d.eE+-]*|\d{4}-\d{2}-\d{2}.*)\s*")

_CLOSE = "close every quote"


class CsvTable:
    """The columns of a CSV file: UTF-8 or as stated; comma, semicolon, tab or bar; LF or CRLF.

    Raises InputError where the text cannot be read as a table with a header and rows.
    """

    def __init__(self, file: Path, data: bytes, limits: DemandSpec) -> None:
        self.file = file
        self._limits = limits
        self._data = _text(file, data, limits)
        self._data, start, self._separator, self.ends, self.notes = preamble.find(self._data)
        self._body = self._data.index(b"\n", start) + 1
        self.header: int | None = line_at(self._data, start)
        header = self._data[start : self._body].decode()
        try:
            cells = next(csv.reader([header], delimiter=self._separator))
        except csv.Error as error:
            what = f"cannot be split into cells: {error}"
            raise InputError(Problem(what, "", file, self.header, _CLOSE)) from None
        # A header that is a comment: its first name begins after the mark.
        self.names: Sequence[str] = [cells[0].lstrip("# "), *cells[1:]] if cells else cells
        self.names = [name.strip() for name in self.names]
        self._check_header()

    def _check_header(self) -> None:
        named = [name for name in self.names if name]
        alone = len(self.names) == 1 and self.names[0][:1].isdigit()
        values = alone or _VALUE.fullmatch(self.names[0])
        if values and not {"time", "internet"} & set(named):
            what = "has no header: the first line holds values"
            remedy = "write the names of the columns above it, such as 'time,link,internet'"
            raise InputError(Problem(what, "", self.file, self.header, remedy))
        twice = sorted(name for name, count in Counter(named).items() if count > 1)
        what = "two columns are named '{}'"
        refuse([Problem(what.format(name), "", self.file, self.header) for name in twice])
        if not self._data[self._body :].strip():
            raise InputError(Problem("has a header, but no samples", "", self.file))

    def load(self, wanted: Sequence[str], repeated: str | None = None) -> dict[str, Any]:
        """Return the `wanted` columns as Arrow text, null where a cell is empty.

        `repeated` is a column of few distinct texts. Raises InputError naming the lines that
        have too many or too few cells.
        """
        import pyarrow as pa
        from pyarrow import csv as arrow

        lines = self._data.count(b"\n", self._body)
        check_values(self.file, lines, len(wanted), self._limits)
        place = {name: str(column) for column, name in enumerate(self.names)}
        keys = {name: place[name] for name in wanted}
        types = dict.fromkeys(keys.values(), pa.string())
        if repeated is not None:
            types[keys[repeated]] = pa.dictionary(pa.int32(), pa.string())
        everything = [str(k) for k in range(len(self.names))]
        try:
            table = arrow.read_csv(
                pa.BufferReader(pa.py_buffer(memoryview(self._data)[self._body :])),
                arrow.ReadOptions(column_names=everything, block_size=BLOCK),
                arrow.ParseOptions(delimiter=self._separator),
                arrow.ConvertOptions(
                    column_types=types,
                    include_columns=list(types),
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid as error:
            self._refuse_ragged()
            raise InputError(Problem(f"is not a table: {error}", "", self.file)) from None
        return {name: table.column(key) for name, key in keys.items()}

    def _refuse_ragged(self) -> None:
        header = len(self.names)
        wrong = [(line, len(cells)) for line, cells in self._rows() if len(cells) != header]
        problems = []
        for line, count in wrong[:SHOWN]:
            what = f"has {counted(count, 'cell')}, but the header has {header}"
            remedy = "leave a missing cell empty, but keep its separator"
            if count > header:
                remedy = "quote a cell that holds the separator; write decimals with a point"
            problems.append(Problem(what, "", self.file, line, remedy))
        refuse(problems + not_shown(len(wrong), "", self.file))

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        text = io.StringIO(self._data[self._body :].decode(), newline="")
        reader = csv.reader(text, delimiter=self._separator)
        before = self._data.count(b"\n", 0, self._body)
        try:
            for cells in reader:
                if cells:
                    yield before + reader.line_num, cells
        except csv.Error as error:
            line = before + reader.line_num
            raise InputError(
                Problem(f"cannot be split into cells: {error}", "", self.file, line, _CLOSE)
            ) from None

    @functools.cached_property
    def _lines(self) -> NDArray[np.int64]:
        return np.fromiter((line for line, _ in self._rows()), np.int64)

    def locate(self, row: int) -> Location:
        """Return the location of a row, counted from 0."""
        return Location(self.file, int(self._lines[row]))


def _text(file: Path, data: bytes, limits: DemandSpec) -> bytes:
    """Return UTF-8 with LF at the end of every line, unpacked and without a byte order mark."""
    data = unpacked(file, data, limits.max_bytes)
    if data.startswith(b"PAR1"):
        raise InputError(Problem("is a Parquet file", "", file, None, "use 'source: parquet'"))
    if data.startswith(b"PK\x03\x04"):
        workbook = b"[Content_Types].xml" in data[:2000] or b"xl/" in data[:4000]
        what = "is an Excel workbook" if workbook else "is a zip archive"
        remedy = "use 'source: excel'" if workbook else "unpack it first"
        raise InputError(Problem(what, "", file, None, remedy))
    data = _in_utf_8(file, data, limits)
    if not data.strip():
        raise InputError(Problem("is empty", "", file))
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(b"\n ") + b"\n"


def _in_utf_8(file: Path, data: bytes, limits: DemandSpec) -> bytes:
    encoding = codecs.lookup(limits.encoding).name
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    if encoding in ("utf-8", "utf-8-sig"):
        data = data.removeprefix(codecs.BOM_UTF8)
        remedy = "save the file in UTF-8, or state its encoding, such as 'encoding: cp1252'"
        if b"\0" in data:
            line = line_at(data, data.index(b"\0"))
            raise InputError(Problem("is not text", "", file, line, "save it as CSV in UTF-8"))
        decode(data, file, suggestion=remedy)
        return data
    try:
        # Of another encoding as many bytes as characters; in UTF-8 up to twice as many.
        return data.decode(encoding).removeprefix("\ufeff").encode()
    except UnicodeError as error:
        place = error.start if isinstance(error, UnicodeDecodeError) else 0
        what = f"is not text in '{encoding}', as 'encoding' says"
        raise InputError(Problem(what, "", file, line_at(data, place))) from None
