"""Files that are there whole or not at all, and the lock that dies with its process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from twin.core.files import is_locked, locked, replacing, write_end, write_whole

HOLDER = """
import sys
from pathlib import Path
from twin.core.files import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_file_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with replacing(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".a.txt-")
        temporary.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_after_an_error_a_file_is_as_it_was(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def fail(stream: object) -> None:
        stream.write(b"half")  # type: ignore[attr-defined]
        raise error

    with pytest.raises(error):
        write_whole(path, fail)
    assert path.read_text() == "before"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.skipif(os.name != "posix", reason="files have no such modes here")
def test_a_file_is_as_readable_as_any_other_new_one(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(tmp_path / "a", lambda stream: stream.write(b""))
        write_end(tmp_path / "b", 0, b"")
        assert [(tmp_path / name).stat().st_mode & 0o777 for name in "ab"] == [0o640, 0o640]
    finally:
        os.umask(before)


def test_the_end_of_a_file_is_written_over_what_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    write_end(path, 0, b"one\ntwo, and a line that was c")
    write_end(path, 4, b"2\n")
    assert path.read_bytes() == b"one\n2\n"
    write_end(path, 6, b"3\r\n")
    assert path.read_bytes() == b"one\n2\n3\r\n"


def test_the_end_of_a_file_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"one\n")
    write, written = os.write, []

    def fill(handle: int, data: memoryview) -> int:
        if written:
            raise OSError(28, "No space left on device")
        written.append(write(handle, data[:2]))
        return written[0]

    monkeypatch.setattr(os, "write", fill)
    with pytest.raises(OSError, match="No space left"):
        write_end(path, 4, b"two\n")
    assert path.read_bytes() == b"one\n"


def test_a_lock_is_held_once_and_asking_for_it_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    assert names(tmp_path) == []
    with locked(path):
        assert is_locked(path)
        with pytest.raises(BlockingIOError), locked(path):
            pass
        assert is_locked(path)
    assert not is_locked(path)


def test_a_killed_process_lets_go_of_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_locked(path)
        holder.kill()
        holder.wait(30)
        assert not is_locked(path)
        with locked(path):
            pass
