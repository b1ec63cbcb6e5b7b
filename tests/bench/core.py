"""The core side by side with an earlier checkout, and what a step of a live source takes.

    python tests/bench/core.py [--before CHECKOUT] [--runs N] [JOB]...

Each job runs in turn in two processes that stay up, one on this checkout and one on the other, both
with this interpreter; a ratio is the median of the ratios run by run. Without `--before` the times
of this checkout stand alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


@cache
def scenario(name: str) -> object:
    """Return a checked scenario: `static` or `conformal` on 1,000 links, or `bilstm` on 100."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import yaml

    import twin

    links, samples, ticks, policies = {
        "static": (1_000, 12_700, 10_656, ["static_mean2sigma", "static_p95",
                   {"name": "p99", "use": "static_percentile", "q": 99}]),
        "conformal": (1_000, 4_600, 576, ["conformal"]),
        "bilstm": (100, 4_032, 2_016, ["bilstm"]),
        "gaps": (1_000, 4_600, 576, ["conformal"]),
    }[name]  # fmt: skip
    rng = np.random.default_rng(1)
    day = 1 + 0.5 * np.sin(np.arange(samples) * 2 * np.pi / 288)[:, None]
    demand = day * rng.uniform(50, 500, links) * rng.lognormal(0, 0.1, (samples, links))
    if name == "gaps":
        demand[rng.uniform(size=demand.shape) < 0.001] = np.nan
    columns = {f"link-{i + 1:04d}": demand[:, i] for i in range(links)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.parquet"
        pq.write_table(pa.table({"time": np.arange(samples) * 300} | columns), path)
        block = {"source": "parquet", "path": path.name, "layout": "wide",
                 "train": (samples - ticks + 0.5) / samples}  # fmt: skip
        (Path(folder) / "bench.yaml").write_text(
            yaml.safe_dump({"demand": block, "policies": policies})
        )
        return twin.Scenario.load(Path(folder) / "bench.yaml")


def whole(name: str) -> Callable[[], object]:
    """Return the run of a scenario, its summary included."""
    import twin

    checked = scenario(name)
    return lambda: twin.run(checked).summary  # type: ignore[arg-type]


def numpy_floor() -> Callable[[], object]:
    """Return the same summary as `static` with whole-array NumPy."""
    from bench import numpy_summary

    checked = scenario("static")
    demand = checked.trace.demand_mbps  # type: ignore[attr-defined]
    span = checked.span  # type: ignore[attr-defined]
    return lambda: numpy_summary(demand[: span.history], demand[span.first :])


def command() -> Callable[[], object]:
    """Return `twin run baseline --no-report`, as a process of its own."""
    folder = tempfile.mkdtemp()
    words = [sys.executable, "-m", "twin", "run", "baseline", "--no-report", "--force"]
    return lambda: subprocess.run([*words, "--out", folder], check=True, capture_output=True)


JOBS: dict[str, Callable[[], Callable[[], object]]] = {
    "static": lambda: whole("static"),
    "floor": numpy_floor,
    "conformal": lambda: whole("conformal"),
    "bilstm": lambda: whole("bilstm"),
    "gaps": lambda: whole("gaps"),
    "baseline": command,
}


def serve() -> None:
    """Run the jobs that are named on standard input, and answer each with its seconds."""
    sys.path.append(str(Path(__file__).parent))
    made: dict[str, Callable[[], object]] = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in made:
            made[name] = JOBS[name]()
            made[name]()
        begin = time.perf_counter()
        made[name]()
        print(json.dumps(time.perf_counter() - begin), flush=True)


def worker(checkout: Path) -> Callable[[str], float]:
    """Start a process on a checkout; return what runs a job there and tells its seconds."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=checkout,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    asked, answered = process.stdin, process.stdout

    def run(job: str) -> float:
        print(job, file=asked, flush=True)
        return float(json.loads(answered.readline()))

    return run


def compare(jobs: list[str], before: Path | None, runs: int) -> None:
    """Print each job's seconds, and their ratio to those of the other checkout."""
    now = worker(ROOT)
    then = None if before is None else worker(before)
    floor: list[float] = []
    for job in jobs:
        ours: list[float] = []
        theirs: list[float] = []
        floor = []
        for _ in range(runs):
            ours.append(now(job))
            if then is not None:
                theirs.append(then(job))
            if job == "static":
                floor.append(now("floor"))
        print(f"{job}: {statistics.median(ours):.3f} s", end="")
        for name, others in (("before", theirs), ("NumPy", floor)):
            if others:
                ratios = [a / b for a, b in zip(ours, others, strict=True)]
                print(
                    f"; {name} {statistics.median(others):.3f} s, ratio "
                    f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
                    end="",
                )
        print(flush=True)


def live() -> None:
    """Print what it takes to deliver an interval of 1,000 links and to step under `conformal`."""
    import twin
    from twin.telemetry.source import ReplaySource, head

    checked = scenario("conformal")
    trace, history = checked.trace, checked.span.history  # type: ignore[attr-defined]
    replay = ReplaySource(trace)
    simulation = twin.Simulation(twin.LiveSource(head(trace, history)), ["conformal"])
    simulation.start()
    taken = []
    for sample in range(history, trace.samples):
        row = {name: replay.rows(name, sample, sample + 1)[0].copy() for name in replay.kpis}
        begin = time.perf_counter()
        simulation.source.deliver(row)  # type: ignore[attr-defined]
        simulation.step()
        taken.append(1000 * (time.perf_counter() - begin))
    inside = np.percentile(taken, [50, 95, 99, 100])
    print(
        f"live: 1,000 links under conformal: a step takes {inside[0]:.2f} ms (median of "
        f"{len(taken)}), 95th percentile {inside[1]:.2f}, 99th {inside[2]:.2f}, "
        f"worst {inside[3]:.2f}  target 10"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--before", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("jobs", nargs="*")
    given = parser.parse_args()
    if given.serve:
        serve()
    else:
        wanted = given.jobs or ["static", "conformal", "bilstm", "baseline", "gaps", "live"]
        compare([job for job in wanted if job != "live"], given.before, given.runs)
        if "live" in wanted:
            live()
