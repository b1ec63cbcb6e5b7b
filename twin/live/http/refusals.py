"""Tokens that were refused: all are counted, and so many are logged that the log stays readable."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from twin.live.http.rates import RateLimit

_LOG: Final = logging.getLogger("twin.live.http")
_LINES_PER_SECOND: Final = 0.1
_LINES_AT_ONCE: Final = 10.0


class RefusedTokens:
    """Counts refused tokens by reason, and logs who came with them; never the token itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter({"absent": 0, "unknown": 0, "role": 0})
        self._clock = clock
        self._lines = RateLimit(_LINES_PER_SECOND, _LINES_AT_ONCE)
        self._unsaid = 0

    def absent(self) -> None:
        """Count a request without a token: a page asks so until somebody has entered one."""
        self.counts["absent"] += 1

    def unknown(self, peer: str, path: str) -> None:
        """Count a token that nobody has."""
        self._note("unknown", "a token that is not known", peer, path)

    def role(self, name: str, peer: str, path: str) -> None:
        """Count a token whose role does not do what was asked."""
        self._note("role", f"the token '{name}', whose role is another", peer, path)

    def _note(self, reason: str, what: str, peer: str, path: str) -> None:
        self.counts[reason] += 1
        if self._lines.wait_s("", self._clock()):
            self._unsaid += 1
            return
        more = f"; {self._unsaid} more since the last such line" if self._unsaid else ""
        self._unsaid = 0
        _LOG.warning("refused %s, from %s for %s%s", what, peer, path, more)
