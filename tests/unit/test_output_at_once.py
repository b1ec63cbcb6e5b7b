"""Runs into one folder at once, and what those leave that are killed or interrupted."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Maker
from run_folders import names, put

import twin
from twin import InputError
from twin.cli.main import call
from twin.core.files import locked
from twin.results import exchange
from twin.results.folder import check_free
from twin.results.manifest_file import check_file, parsed


def test_of_two_runs_into_one_new_folder_the_second_is_refused(tmp_path: Path) -> None:
    out, refused = tmp_path / "out", []
    start = threading.Barrier(4)

    def write(number: int) -> None:
        start.wait()
        try:
            put(out, "a.csv", text=str(number))
        except InputError as error:
            refused.append(str(error))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert len(refused) == 3
    assert all("holds another run; choose another folder, or add --force" in e for e in refused)
    assert names(out) == {"a.csv", "manifest.json"}
    check_file(out, parsed(out / "manifest.json"), "a.csv")


def test_two_processes_with_one_new_folder_end_with_0_and_2(make: Maker, tmp_path: Path) -> None:
    path, out = make(np.full(40, 3.0)), tmp_path / "out"
    command = [sys.executable, "-m", "twin", "run", str(path), "--no-report", "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    runs = [
        subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    said = [run.communicate(timeout=60)[1].decode() for run in runs]
    assert sorted(run.returncode for run in runs) == [0, 2]
    assert "holds another run" in "".join(said)
    assert len(twin.load(out).intervals) == 20


LONG_WRITER = """
import sys, time
from pathlib import Path
from twin.results.folder import staged

with staged(Path(sys.argv[1]), force=True) as stage:
    (stage / "half.csv").write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_run_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    put(out, "a.csv")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", LONG_WRITER, str(out)], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as writer:  # fmt: skip
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        # Who asks whether it is free changes nothing; who writes waits for it.
        check_free(out, force=True)
        waits = threading.Thread(target=put, args=(out, "b.csv"), kwargs={"force": True})
        waits.start()
        waits.join(0.5)
        assert waits.is_alive()
        assert (out / ".twin-unfinished" / "half.csv").read_text() == "half"
        assert (out / "a.csv").is_file()
        writer.kill()
        writer.wait(30)
        waits.join(30)
    assert names(out) == {"b.csv", "manifest.json"}


def test_a_folder_that_a_killed_run_made_is_free(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / ".twin-unfinished").mkdir(parents=True)
    (out / ".twin-lock").touch()
    with pytest.raises(InputError, match="holds a run that was not finished; run it again"):
        twin.load(out)
    put(out, "a.csv")
    assert names(out) == {"a.csv", "manifest.json"}


def test_a_killed_writer_of_a_file_leaves_nothing_for_ever(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    (tmp_path / ".trace.csv-unfinished").write_text("half")
    (tmp_path / ".trace.csv-lock").touch()
    words = ["data", "synth", str(trace), "--facilities", "1", "--length", "1d"]
    assert call(words) == 0
    assert names(tmp_path) == {"trace.csv"}


def test_ctrl_c_while_files_move_leaves_the_new_run_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    put(out, "a.csv", "b.csv", "c.csv")
    replace, pressed = Path.replace, []

    def interrupted(self: Path, target: Path) -> Path:
        if self.name == "e.csv" and not pressed:
            pressed.append(True)
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        put(out, "d.csv", "e.csv", "f.csv", force=True)
    assert names(out) == {"d.csv", "e.csv", "f.csv", "manifest.json"}


def test_an_error_while_files_move_leaves_a_folder_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    put(out, "a.csv")
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if self.name == "c.csv":
            raise OSError(errno.EIO, "Input/output error")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(InputError, match="--out: cannot be written: Input/output error"):
            put(out, "b.csv", "c.csv", force=True)
        assert not (out / "manifest.json").exists()
        with pytest.raises(InputError, match="Input/output error"):
            twin.load(out)
    check_free(out, force=True)
    assert names(out) == {"b.csv", "c.csv", "manifest.json"}
    assert not exchange.unfinished(out)


def test_a_lock_goes_with_its_file(tmp_path: Path) -> None:
    path, held = tmp_path / "lock", []

    def hold() -> None:
        for _ in range(20):
            with locked(path, wait=True):
                held.append(1)
                assert sum(held) == 1
                held.pop()

    holders = [threading.Thread(target=hold) for _ in range(4)]
    for holder in holders:
        holder.start()
    for holder in holders:
        holder.join(60)
    assert held == []
    assert names(tmp_path) == set()
