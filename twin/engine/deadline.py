"""Limits on how long a policy, or a whole run, may take; they interrupt it where the system can."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, NoReturn, TypeVar

T = TypeVar("T")

_AGAIN_S: Final = 0.05
"""Seconds until code that caught the interruption is interrupted again."""

_deadlines: list[float] = []
"""When calls that are under way in the main thread have to end, the innermost last."""


class TimeIsUp(BaseException):
    """Raised inside code that takes too long; no `except Exception` there catches it."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns. Raises TimeIsUp where that takes longer than `seconds`.

    In the main thread of a system with interval timers it is raised inside of the call, once they
    have passed; elsewhere, and where somebody else uses the timer, after it. Code that does not
    return to Python cannot be interrupted. Within such a call there may be another.
    """
    deadline = time.perf_counter() + seconds
    answer = _interrupted(deadline, call) if _can_interrupt() else call()
    if time.perf_counter() > deadline:
        raise TimeIsUp
    return answer


def _interrupted(deadline: float, call: Callable[[], T]) -> T:
    before = signal.getsignal(signal.SIGALRM)
    outer = len(_deadlines)
    try:
        _deadlines.append(deadline)
        signal.signal(signal.SIGALRM, _ring)
        _set_timer()
        return call()
    finally:
        try:
            _end(outer, before)
        except TimeIsUp:  # it rang while it was being stopped
            _end(outer, before)


def _end(outer: int, before: Any) -> None:
    """Forget the innermost deadline, and go on with those around it."""
    del _deadlines[outer:]
    if not _deadlines:
        signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    _set_timer()


def _set_timer() -> None:
    if _deadlines:
        # A timer of 0 would be none.
        left = max(min(_deadlines) - time.perf_counter(), 1e-6)
        signal.setitimer(signal.ITIMER_REAL, left, _AGAIN_S)


def _ring(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    raise TimeIsUp


def _can_interrupt() -> bool:
    if not hasattr(signal, "setitimer"):
        return False
    if threading.current_thread() is not threading.main_thread():
        return False
    return bool(_deadlines) or signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
