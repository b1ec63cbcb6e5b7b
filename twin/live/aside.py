"""Work that a copy of this process does beside it: it writes what would hold up decisions.

A copy has the memory of the process as it was, at the cost of its page tables alone: what is
written is of one instant, whatever happens meanwhile. Where the system copies no processes cheaply
and safely, the work is done at once.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from twin.core.errors import InputError

_COPIES: Final = sys.platform == "linux"
_PATIENCE_S: Final = 600.0
"""A copy that takes longer is ended; a thread that is not in it may have held what it waits for."""
_LESS_URGENT: Final = 10
_MOST_SAID: Final = 4096
"""Bytes that a copy reports; a pipe takes them at once."""
_LONGEST: Final = 500
_FIRST_FREE: Final = 3
"""File numbers below are those of input, output and errors."""


class Aside:
    """One piece of work at a time."""

    def __init__(self, patience_s: float = _PATIENCE_S) -> None:
        """Begin with nothing to do; what takes longer than `patience_s` will be ended."""
        self._patience_s = patience_s
        self._pid: int | None = None
        self._said = -1
        self._began = 0.0
        self.took_s = 0.0
        """Seconds that the last piece took."""

    @property
    def busy(self) -> bool:
        """Whether work is under way."""
        return self._pid is not None

    def begin(self, work: Callable[[], object]) -> bool:
        """Let a copy of the process do some work; return False where it was done at once.

        Raises OSError where there can be no copy, and what work raises that is done at once.
        """
        self._began = time.monotonic()
        if not _COPIES:
            work()
            self.took_s = time.monotonic() - self._began
            return False
        here, there = os.pipe()
        try:
            with warnings.catch_warnings():
                # Other threads hold locks that the copy never lets go; it needs none of them.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
        except OSError:
            os.close(here)
            os.close(there)
            raise
        if pid == 0:
            _as_copy(work, there)
        os.close(there)
        self._pid, self._said = pid, here
        return True

    def ended(self) -> bool:
        """Return whether work that was under way has ended by now.

        Raises OSError and InputError where it failed.
        """
        if self._pid is None:
            return False
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if not pid:
            if time.monotonic() - self._began < self._patience_s:
                return False
            os.kill(self._pid, signal.SIGKILL)
            _, status = os.waitpid(self._pid, 0)
        self._end(status)
        return True

    def wait(self) -> bool:
        """Return whether work was under way, once it has ended. Raises as :meth:`ended` does."""
        busy = self.busy
        while self.busy and not self.ended():
            time.sleep(0.005)
        return busy

    def end(self) -> None:
        """End what is under way, whatever it is doing."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            os.close(self._said)
            self._pid = None

    def _end(self, status: int) -> None:
        said, self._pid = self._said, None
        try:
            report = os.read(said, _MOST_SAID)
        finally:
            os.close(said)
        if not report:
            raise OSError(0, f"the copy that writes them ended with {_ended_by(status)}")
        self.took_s, error = pickle.loads(report)
        if error is not None:
            raise error


def _as_copy(work: Callable[[], object], said: int) -> NoReturn:
    """Do the work of a copy, and end."""
    begin = time.monotonic()
    error: OSError | InputError | None = None
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM):
            # The process leaves in order, and what it writes last is its own; a copy just ends.
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
        # What the process listens on and locks is not the copy's to hold on to.
        for name in list(Path("/proc/self/fd").iterdir()):
            if _FIRST_FREE <= (handle := int(name.name)) != said:
                with suppress(OSError):
                    os.close(handle)
        os.nice(_LESS_URGENT)
        work()
    except OSError as failed:
        error = OSError(failed.errno or 0, (failed.strerror or str(failed))[:_LONGEST])
    except BaseException as failed:
        error = InputError(f"{type(failed).__name__}: {failed}"[:_LONGEST])
        if isinstance(failed, InputError):
            error = InputError(str(failed)[:_LONGEST])
    finally:
        with suppress(OSError):
            os.write(said, pickle.dumps((time.monotonic() - begin, error)))
        os._exit(0)


def _ended_by(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"exit code {code}"
