"""What a tick costs a living twin of many links: `python tests/bench/live.py [LINKS] [TICKS]`.

Samples come as Prometheus sends them, 500 series a request, and count as taken when they are on the
disk. CPU time is of this process; wall time includes the disk, and what copies of the process write
meanwhile. Memory is what is held after the last tick, and the most that was held.

`--tick 10` lets ticks be 10 s long: `1000 360 --tick 10` is an hour of a thousand links. Memory is
then told at every tenth of the ticks, and its growth over the second half.
`--model auto` lets the policy `conformal` forecast by it.
"""

from __future__ import annotations

import argparse
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

HISTORY = 576
PER_REQUEST = 500


def policies(model: str) -> list[object]:
    steady = {"name": "conformal", "use": "conformal", "model": model}
    return [steady, "rolling_max", "static_p95"]


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
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def most_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("links", type=int, nargs="?", default=10_000)
    parser.add_argument("ticks", type=int, nargs="?", default=24)
    parser.add_argument("--tick", type=int, default=300, help="length of an interval, seconds")
    parser.add_argument("--model", default="persistence")
    return parser.parse_args()


def told(what: str, times: list[tuple[float, float]]) -> None:
    cpu, wall = np.array(times).T
    print(
        f"{what}: median {np.median(cpu):.3f} s of CPU, {np.median(wall):.3f} s; "
        f"longest {cpu.max():.3f} s, {wall.max():.3f} s"
    )


def run(living: LivingTwin, values: np.ndarray, ticks: int, tick_s: int, reading: Reading) -> None:
    """Send what comes, tick by tick, and say what that took."""
    taken, decided, held = [], [], []
    for k in range(ticks):
        start = living.begins_s + k * tick_s
        bodies = requests(list(living.links), start, values[HISTORY + k])
        now = start + tick_s

        def take(bodies: list[bytes] = bodies, now: float = now) -> None:
            for body in bodies:
                living.take(remote_write.read(body, reading), now)

        taken.append(timed(take))
        decided.append(timed(lambda now=now: living.advance(now)))
        held.append(memory_mb())
    assert living.interval == ticks
    assert living.trouble is None
    told("taken and on disk", taken)
    told("closed and decided", decided)
    print(f"memory {held[-1]:.0f} MiB; at most {most_memory_mb():.0f} MiB")
    if ticks >= 100:
        tenths = " ".join(f"{held[k]:.0f}" for k in range(ticks // 10 - 1, ticks, ticks // 10))
        print(f"memory at each tenth, MiB: {tenths}")
        print(f"growth over the second half: {held[-1] - held[ticks // 2]:.1f} MiB")


def main() -> None:
    sys.path.append(str(Path(__file__).parents[1] / "live"))
    args = asked()
    links, ticks, tick_s = args.links, args.ticks, args.tick
    names = [f"link-{i:05d}" for i in range(links)]
    values = demand(links, HISTORY + ticks)
    starts = datetime(2026, 1, 1)
    history = Trace(tuple(names), {"internet": values[:HISTORY].copy()}, tick_s, starts)
    data = {"name": "bench", "tick": f"{tick_s}s", "policies": policies(args.model)}
    scenario = twin.Scenario.load(data, given=Given(trace=history))
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        living = LivingTwin.open(scenario, Path(folder))
        begun = time.perf_counter() - begin
        print(f"{links} links: begun in {begun:.1f} s, {most_memory_mb():.0f} MiB at most")
        run(living, values, ticks, tick_s, Reading.of(scenario))
        size = sum(file.stat().st_size for file in Path(folder).rglob("records")) / ticks
        print(f"journal: {size / 1e6:.2f} MB a tick")
        closing = timed(living.close)
        checkpoint = next(Path(folder).rglob("checkpoint")).stat().st_size
        print(f"closed in {closing[1]:.1f} s, a checkpoint of {checkpoint / 1e6:.0f} MB")
        begin = time.perf_counter()
        with LivingTwin.open(scenario, Path(folder)) as again:
            print(f"resumed at interval {again.interval} in {time.perf_counter() - begin:.1f} s")


if __name__ == "__main__":
    main()
