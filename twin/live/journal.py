"""A write-ahead journal: records that are on the disk before anybody relies on them.

A record has a head, with its length, kind and the checksum of all records so far, and a payload.
Records are only appended, and each is on the disk when :meth:`RecordJournal.append` returns: a
crash can cut off the last one alone, which was acknowledged to nobody. Anything else is damage, and
refused.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from twin.core.errors import InputError, Problem
from twin.live.samples import NotWrittenError

_HEAD: Final = struct.Struct("<II1sI")
"""Length of the payload, checksum so far, kind, and the checksum of these."""
_OWN: Final = 4
"""Bytes of the last."""
LONGEST: Final = 256 * 2**20
"""Bytes of the longest record."""


class Record(NamedTuple):
    """One thing that decides what the twin decides."""

    kind: bytes
    """One byte."""
    payload: bytes


class Position(NamedTuple):
    """Between two records of a journal: where to go on reading."""

    position: int = 0
    """Bytes from the start of the file."""
    checksum: int = 0
    """Of all records before it."""


class RecordJournal:
    """The journal in one file, at whose end records are appended."""

    def __init__(self, path: Path, place: Position) -> None:
        """Go on at `place`; what lies behind it in the file is gone. Raises OSError."""
        self._path, self._place = path, place
        # Windows would translate line ends without the flag; other systems have no such flag.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._handle = os.open(path, flags, 0o666)
        os.ftruncate(self._handle, place.position)
        os.fsync(self._handle)

    @property
    def place(self) -> Position:
        """Its end."""
        return self._place

    def append(self, kind: bytes, payload: bytes) -> None:
        """Add a record, which is on the disk when this returns.

        Raises NotWrittenError where the disk takes it not; the journal ends where it ended before,
        and it can be tried again.
        """
        if len(payload) > LONGEST:
            raise ValueError(f"a record of {len(payload)} bytes")
        checksum = _checksum(kind, payload, self._place.checksum)
        data = framed(kind, payload, self._place.checksum)
        try:
            os.lseek(self._handle, self._place.position, os.SEEK_SET)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._handle, rest) :]
            os.fsync(self._handle)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._handle, self._place.position)
            why = error.strerror or str(error)
            raise NotWrittenError(f"{self._path}: {why}") from error
        self._place = Position(self._place.position + len(data), checksum)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._handle)


def framed(kind: bytes, payload: bytes, before: int = 0) -> bytes:
    """Return a record as it stands in a journal, after records with the checksum `before`."""
    head = _HEAD.pack(len(payload), _checksum(kind, payload, before), kind, 0)[:-_OWN]
    return head + zlib.crc32(head).to_bytes(_OWN, "little") + payload


def framed_all(records: Iterable[Record]) -> bytes:
    """Return a journal of its first records."""
    data, checksum = b"", 0
    for kind, payload in records:
        data += framed(kind, payload, checksum)
        checksum = _checksum(kind, payload, checksum)
    return data


def _checksum(kind: bytes, payload: bytes, before: int) -> int:
    return zlib.crc32(payload, zlib.crc32(kind, before))


def read(path: Path, place: Position = Position()) -> Iterator[tuple[Record, Position]]:  # noqa: B008
    """Yield the records of a journal from `place` on, each with the place after it.

    It ends before a record that is cut off. Raises InputError for one that is damaged, OSError
    where the file cannot be read.
    """
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(place.position)
        while len(head := stream.read(_HEAD.size)) == _HEAD.size and any(head):
            length, checksum, kind, own = _HEAD.unpack(head)
            if own != zlib.crc32(head[:-_OWN]) or length > LONGEST:
                raise _damaged(path, place)
            after = place.position + _HEAD.size + length
            payload = stream.read(length) if after <= size else b""
            whole = len(payload) == length
            if not whole or checksum != _checksum(kind, payload, place.checksum):
                if after < size:
                    raise _damaged(path, place)
                return
            place = Position(after, checksum)
            yield Record(kind, payload), place


def _damaged(path: Path, place: Position) -> InputError:
    what = f"is damaged at byte {place.position}, and not by having been cut off"
    remedy = "restore it from a copy, or begin with an empty state"
    return InputError(Problem(what, file=path, suggestion=remedy))
