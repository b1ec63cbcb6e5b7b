"""A limit on how long a policy may take, which interrupts it where the system can."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, NoReturn, TypeVar

T = TypeVar("T")

_AGAIN_S: Final = 0.05
"""Seconds until a policy that caught the interruption is interrupted again."""


class TimeIsUp(BaseException):
    """Raised inside a policy that takes too long; no `except Exception` there catches it."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns. Raises TimeIsUp where that takes longer than `seconds`.

    In the main thread of a system with interval timers it is raised inside of the call, once they
    have passed; elsewhere, and where somebody else uses the timer, after it. Code that does not
    return to Python cannot be interrupted.
    """
    begin = time.perf_counter()
    answer = _interrupted(seconds, call) if _can_interrupt() else call()
    if time.perf_counter() - begin > seconds:
        raise TimeIsUp
    return answer


def _interrupted(seconds: float, call: Callable[[], T]) -> T:
    before = signal.getsignal(signal.SIGALRM)
    try:
        signal.signal(signal.SIGALRM, _ring)
        signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_S)
        return call()
    finally:
        try:
            _stop(before)
        except TimeIsUp:  # it rang while it was being stopped
            _stop(before)


def _stop(before: Any) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def _ring(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    raise TimeIsUp


def _can_interrupt() -> bool:
    if not hasattr(signal, "setitimer"):
        return False
    if threading.current_thread() is not threading.main_thread():
        return False
    return signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
