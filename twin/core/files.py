"""Files that are there whole or not at all, and a lock that dies with its process."""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give an empty file beside `path`, named `.NAME-` and a random text, to be written instead.

    It takes the place of `path` at the end; after an error it is removed and `path` is as it was.
    Raises OSError.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_regular(path: Path) -> bytes:
    """Return the content of a file. Raises OSError, also for a pipe or a device, which may not end.

    Folders are told by their own error.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    return path.read_bytes()


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` write a file, whole or not at all; once this returns it is on the disk.

    Raises OSError.
    """
    with replacing(path) as temporary, temporary.open("wb") as stream:
        write(stream)
        stream.flush()
        os.fsync(stream.fileno())


def write_end(path: Path, start: int, data: bytes) -> None:
    """Write `data` at byte `start` of a file, as its end; once this returns it is on the disk.

    The file is made if need be. What lay beyond `start` is gone, also after an error, which leaves
    the file to end there. Raises OSError.
    """
    # Windows would translate line ends without the flag; other systems have no such flag.
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        os.lseek(handle, start, os.SEEK_SET)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.ftruncate(handle, start + len(data))
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, start)
        raise
    finally:
        os.close(handle)


def json_text(facts: dict[str, Any]) -> str:
    """Return facts as the text of a JSON file, indented for readers."""
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on the file at `path`, which is made if need be.

    The lock is the operating system's, so that it ends with the process however that ends. Raises
    BlockingIOError where it is held already, be it by this process, and OSError where the file
    cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise BlockingIOError(errno.EWOULDBLOCK, "is locked", str(path)) from None
    try:
        yield
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Return whether somebody holds the lock on the file at `path`; nothing is made or changed.

    False where that cannot be told, since the file may not be written here.
    """
    if not path.exists():
        return False
    try:
        with locked(path):
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def _umask() -> int:
    """Return what a new file may not allow; a temporary file is private whatever it says."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
