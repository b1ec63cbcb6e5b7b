"""Benchmarks of batches: what a second worker brings, and what a run costs beside itself.

    python tests/bench/batches.py [throughput|overhead|memory]...

Workers are single-threaded throughout. Rounds of both sides are run in turn.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import yaml

import twin
from twin.batches.execute.executors import InProcess, WorkerProcesses
from twin.batches.plan.planner import plan

ROUNDS = 3
RUNS = 200
LONG = {
    "demand": {"facilities": 8, "length": "37d"},
    "policies": ["static_p95", "rolling_max", "conformal"],
    "replay": {"duration": "2d"},
}
"""A scenario whose run takes a third of a second or more."""
SHORT = {
    "demand": {"facilities": 1, "length": "2d"},
    "policies": ["static_p95", "rolling_max"],
    "replay": {"duration": "6h"},
}
"""A scenario whose run takes as little as one can."""


def sweep(folder: Path, scenario: dict[str, Any], runs: int) -> Path:
    """Write a sweep of `runs` runs at ten points."""
    events = [{"kind": "surge", "start": "1h", "duration": "1h", "factor": 1.5}]
    (folder / "bench.yaml").write_text(yaml.safe_dump(scenario | {"events": events}))
    factors = [round(1 + i / 10, 1) for i in range(10)]
    path = folder / f"sweep-{runs}.yaml"
    grid = {"events.0.factor": factors}
    data = {"scenario": "bench.yaml", "replications": runs // 10, "grid": grid}
    path.write_text(yaml.safe_dump(data))
    return path


def spent(out: Path) -> list[float]:
    """Return the seconds that each run of a batch took by itself."""
    return [json.loads(line)["run"]["wall_s"] for line in (out / "journal.jsonl").open()]


def timed(path: Path, out: Path, executor: Executor, chunks: int) -> float:
    """Return the seconds of a batch from its plan to its tables, with workers that are up."""
    planned = plan(path)
    gc.collect()
    begin = time.perf_counter()
    twin.batch(planned, out=out, executor=executor, chunks=chunks)
    return time.perf_counter() - begin


def throughput() -> Iterator[str]:
    """Yield how much faster two workers are than one."""
    with (
        tempfile.TemporaryDirectory() as name,
        WorkerProcesses(1) as one,
        WorkerProcesses(2) as two,
    ):
        folder = Path(name)
        path = sweep(folder, LONG, RUNS)
        warm = sweep(folder, LONG, 20)
        for executor, count in ((one, 1), (two, 2)):
            timed(warm, folder / f"warm-{count}", executor, count)
        ratios = []
        for i in range(ROUNDS):
            alone = timed(path, folder / f"one-{i}", one, 1)
            both = timed(path, folder / f"two-{i}", two, 2)
            ratios.append(alone / both)
            each = statistics.median(spent(folder / f"one-{i}"))
            shared = statistics.median(spent(folder / f"two-{i}"))
            yield (
                f"{RUNS} runs of {each:.3f} s: 1 worker {alone:.1f} s, 2 workers {both:.1f} s "
                f"({shared:.3f} s a run): {alone / both:.2f} times as fast"
            )
        yield f"median of {ROUNDS}: {statistics.median(ratios):.2f} times as fast"


def overhead() -> Iterator[str]:
    """Yield what a batch takes for a run beside the run itself."""
    runs = 1_000
    with tempfile.TemporaryDirectory() as name, WorkerProcesses(1) as worker, InProcess() as here:
        folder = Path(name)
        path = sweep(folder, SHORT, runs)
        keys = {"events.0.factor": {"low": 1.0, "high": 2.0}}
        drawn = {"scenario": str(folder / "bench.yaml"), "random": {"samples": runs, "keys": keys}}
        plan(drawn)
        begin = time.perf_counter()
        points = len(plan(drawn).points)
        planned = time.perf_counter() - begin
        yield f"planning: {1e3 * planned / points:.2f} ms a point, which all its replications share"
        for what, executor in (("in process", here), ("a worker process", worker)):
            timed(sweep(folder, SHORT, 20), folder / f"warm {what}", executor, 1)
            found = []
            for i in range(ROUNDS):
                out = folder / f"{what} {i}"
                took = timed(path, out, executor, 1)
                found.append(1e3 * (took - sum(spent(out))) / runs)
            own = 1e3 * statistics.median(spent(out))
            yield (
                f"{what}: {statistics.median(found):.2f} ms a run "
                f"({min(found):.2f}-{max(found):.2f}) beside the run's {own:.1f} ms"
            )


_PEAK = """
import resource, sys, twin
if __name__ == "__main__":
    twin.batch(sys.argv[1], out=sys.argv[2], workers=2)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def memory() -> Iterator[str]:
    """Yield the peak memory of the parent for more and more runs, and how many workers came up."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "peak.py").write_text(_PEAK)
        for runs in (1_000, 10_000):
            out = folder / str(runs)
            begin = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "peak.py", str(sweep(folder, SHORT, runs)), str(out)],
                cwd=folder, env=os.environ, capture_output=True, text=True, check=True,
            )  # fmt: skip
            took = time.perf_counter() - begin
            lines = (out / "journal.jsonl").open()
            workers = {json.loads(line)["run"]["worker"] for line in lines}
            yield (
                f"{runs} runs: {float(done.stdout):.0f} MiB, {took:.0f} s, "
                f"{len(workers)} workers came up"
            )


MODES = {"throughput": throughput, "overhead": overhead, "memory": memory}

if __name__ == "__main__":
    for mode in sys.argv[1:] or MODES:
        for line in MODES[mode]():
            print(f"{mode}: {line}", flush=True)
