"""A small sweep whose runs say when they are made, and a Dask cluster to make them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]

POLICY = '''
import os
import time

import numpy as np
from twin import Policy


class Logged(Policy):
    """Says when it is made ready, and takes its time over it."""

    level: float = 300.0

    def fit(self, history):
        self._say("begin")
        time.sleep(float(os.environ.get("NAP", "0")))
        self._say("end")

    def allocate(self, observation):
        if self.level < 0:
            raise ValueError("a level below 0")
        return np.full(len(observation.demand_mbps[0]), self.level)

    def _say(self, what):
        handle = os.open(os.environ["LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{os.getpid()} {what}\\n".encode())
        os.close(handle)
'''

SCENARIO = {
    "seed": 7,
    "demand": {"facilities": 2, "length": "4d"},
    "replay": {"duration": "12h"},
    "policies": ["static_p95", "last_value", {"name": "logged", "use": "logged"}],
    "events": [{"kind": "surge", "start": "2h", "duration": "1h", "factor": 1.5}],
}

TABLES = ("runs.parquet", "comparisons.csv")

Sweep = Callable[..., Path]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which runs say that they begin and end."""
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("LOG", str(path))
    return path


@pytest.fixture
def sweep(tmp_path: Path, log: Path) -> Sweep:
    """Write a sweep of the small scenario; return its path."""
    (tmp_path / "logged.py").write_text(POLICY)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SCENARIO))

    def write(**blocks: Any) -> Path:
        path = tmp_path / "sweep.yaml"
        data = {"scenario": "small.yaml", "grid": {"events.0.factor": [1.2, 2.0]}} | blocks
        path.write_text(yaml.safe_dump(data))
        return path

    return write


def tables(folder: Path) -> list[bytes]:
    """Return the bytes of a batch's tables."""
    return [(folder / name).read_bytes() for name in TABLES]


def begun(log: Path) -> int:
    """Return how many runs have begun."""
    return log.read_text().count("begin")


@pytest.fixture
def cluster(tmp_path: Path, log: Path) -> Iterator[str]:
    """A Dask scheduler and two worker processes on loopback; its address."""
    pytest.importorskip("distributed")
    note = tmp_path / "scheduler.json"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    local = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(note)]

    def dask(what: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *local, *options]
        return subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL)

    scheduler = dask("scheduler", "--port", "0")
    workers = None
    try:
        until(note.exists)
        workers = dask("worker", "--nworkers", "2", "--nthreads", "1")
        yield yaml.safe_load(note.read_text())["address"]
    finally:
        for process in (workers, scheduler):
            if process is not None:
                process.terminate()
                process.wait(30)


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
