"""Connections on which no request comes: they are ended, so that they keep nobody else out."""

from __future__ import annotations

import asyncio
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S: Final = 10.0
"""How long a client may take to send the head of a request."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, which by itself waits for a first request for ever.

    It also ends its own waiting with every byte that comes, so that a byte now and then would keep
    a connection for good: within a head, or of a body that nobody reads since its request has been
    refused. As many connections as the server takes at once would so shut everybody out, and none
    of it needs a token.
    """

    head_s: float = HEAD_S
    _ends: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what comes."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self._forget()

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
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
