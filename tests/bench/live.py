"""What a tick costs a living twin of many links: `python tests/bench/live.py [LINKS] [TICKS]`.

Samples come as Prometheus sends them, 500 series a request, and count as taken when they are on the
disk. CPU time is of this process; wall time includes the disk. Memory is the most that was held.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np

import twin
from twin.demand.trace import Trace
from twin.live.formats import remote_write
from twin.live.formats.reading import Reading
from twin.live.living import LivingTwin
from twin.scenario.given import Given

TICK = 300
HISTORY = 576
PER_REQUEST = 500
POLICIES = [
    {"name": "conformal", "use": "conformal", "model": "persistence"},
    "rolling_max",
    "static_p95",
]


def demand(links: int, samples: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    base = rng.uniform(50, 500, links)
    phase = rng.uniform(0, 2 * np.pi, links)
    wave = 1.2 + np.sin(2 * np.pi * np.arange(samples)[:, None] / 288 + phase)
    return np.ascontiguousarray(base * wave * rng.uniform(0.97, 1.03, (samples, links)))


def requests(names: list[str], time_s: float, values: np.ndarray) -> list[bytes]:
    """One tick's samples, as so many requests of remote write."""
    from remote_writing import series, snappy

    made = [
        series(
            {"__name__": "link_mbps", "instance": "router-1:9100", "link": name}, [(time_s, value)]
        )
        for name, value in zip(names, values.tolist(), strict=True)
    ]
    chunks = (made[i : i + PER_REQUEST] for i in range(0, len(made), PER_REQUEST))
    return [snappy(b"".join(chunk)) for chunk in chunks]


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds of CPU and of the wall."""
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    sys.path.append(str(Path(__file__).parents[1] / "live"))
    links = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    ticks = int(sys.argv[2]) if len(sys.argv) > 2 else 24
    names = [f"link-{i:05d}" for i in range(links)]
    values = demand(links, HISTORY + ticks)
    starts = datetime(2026, 1, 1)
    history = Trace(tuple(names), {"internet": values[:HISTORY].copy()}, TICK, starts)
    data = {"name": "bench", "tick": "5min", "policies": POLICIES}
    scenario = twin.Scenario.load(data, given=Given(trace=history))
    reading = Reading.of(scenario)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        living = LivingTwin.open(scenario, Path(folder))
        print(f"{links} links: begun in {time.perf_counter() - begin:.1f} s, {memory_mb():.0f} MiB")
        taken, decided = [], []
        for k in range(ticks):
            start = living.begins_s + k * TICK
            bodies = requests(names, start, values[HISTORY + k])
            now = start + TICK

            def take(bodies: list[bytes] = bodies, now: float = now) -> None:
                for body in bodies:
                    living.take(remote_write.read(body, reading), now)

            taken.append(timed(take))
            decided.append(timed(lambda now=now: living.advance(now)))
        assert living.interval == ticks
        for what, times in (("taken and on disk", taken), ("closed and decided", decided)):
            cpu, wall = np.array(times).T
            print(
                f"{what}: median {np.median(cpu):.3f} s of CPU, {np.median(wall):.3f} s; "
                f"longest {cpu.max():.3f} s, {wall.max():.3f} s, at tick {cpu.argmax() + 1}"
            )
        size = sum(file.stat().st_size for file in Path(folder).rglob("records")) / ticks
        print(f"journal: {size / 1e6:.2f} MB a tick; memory {memory_mb():.0f} MiB")
        closing = timed(living.close)
        checkpoint = next(Path(folder).rglob("checkpoint")).stat().st_size
        print(f"closed in {closing[1]:.1f} s, a checkpoint of {checkpoint / 1e6:.0f} MB")
        begin = time.perf_counter()
        with LivingTwin.open(scenario, Path(folder)) as again:
            print(f"resumed at interval {again.interval} in {time.perf_counter() - begin:.1f} s")


if __name__ == "__main__":
    main()
