"""A limit on how long a policy may take, which interrupts it where the system can."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Final

_AGAIN_S: Final = 0.05
"""Seconds until a policy that caught the interruption is interrupted again."""


class TimeIsUp(BaseException):
    """Raised inside a policy that takes too long; no `except Exception` there catches it."""


class Deadline:
    """A block that is to be over within some seconds; `missed` tells afterwards whether it was.

    In the main thread of a system with interval timers, :class:`TimeIsUp` is raised inside the
    block once they have passed; elsewhere, and where somebody else uses the timer, the block runs
    to its end. Code that never returns to Python cannot be interrupted.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._armed = False

    def __enter__(self) -> Deadline:
        self._begin = time.perf_counter()
        if _can_interrupt():
            self._before = signal.signal(signal.SIGALRM, self._ring)
            self._armed = True
            signal.setitimer(signal.ITIMER_REAL, max(self._seconds, 1e-6), _AGAIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        if self._armed:
            self._armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before)
        self.missed = time.perf_counter() - self._begin > self._seconds

    def _ring(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._armed:
            raise TimeIsUp


def _can_interrupt() -> bool:
    if not hasattr(signal, "setitimer"):
        return False
    if threading.current_thread() is not threading.main_thread():
        return False
    return signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
