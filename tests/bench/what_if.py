"""How often the intervals of what-ifs hold what came.

    python tests/bench/what_if.py [--trials 500] [--seed 1000] [--data DIR] [--jobs 1]

Each trial is a twin at a random instant of a made trace (tests/made_traces.py), or of a real one
where DIR holds any, that asks what comes in the next 2 or 6 hours, half of the time with a surge
that then does come. Prints for each number the share of 90 % intervals that held it, with its own
95 % interval. The constants of twin/live were chosen with seeds below 1000; the real traces are
few, so that other instants of the same ones were seen then.

    python tests/bench/what_if.py --cost

prints the CPU time of the demand paths, at first and an interval later, and of what-ifs of 6 h, 100
links and 50 replications under some policies, with nothing asked and with a surge.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from made_traces import KINDS, NOISES, SAMPLES, made

import twin
from twin.demand.synthetic import generate
from twin.live.hindsight import Reliability, ScoredEstimate, in_hindsight
from twin.live.what_if import demand_paths, what_if
from twin.telemetry.source import head

Floats = np.ndarray
_PAST = 4_032
TEST_SEEDS = 1_000
"""From here on no seed was looked at while the method was made."""


def real_traces(folder: Path | None) -> dict[str, Floats]:
    """Return the traces below a folder in the layouts of shared data, those there are."""
    traces: dict[str, Floats] = {}
    if folder is None or not folder.is_dir():
        return traces
    for path in folder.glob("*_5min.csv.gz"):
        traces[path.name] = pd.read_csv(path)["internet"].to_numpy()[:, None]
    series = sorted(folder.glob("*/data_series/s*.txt"))
    if series:
        traces["operator"] = np.stack([np.loadtxt(path)[:, 1] for path in series], axis=1)
    return traces


def world(trial: int, seed: int, real: dict[str, Floats]) -> tuple[str, Floats, int, int]:
    """Return the name and the demand of a trial, its present, and the intervals to ask for."""
    rng = np.random.default_rng((seed, trial))
    steps = int(rng.choice([24, 72]))
    kinds = [*KINDS, "generated", *real]
    kind = kinds[trial % len(kinds)]
    if kind in KINDS:
        demand = made(kind, NOISES[int(rng.integers(len(NOISES)))], seed + trial)
        now = int(rng.integers(2_016, SAMPLES - steps))
        return kind, demand, now, steps
    samples = 5_000
    whole = real[kind] if kind in real else generate(seed + trial, 4, samples)["internet"]
    now = int(rng.integers(_PAST, len(whole) - steps))
    first = max(now - _PAST, 0)
    return kind, whole[first : now + steps], now - first, steps


def score(job: tuple[int, int, dict[str, Floats]]) -> tuple[str, list[ScoredEstimate]]:
    """Ask in one trial, let come what comes, and return how right the answer was."""
    trial, seed, real = job
    kind, demand, now, steps = world(trial, seed, real)
    rng = np.random.default_rng((seed, trial, 1))
    links = [f"link-{i + 1}" for i in range(demand.shape[1])]
    frame = pd.DataFrame(demand, columns=links)
    frame.index = pd.date_range("2026-01-05", periods=len(frame), freq="5min")
    past = head(twin.Trace.from_frame(frame, tick="5min"), now)
    policies: list[Any] = [
        {"name": "fixed", "use": "static_percentile", "q": float(rng.uniform(60, 97))},
        {"name": "highest", "use": "rolling_max", "margin": 0.05},
        {"name": "last", "use": "last_value", "margin": 0.1},
    ]
    live = twin.Simulation(twin.LiveSource(past), policies=policies)
    live.start()
    surge = {"kind": "surge", "links": links[:1], "start": "now", "duration": "90min"}
    surge |= {"factor": float(rng.uniform(1.1, 1.8)), "ramp": "10min"}
    asks = bool(rng.integers(2))
    events = [surge] if asks else []
    answer = what_if(live, events=events, for_s=steps * 300, seed=trial)
    if asks:
        live.add(twin.Surge(**{k: v for k, v in surge.items() if k != "kind"}))
    for row in demand[now : now + steps]:
        live.source.deliver({"internet": row})
        live.step()
    return kind, in_hindsight(answer, live.recording(), asked=True)


def trials(
    count: int, seed: int, folder: Path | None, jobs: int
) -> Iterator[tuple[str, list[ScoredEstimate]]]:
    """Yield the kind and the scores of each trial."""
    real = real_traces(folder)
    work = [(trial, seed, real) for trial in range(count)]
    if jobs == 1:
        yield from map(score, work)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(score, work, chunksize=4)


def cost(links: int = 100, past: int = 8_064) -> None:
    """Print the CPU time of what-ifs of 6 h and 50 replications, after 4 weeks."""
    names = [f"link-{i}" for i in range(links)]
    frame = pd.DataFrame(generate(1, links, past)["internet"], columns=names)
    frame.index = pd.date_range("2026-01-05", periods=past, freq="5min")
    trace = twin.Trace.from_frame(frame)
    surge = {"kind": "surge", "links": names[:5], "start": "now", "duration": "1h", "factor": 2}
    paths, kept = None, {}
    for policy in ("static_p95", "rolling_max", "conformal"):
        live = twin.Simulation(twin.LiveSource(trace), [policy])
        live.start()
        if paths is None:
            begin = time.process_time()
            demand_paths(live, 6 * 3600, kept=kept)
            print(f"{'demand paths':12} {time.process_time() - begin:6.2f} s")
            live.source.deliver({"internet": generate(1, links, past)["internet"][-1]})
            live.step()
            begin = time.process_time()
            paths = demand_paths(live, 6 * 3600, kept=kept)
            print(f"{'':12} {time.process_time() - begin:6.2f} s  an interval later")
        for events in ([], [surge]):
            begin = time.process_time()
            what_if(live, events=events, for_s=6 * 3600, paths=paths)
            asked = "with a surge, and without" if events else "nothing asked"
            print(f"{policy:12} {time.process_time() - begin:6.2f} s  {asked}")


def main() -> None:
    """Run the trials, and print how often intervals held, overall and by kind of trace."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--seed", type=int, default=TEST_SEEDS)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cost", action="store_true")
    given = parser.parse_args()
    if given.cost:
        cost()
        return
    begin, whole, by_kind = time.perf_counter(), Reliability(), {}
    for kind, scores in trials(given.trials, given.seed, given.data, given.jobs):
        whole.add(scores)
        by_kind.setdefault(kind, Reliability()).add(scores)
    for row in whole.rows():
        print("{number:18} {held:6.1%}  [{low:.1%}, {high:.1%}]  n = {n}".format(**row))
    for kind, reliability in by_kind.items():
        shares = " ".join(f"{row['number']} {row['held']:.2f}" for row in reliability.rows())
        print(f"{kind:22} {shares}")
    print(f"{given.trials} trials in {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
