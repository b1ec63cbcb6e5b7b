"""Files read, and unpacked, no further than a stated number of bytes."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from twin.core.errors import InputError, Problem
from twin.core.files import read_regular
from twin.demand.locations import too_much

_LEAST: Final = 1 << 12
_MOST: Final = 1 << 20
"""Bytes of gzip that are unpacked at a time, from the least in each member on. What follows the end
of a member is copied, which for many small ones has to be little."""
_PART: Final = 1 << 20
"""Most bytes that are unpacked between two looks at how many there are by now."""


def read_bounded(file: Path, most: int) -> bytes:
    """Return the bytes of a file.

    Raises InputError where there are more than `most`, and OSError.
    """
    if (size := file.stat().st_size) > most:
        raise too_much(file, f"{size} bytes, more than {most}", "max_bytes")
    return read_regular(file)


def unpacked(file: Path, data: bytes, most: int) -> bytes:
    """Return what `data`, the bytes of `file`, hold once unpacked, be they packed or not.

    Raises InputError for a damaged file, and for one of more than `most` bytes.
    """
    import bz2
    import lzma

    kinds: dict[bytes, Callable[[bytes], Iterator[bytes]]] = {
        b"\x1f\x8b": _gunzipped,
        b"BZh": partial(_read, bz2.BZ2File),
        b"\xfd7zXZ": partial(_read, lzma.LZMAFile),
    }
    unpack = next((each for magic, each in kinds.items() if data.startswith(magic)), None)
    if unpack is None:
        return data
    parts: list[bytes] = []
    size = 0
    try:
        for part in unpack(data):
            size += len(part)
            if size > most:
                raise too_much(file, f"more than {most} bytes once unpacked", "max_bytes")
            parts.append(part)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
        what = "is a compressed file that is damaged or cut short"
        raise InputError(Problem(what, "", file, None, "copy it again")) from None
    return b"".join(parts)


def _read(kind: Callable[[BinaryIO], Any], data: bytes) -> Iterator[bytes]:
    """Yield what a packed file holds, as its library reads it."""
    with kind(io.BytesIO(data)) as stream:
        while part := stream.read(_PART):
            yield part


def _gunzipped(data: bytes) -> Iterator[bytes]:
    """Yield what a gzip file of any number of members holds, in a fraction of gzip.open's time."""
    view, member = memoryview(data), zlib.decompressobj(wbits=31)
    place, size = 0, _LEAST
    while place < len(data):
        piece = view[place : place + size]
        if member.eof:
            # Between two members, and after the last, there may be zeros.
            zeros = len(piece) - len(bytes(piece).lstrip(b"\0"))
            if zeros:
                place, size = place + zeros, min(2 * size, _MOST)
                continue
            member = zlib.decompressobj(wbits=31)
        yield member.decompress(piece, _PART)
        place += len(piece) - len(member.unused_data or member.unconsumed_tail)
        size = _LEAST if member.eof else min(2 * size, _MOST)
    yield member.flush()
    if not member.eof:
        raise EOFError
