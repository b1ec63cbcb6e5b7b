"""Connections that hold a place without use: they are ended, so that they keep nobody else out."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from twin.live.http.connections import Connections

HEAD_S: Final = 10.0
"""How long a client may take to send the head of a request."""
READING_S: Final = 30.0
"""How long a client may take to read so much of an answer:"""
LEAST_READ: Final = 2**16
"""Bytes of it, unless less is left."""
NO_PLACE: Final = "no_place"
"""Key of a request's state: why it came on a spare connection, or an empty text."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, which by itself waits for a first request for ever.

    It also ends its own waiting with every byte that comes, so that a byte now and then would keep
    a connection for good: within a head, or of a body that nobody reads since its request has been
    refused. And it waits for ever for a client that does not read its answer. As many connections
    as the server takes at once would so shut everybody out, and none of it needs a token.
    """

    places: ClassVar[Connections]
    """Of the server, which has a class of its own."""
    head_s: float = HEAD_S
    reading_s: float = READING_S
    _ends: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    def end(self) -> None:
        """Close it now, whatever is under way."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        why = self.places.enter(self, self.client[0] if self.client else "")
        self.app_state = {**self.app_state, NO_PLACE: why}
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what comes."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self.places.leave(self)
        self._forget()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read."""
        super().pause_writing()
        if self._unread is None:
            self._wait_for_reading()

    def resume_writing(self) -> None:
        """Go on: it reads."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _wait_for_reading(self) -> None:
        waits = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(self.reading_s, self._see_whether_it_reads, waits)

    def _see_whether_it_reads(self, waited: int) -> None:
        if self.transport.get_write_buffer_size() > waited - LEAST_READ:
            self.end()
        else:
            self._wait_for_reading()

    def _watch(self) -> None:
        """Wait while there is no request to answer; what comes meanwhile makes it no longer."""
        answered = self.cycle is not None and self.cycle.response_complete
        if not answered and self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._ends is None:
            self._ends = self.loop.call_later(self.head_s, self._end)

    def _forget(self) -> None:
        if self._ends is not None:
            self._ends.cancel()
            self._ends = None

    def _end(self) -> None:
        self._ends = None
        # Meanwhile an answer may be under way on a connection that was watched before it.
        if self.idle:
            self.transport.close()
