"""Server-sent events: what happens is told to whoever listens; nobody who is slow is waited for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from twin.live.http.errors import HttpError

MOST_LISTENERS: Final = 64
_WAITING: Final = 16
"""Messages that wait for one listener; whoever is further behind is cut off, and comes again."""
_QUIET_S: Final = 15.0
"""A sign of life after so long, so that no proxy takes the stream for dead."""


class EventStream:
    """The listeners of one twin. All of it runs in the thread of the event loop."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[bytes | None]] = set()
        self._last: bytes | None = None

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def tell(self, kind: str, number: int, facts: dict[str, Any]) -> None:
        """Send one event to all; `number` is its id, from which a client knows what it missed."""
        data = json.dumps(facts, separators=(",", ":"), allow_nan=False)
        self._send(f"event: {kind}\nid: {number}\ndata: {data}\n\n".encode())

    def end(self) -> None:
        """End every stream: the twin stops."""
        self._send(None)

    def _send(self, message: bytes | None) -> None:
        self._last = message if message is not None else self._last
        for queue in list(self._listeners):
            if queue.full():
                # Its stream ends once it has read what waits; a browser then connects again.
                queue.get_nowait()
                queue.put_nowait(None)
                self._listeners.discard(queue)
            else:
                queue.put_nowait(message)

    def listen(self) -> AsyncIterator[bytes]:
        """Return the bytes of one listener's stream, from the latest event on.

        Raises HttpError where too many listen.
        """
        if len(self._listeners) >= MOST_LISTENERS:
            what = f"{MOST_LISTENERS} listen already"
            raise HttpError.later(503, what, 10)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)
        self._listeners.add(queue)
        if self._last is not None:
            queue.put_nowait(self._last)
        return self._stream(queue)

    async def _stream(self, queue: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
        try:
            yield b"retry: 2000\n\n"
            while True:
                try:
                    message = await asyncio.wait_for(queue.get(), _QUIET_S)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if message is None:
                    return
                yield message
        finally:
            self._listeners.discard(queue)
