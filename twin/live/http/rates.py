"""How often each may ask: a bucket of requests that fills again at a steady rate."""

from __future__ import annotations

from typing import Final

PER_SECOND: Final = 50.0
"""Requests a second that a token may make for ever."""
AT_ONCE: Final = 200.0
"""Requests that a token may make at once after a pause."""


class RateLimit:
    """One bucket for each name; times are seconds of any clock that only goes forward."""

    def __init__(self, per_second: float = PER_SECOND, at_once: float = AT_ONCE) -> None:
        self._per_second, self._at_once = per_second, at_once
        self._left: dict[str, tuple[float, float]] = {}

    def wait_s(self, name: str, now: float) -> float:
        """Take one request of `name`, and return 0; or the seconds until it may ask again."""
        left, since = self._left.get(name, (self._at_once, now))
        left = min(left + (now - since) * self._per_second, self._at_once)
        if left < 1:
            self._left[name] = (left, now)
            return (1 - left) / self._per_second
        self._left[name] = (left - 1, now)
        return 0.0
