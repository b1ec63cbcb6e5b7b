"""Bodies of requests: bounded in bytes, as sent and as unpacked, in time, and in number at once."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from starlette.requests import ClientDisconnect, Request

from twin.live.http.errors import HttpError

T = TypeVar("T")

_SMALLER: Final = "send it in smaller parts"
_GZIP: Final = 16 + zlib.MAX_WBITS
_MOST_MEMBERS: Final = 64
"""Parts that gzip packed one by one: each costs a copy of the rest."""


@dataclass(frozen=True)
class BodyLimits:
    """What is taken of one request, and of all at once."""

    sent_bytes: int = 16 * 2**20
    unpacked_bytes: int = 64 * 2**20
    seconds: float = 30.0
    """From the head of a request to the end of its body."""
    at_once: int = 8
    """Bodies that are being read and taken in."""


class BodyReader:
    """Reads bodies within the limits; one reader for a whole application."""

    def __init__(self, limits: BodyLimits) -> None:
        self.limits = limits
        self._under_way = 0
        # What is read takes ten times a body's memory, and two threads read no faster than one.
        self._reads = asyncio.Lock()

    async def __aenter__(self) -> BodyReader:
        """Take a place among the bodies that are under way. Raises HttpError where none is left."""
        if self._under_way >= self.limits.at_once:
            what = f"{self.limits.at_once} bodies are being taken in already"
            raise HttpError.later(429, what, 1)
        self._under_way += 1
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._under_way -= 1

    async def read(
        self, request: Request, make: Callable[[bytes], T], most_bytes: int | None = None
    ) -> T:
        """Return what `make` makes of the body, unpacked if its encoding is gzip.

        It is made in a thread, of one body at a time. Raises HttpError, and what `make` does.
        """
        most = min(most_bytes or self.limits.sent_bytes, self.limits.sent_bytes)
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip", "snappy"):
            what = f"is not known: {encoding[:60]}"
            raise HttpError(415, what, "Content-Encoding", "send it plain, or with gzip")
        try:
            async with asyncio.timeout(self.limits.seconds):
                data = await _sent(request, most)
        except TimeoutError:
            what = f"did not come within {self.limits.seconds:g} s"
            raise HttpError(408, what, "body", _SMALLER) from None
        except ClientDisconnect:
            raise HttpError(400, "ended before its stated length", "body") from None
        async with self._reads:
            # Remote write's block of snappy states its size, and is unpacked by whoever reads it.
            if "gzip" in encoding:
                data = await asyncio.to_thread(_unpacked, data, self.limits.unpacked_bytes)
            return await asyncio.to_thread(make, data)


async def _sent(request: Request, most: int) -> bytes:
    stated = request.headers.get("content-length", "")
    if stated.isascii() and stated.isdecimal() and (len(stated) > 15 or int(stated) > most):
        raise _too_large(most)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
    return b"".join(parts)


def _unpacked(data: bytes, most: int) -> bytes:
    """Return what gzip packed, member by member, and no more than `most` bytes of it."""
    parts: list[bytes] = []
    size = 0
    while data:
        if len(parts) == _MOST_MEMBERS:
            raise HttpError(413, f"has more than {_MOST_MEMBERS} parts", "body", "pack it as one")
        unpacker = zlib.decompressobj(_GZIP)
        try:
            part = unpacker.decompress(data, most - size + 1)
        except zlib.error:
            raise HttpError(400, "is not what gzip makes", "body") from None
        size += len(part)
        if size > most:
            what = f"is larger than {most:,} bytes once it is unpacked"
            raise HttpError(413, what, "body", _SMALLER)
        if not unpacker.eof:
            raise HttpError(400, "ends within what gzip packed", "body")
        parts.append(part)
        data = unpacker.unused_data
    return b"".join(parts)


def _too_large(most: int) -> HttpError:
    return HttpError(413, f"is larger than {most:,} bytes", "body", _SMALLER)
