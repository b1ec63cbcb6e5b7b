"""Who runs a batch: any number of workers, and workers that die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
import yaml
from sweeps import ROOT, Sweep, begun, tables, until

import twin
from twin.batches.execute.executors import WorkerProcesses
from twin.cli.main import call

pytestmark = pytest.mark.long


def test_any_number_of_workers_gives_the_same_bytes(sweep: Sweep, tmp_path: Path) -> None:
    path = sweep(replications=5, intervals=True)
    for workers in (1, 2, 3):
        twin.batch(path, out=tmp_path / f"out{workers}", workers=workers)
    one, *others = (tables(tmp_path / f"out{workers}") for workers in (1, 2, 3))
    assert all(other == one for other in others)
    kept = {f.name: f.read_bytes() for f in (tmp_path / "out1" / "intervals").iterdir()}
    assert len(kept) == 10
    for workers in (2, 3):
        folder = tmp_path / f"out{workers}" / "intervals"
        assert {f.name: f.read_bytes() for f in folder.iterdir()} == kept


def test_dask_gives_the_same_bytes(sweep: Sweep, tmp_path: Path, cluster: str) -> None:
    path = sweep(replications=5, policies=["static_p95", "rolling_max", "conformal"])
    twin.batch(path, out=tmp_path / "here")
    assert call(["batch", str(path), "--dask", cluster, "--out", str(tmp_path / "there")]) == 0
    assert tables(tmp_path / "there") == tables(tmp_path / "here")


def test_the_caller_owns_the_executor(sweep: Sweep) -> None:
    from concurrent.futures import ThreadPoolExecutor

    path = sweep(replications=3)
    with ThreadPoolExecutor(2) as executor:
        found = twin.batch(path, executor=executor)
        assert executor.submit(len, "ab").result() == 2
    assert found.runs.equals(twin.batch(path).runs)


def test_numbers_of_workers_are_checked(sweep: Sweep) -> None:
    for wrong in ({"workers": -1}, {"retries": -1}, {"chunks": 0}):
        with pytest.raises(twin.InputError, match="must be at least"):
            twin.batch(sweep(), **wrong)


def test_a_script_without_its_guard_is_told_so(sweep: Sweep, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import twin\ntwin.batch({str(sweep())!r}, workers=2)\n")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "RunError: no worker process comes up; a script that starts them" in done.stderr


KILLER = """
import os
import signal

import numpy as np
from twin import Policy


class Killer(Policy):
    level: float = 1.0

    def allocate(self, observation):
        if self.level < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.full(len(observation.demand_mbps[0]), self.level)
"""


def test_a_run_that_kills_its_worker_is_given_up_and_costs_no_other(
    sweep: Sweep, tmp_path: Path
) -> None:
    sweep()
    (tmp_path / "killer.py").write_text(KILLER)
    scenario = yaml.safe_load((tmp_path / "small.yaml").read_text())
    scenario["policies"] = ["logged", {"use": "killer"}]
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(scenario))
    path = sweep(grid={"policies.1.level": [1.0, -1.0, 2.0]}, replications=4)
    found = twin.batch(path, out=tmp_path / "out", workers=2, retries=1)
    failed = found.runs[found.runs["status"] == "failed"]
    assert set(failed["policies.1.level"]) == {-1.0}
    assert set(failed["error"]) == {"its worker died 2 times"}
    assert (found.runs["status"] == "done").sum() == 16
    assert found.progress.failed == 4


def test_an_interrupted_batch_keeps_what_is_done_and_goes_on(
    sweep: Sweep, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = sweep(replications=30), tmp_path / "out"
    monkeypatch.setenv("NAP", "0.2")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "twin", "batch", str(path), "--workers", "2", "--out", str(out)],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        # Whoever is started in the background may have been told to ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    journal = out / "journal.jsonl"
    until(lambda: journal.exists() and len(journal.read_bytes()) > 2_000)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1] == (
        f"interrupted: what was finished is kept in {out}/; the same command goes on"
    )
    kept = len(journal.read_text().splitlines())
    assert 0 < kept < 60
    # The interrupt may fall between lines of the journal and their rows: those come later.
    assert kept - pd.read_parquet(out / "runs.parquet")["run_id"].nunique() in range(3)
    assert json.loads((out / "batch.json").read_text())["status"] == "stopped"
    log.write_text("")
    monkeypatch.setenv("NAP", "0")
    twin.batch(path, out=out)
    assert begun(log) == 60 - kept
    assert json.loads((out / "batch.json").read_text())["status"] == "complete"


def test_a_worker_that_dies_while_it_starts_counts_against_no_run(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = []
    pool = WorkerProcesses._pool

    def dying_at_first(self: WorkerProcesses, slot: int) -> ProcessPoolExecutor:
        new = self._pools[slot] is None
        given = pool(self, slot)
        if new and len(killed) < 3:
            # A spawned process imports for longer than this takes.
            killed.append([process.kill() for process in given._processes.values()])
        return given

    path = sweep(replications=2)
    monkeypatch.setattr(WorkerProcesses, "_pool", dying_at_first)
    monkeypatch.setattr(WorkerProcesses, "_try_one", lambda self: None)
    with WorkerProcesses(1) as executor:
        found = twin.batch(path, executor=executor, chunks=1, retries=0)
    assert len(killed) == 3
    assert found.runs.equals(twin.batch(path).runs)


def test_what_a_worker_was_killed_in_was_begun() -> None:
    with WorkerProcesses(1) as executor:
        future = executor.submit(signal.raise_signal, signal.SIGKILL)
        assert isinstance(future.exception(), BrokenExecutor)
        assert executor.began(future)
