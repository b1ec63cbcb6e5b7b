"""Batches whose workers and whose own process are killed, again and again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import FULL
from sweeps import ROOT, Sweep, begun, tables, until

import twin

pytestmark = pytest.mark.long

RUNS, WORKERS_KILLED, PARENTS_KILLED = (300, 20, 10) if FULL else (90, 6, 3)
RETRIES = ("--retries", "20")
"""More than a run can be hit: how often one is tried again is tested elsewhere."""
NAP_S = 0.05
"""Time that each run takes at least, from where it says that it begins."""


class _Parent:
    """The process of a batch, started again whenever it is gone."""

    def __init__(self, arguments: list[str]) -> None:
        self._command = [sys.executable, "-m", "twin", "batch", *RETRIES, *arguments]
        self._environment = os.environ | {"PYTHONPATH": str(ROOT), "NAP": str(NAP_S)}
        self.process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.process = self._start()

    def end(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=300)
        return self.process.returncode, said


@pytest.fixture
def undisturbed(sweep: Sweep, tmp_path: Path, log: Path) -> tuple[Path, Path]:
    """A sweep, and the folder of a batch of it that nothing happened to."""
    path = sweep(replications=RUNS // 2, policies=["static_p95", "logged"])
    twin.batch(path, out=tmp_path / "undisturbed")
    assert begun(log) == RUNS
    log.write_text("")
    return path, tmp_path / "undisturbed"


def _busy_worker(log: Path, parent: _Parent) -> int:
    """Wait for a run to begin, and return the process that is at it."""
    seen = log.stat().st_size

    def fresh() -> bool:
        assert parent.process.poll() is None, "the batch ended before all that was to be killed"
        return log.stat().st_size > seen and log.read_text().splitlines()[-1].endswith("begin")

    until(fresh)
    return int(log.read_text().splitlines()[-1].split()[0])


def _unfinished(log: Path, pid: int) -> bool:
    """Return whether the last that a process said is that a run begins."""
    said = [line for line in log.read_text().splitlines() if line.startswith(f"{pid} ")]
    return said[-1].endswith("begin")


def _disturb(parent: _Parent, log: Path) -> int:
    """Kill workers and the batch itself; return how many of the workers had a run in hand."""
    rng = random.Random(1)
    victims = ["worker"] * WORKERS_KILLED + ["parent"] * PARENTS_KILLED
    rng.shuffle(victims)
    hit = 0
    for victim in victims:
        time.sleep(rng.uniform(0, 0.3))
        pid = _busy_worker(log, parent)
        if victim == "parent":
            parent.kill()
            continue
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            time.sleep(2 * NAP_S)
            hit += _unfinished(log, pid)
    return hit


def _check(parent: _Parent, log: Path, hit: int, out: Path, undisturbed: Path) -> None:
    code, said = parent.end()
    assert code == 0, said
    assert tables(out) == tables(undisturbed)
    journal = (out / "journal.jsonl").read_text().splitlines()
    assert len(journal) == RUNS
    # What was begun and not finished was in hand when its worker died.
    assert hit >= WORKERS_KILLED * 0.8
    ended = log.read_text().count("end")
    assert begun(log) - ended >= hit
    assert begun(log) >= RUNS + hit


def _processes(log: Path) -> set[int]:
    pids = {int(line.split()[0]) for line in log.read_text().splitlines()}
    return {pid for pid in pids if Path(f"/proc/{pid}").exists()}


def test_killed_workers_and_parents_cost_nothing(
    undisturbed: tuple[Path, Path], log: Path, tmp_path: Path
) -> None:
    path, calm = undisturbed
    parent = _Parent([str(path), "--workers", "2", "--out", str(tmp_path / "out")])
    hit = _disturb(parent, log)
    _check(parent, log, hit, tmp_path / "out", calm)
    # The workers of a batch that was killed go with it.
    until(lambda: not _processes(log))


def test_killed_dask_workers_and_parents_cost_nothing(
    undisturbed: tuple[Path, Path], log: Path, tmp_path: Path, monkeypatch, request
) -> None:
    path, calm = undisturbed
    monkeypatch.setenv("NAP", str(NAP_S))
    address = request.getfixturevalue("cluster")
    parent = _Parent([str(path), "--dask", address, "--out", str(tmp_path / "out")])
    hit = _disturb(parent, log)
    _check(parent, log, hit, tmp_path / "out", calm)
