"""Answers that many ask for and the twin's thread gives once for each interval."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

_MOST: Final = 256
_MOST_BYTES: Final = 64 * 2**20
"""Of all answers together: whoever asks for ever other ones takes no more than that."""
_YOUNG_S: Final = 1.0
"""An answer about what goes on inside an interval is repeated for so long."""


class AnswerCache:
    """Answers by what was asked; each is made by one request, and the others wait for it."""

    def __init__(self, version: Callable[[], int]) -> None:
        """Take what tells how many intervals have closed, or what else makes answers old."""
        self._version = version
        self._answers: OrderedDict[str, tuple[int, float, asyncio.Future[bytes]]] = OrderedDict()

    async def get(
        self, key: str, make: Callable[[], Awaitable[bytes]], young_s: float = _YOUNG_S
    ) -> bytes:
        """Return the answer to `key`, made anew for a new version or once `young_s` have passed."""
        version, now = self._version(), time.monotonic()
        kept = self._answers.get(key)
        if kept is not None and kept[0] == version and now - kept[1] < young_s:
            return await asyncio.shield(kept[2])
        self._drop_old(version)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[key] = version, now, future
        self._answers.move_to_end(key)
        try:
            future.set_result(await make())
            self._drop_many()
        except BaseException as error:
            self._answers.pop(key, None)
            if isinstance(error, Exception):
                future.set_exception(error)
                # Nobody may be waiting for it.
                future.exception()
            else:
                future.cancel()
            raise
        return future.result()

    def _drop_old(self, version: int) -> None:
        """Drop answers that nobody will be given any more."""
        for key in [key for key, kept in self._answers.items() if kept[0] != version]:
            del self._answers[key]

    def _drop_many(self) -> None:
        """Drop answers, the oldest first, until they are few and small enough."""
        sizes = {key: _size(kept[2]) for key, kept in self._answers.items()}
        size = sum(sizes.values())
        while len(self._answers) > 1 and (len(self._answers) > _MOST or size > _MOST_BYTES):
            size -= sizes[self._answers.popitem(last=False)[0]]


def _size(future: asyncio.Future[bytes]) -> int:
    """Return the bytes of an answer; 0 while it is being made."""
    there = future.done() and not future.cancelled() and future.exception() is None
    return len(future.result()) if there else 0
