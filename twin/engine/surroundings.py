"""What belongs to the whole process, and what a policy that runs in it leaves as it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any


class Surroundings:
    """The working directory and the standard streams, as they are when it is made."""

    def __init__(self) -> None:
        self._directory = _working_directory()
        self._out, self._err = sys.stdout, sys.stderr

    def restored(self) -> str:
        """Put back what is not as it was, and return what that is; empty where nothing is."""
        done = []
        if sys.stdout is not self._out or getattr(self._out, "closed", False):
            self._out = sys.stdout = _open(self._out, 1)
            done.append("closed or replaced the standard output")
        if sys.stderr is not self._err or getattr(self._err, "closed", False):
            self._err = sys.stderr = _open(self._err, 2)
            done.append("closed or replaced the standard error stream")
        if _working_directory() != self._directory:
            os.chdir(self._directory)
            done.append("changed the working directory")
        return " and ".join(done)


def _open(stream: Any, descriptor: int) -> Any:
    """Return a stream as it was before it was closed, or what takes its place."""
    if not getattr(stream, "closed", False):
        return stream
    if getattr(stream, "name", None) not in ("<stdout>", "<stderr>", descriptor):
        return Path(os.devnull).open("w", encoding="utf-8")
    # Closing Python's own streams leaves their descriptors open.
    return open(descriptor, "w", encoding=stream.encoding, closefd=False)


def _working_directory() -> bytes:
    """Return the working directory; empty where it has been removed."""
    try:
        return os.getcwdb()  # noqa: PTH109 - asked at every decision
    except OSError:
        return b""
