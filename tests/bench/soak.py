"""Hundreds of runs in one process, and thousands in a batch: what they leave behind.

Prints memory, open files and threads as runs go on, and fails where they grow.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import twin
from twin.batches.batch import batch

RUNS = int(os.environ.get("SOAK_RUNS", "300"))
BATCH = int(os.environ.get("SOAK_BATCH", "2000"))
GROWTH_MIB = 48.0
"""What may come on top after the first third, in which pools and caches fill."""
SCENARIO = {
    "name": "soak",
    "demand": {"facilities": 4, "length": "5d"},
    "replay": {"duration": "12h"},
    "links": {"defaults": {"lead_time": "10min", "step": 10}},
    "policies": ["static_p95", "rolling_max", "conformal"],
    "events": [{"kind": "surge", "start": "2h", "duration": "1h", "factor": 1.5, "ramp": "5min"}],
}


class State(NamedTuple):
    """What the process holds."""

    mib: float
    files: int
    threads: int

    @classmethod
    def now(cls) -> State:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        mib = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        files, threads = (len(list(Path(f"/proc/self/{of}").iterdir())) for of in ("fd", "task"))
        return cls(mib, files, threads)

    def __str__(self) -> str:
        return f"{self.mib:7.1f} MiB, {self.files} files, {self.threads} threads"


def grown(states: list[State]) -> list[str]:
    """Return what grew from a third of the way to the end."""
    then, last = states[len(states) // 3], states[-1]
    said = []
    if last.mib > then.mib + GROWTH_MIB:
        said.append(f"memory grew from {then.mib:.1f} to {last.mib:.1f} MiB")
    if last.files > then.files:
        said.append(f"open files grew from {then.files} to {last.files}")
    if last.threads > then.threads:
        said.append(f"threads grew from {then.threads} to {last.threads}")
    return said


def runs() -> list[State]:
    """Run a scenario again and again, under other seeds, and save every tenth result."""
    states = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(RUNS):
            result = twin.run(SCENARIO, seed=number)
            if number % 10 == 0:
                result.save(Path(folder) / "out", force=True)
            if number % max(RUNS // 10, 1) == 0 or number == RUNS - 1:
                states.append(State.now())
                print(f"run {number + 1:5}: {states[-1]}", flush=True)
    return states


def batches() -> list[State]:
    """Run a batch in this process, and look at it as its runs finish."""
    states: list[State] = []

    def look(progress: object) -> None:
        done = getattr(progress, "done", 0)
        if done % max(BATCH // 10, 1) == 0:
            states.append(State.now())
            print(f"batch {done:5}: {states[-1]}", flush=True)

    small = SCENARIO | {"policies": ["static_p95", "rolling_max"], "replay": {"duration": "3h"}}
    with tempfile.TemporaryDirectory() as folder:
        import yaml

        (Path(folder) / "soak.yaml").write_text(yaml.safe_dump(small))
        sweep = Path(folder) / "sweep.yaml"
        grid = {"sla.target": [0.01, 0.05, 0.1, 0.2]}
        facts = {"scenario": "soak.yaml", "replications": BATCH // 4, "grid": grid}
        sweep.write_text(yaml.safe_dump(facts))
        batch(sweep, out=Path(folder) / "out", workers=0, progress=look)
    return states


def main() -> int:
    """Return the exit code."""
    said = []
    for name, work in (("runs", runs), ("batch", batches)):
        since = time.monotonic()
        states = work()
        print(f"{name}: {time.monotonic() - since:.0f} s")
        said += [f"{name}: {each}" for each in grown(states)]
    print("\n".join(said) or "nothing grew")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
