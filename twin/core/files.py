"""Files that are there whole or not at all, and a lock that dies with its process."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

UNFINISHED = "-unfinished"
"""End of the name of a file that is being written; it begins with a dot and the file's own."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give an empty file beside `path`, named `.NAME-unfinished`, to be written instead.

    It takes the place of `path` at the end; after an error it is removed and `path` is as it was.
    Whoever writes the same file waits, so what is there before belongs to a process that died, and
    goes. Raises OSError.
    """
    unfinished = path.with_name(f".{path.name}{UNFINISHED}")
    with locked(path.with_name(f".{path.name}-lock"), wait=True):
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            yield unfinished
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Give an empty folder at `folder`, which goes at the end.

    Whoever asks for the same one waits, so what is there before belongs to a process that died, and
    goes. Raises OSError.
    """
    with locked(folder.with_name(f"{folder.name}-lock"), wait=True):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


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
    with replacing(path) as unfinished, unfinished.open("wb") as stream:
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
    text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
    # The name of a folder can hold bytes that are no text; escaped they can be written.
    return text if is_text(text) else json.dumps(facts, indent=2) + "\n"


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal. Raises OSError."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def same_directory() -> Iterator[None]:
    """Come back to the working directory at the end, whatever changed it."""
    try:
        before = Path.cwd()
    except OSError:
        # It was removed: there is nothing to come back to.
        yield
        return
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock on the file at `path`, which is made if need be and goes with the lock.

    The lock is the operating system's, so that it ends with the process however that ends. Where it
    is held already, be it by this process, `wait` until it ends, or raise BlockingIOError. Raises
    OSError where the file cannot be written.
    """
    from filelock import FileLock, Timeout

    # Whoever holds it may change the working directory.
    path = path.absolute()
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        raise BlockingIOError(errno.EWOULDBLOCK, "is locked", str(path)) from None
    try:
        yield
    finally:
        try:
            # Whoever waits for a file that is gone makes another. Windows removes no open file.
            with suppress(PermissionError):
                path.unlink(missing_ok=True)
        finally:
            lock.release()


def is_locked(path: Path) -> bool:
    """Return whether somebody holds the lock on the file at `path`.

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


def is_text(text: str) -> bool:
    """Return whether a text can be written in UTF-8, as names of files need not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
