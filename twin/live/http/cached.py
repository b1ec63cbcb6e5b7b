"""Answers that many ask for and the twin's thread gives once for each interval."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

_MOST: Final = 256
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
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[key] = version, now, future
        self._answers.move_to_end(key)
        if len(self._answers) > _MOST:
            self._answers.popitem(last=False)
        try:
            future.set_result(await make())
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
