"""Bodies of requests: bounded in bytes, as sent and as unpacked, in time, and in number at once."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
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
    small_bytes: int = 2**20
    """Up to which a body is small, as sent and as unpacked."""
    seconds: float = 30.0
    """From the head of a request to the end of its body."""
    small_at_once: int = 64
    large_at_once: int = 8
    """Bodies that come in, wait, or are read."""


class BodyReader:
    """Reads bodies within the limits; one reader for a whole application.

    Small bodies have places of their own and are read beside large ones, so that a collector that
    catches up with hours holds up none that sends its minute.
    """

    def __init__(self, limits: BodyLimits) -> None:
        self.limits = limits
        self.small = _Lane("small", limits.small_at_once)
        self.large = _Lane("large", limits.large_at_once)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[BodyPlace]:
        """Take a place for a body until what it held is taken in. Raises HttpError for none."""
        place = BodyPlace(self)
        try:
            yield place
        finally:
            place.leave()


class _Lane:
    """Bodies of one kind: a bounded number is under way, of which one is read at a time.

    What is read takes ten times a body's memory, and two threads read no faster than one.
    """

    def __init__(self, kind: str, most: int) -> None:
        self._kind, self._most = kind, most
        self._under_way = 0
        self.reads = asyncio.Lock()

    def enter(self) -> None:
        if self._under_way >= self._most:
            what = f"{self._most} {self._kind} bodies are being taken in already"
            raise HttpError.later(429, what, 1)
        self._under_way += 1

    def leave(self) -> None:
        self._under_way -= 1


class BodyPlace:
    """The place of one body: a small one, until it turns out to be large."""

    def __init__(self, reader: BodyReader) -> None:
        """Raise HttpError where no place is left."""
        self._reader, self._lane = reader, reader.small
        self._lane.enter()

    def leave(self) -> None:
        """Give it back."""
        self._lane.leave()

    def _hold(self, size: int) -> None:
        """Change the place where a body of so many bytes needs another. Raises HttpError."""
        large = self._reader.large
        if size > self._reader.limits.small_bytes and self._lane is not large:
            large.enter()
            self._lane.leave()
            self._lane = large

    async def read(
        self,
        request: Request,
        make: Callable[[bytes], T],
        most_bytes: int | None = None,
        size: Callable[[bytes], int] = len,
    ) -> T:
        """Return what `make` makes of the body, unpacked if its encoding is gzip.

        It is made in a thread. `size` says how many bytes `make` will unpack a body to. Raises
        HttpError, and what `make` does.
        """
        limits = self._reader.limits
        most = min(most_bytes or limits.sent_bytes, limits.sent_bytes)
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip", "snappy"):
            what = f"is not known: {encoding[:60]}"
            raise HttpError(415, what, "Content-Encoding", "send it plain, or with gzip")
        try:
            async with asyncio.timeout(limits.seconds):
                data = await self._sent(request, most)
        except TimeoutError:
            what = f"did not come within {limits.seconds:g} s"
            raise HttpError(408, what, "body", _SMALLER) from None
        except ClientDisconnect:
            raise HttpError(400, "ended before its stated length", "body") from None
        if "gzip" in encoding:
            async with self._lane.reads:
                data = await asyncio.to_thread(_unpacked, data, limits.unpacked_bytes)
        self._hold(size(data))
        async with self._lane.reads:
            return await asyncio.to_thread(make, data)

    async def _sent(self, request: Request, most: int) -> bytes:
        stated = request.headers.get("content-length", "")
        if stated.isascii() and stated.isdecimal():
            if len(stated) > 15 or int(stated) > most:
                raise _too_large(most)
            self._hold(int(stated))
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise _too_large(most)
            self._hold(size)
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
