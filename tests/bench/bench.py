"""Benchmarks: ratios measured side by side, medians of interleaved runs.

    python tests/bench/bench.py [engine|reading|forecast|compact|keras|startup]...

Every pair does the same work on the same data in the same process, in turn; the ratio is the
median of the ratios run by run.
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simpy
import yaml
from numpy.typing import NDArray

import twin
from twin.core import content
from twin.forecast import forecaster

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
RUNS = 7
LINKS, SAMPLES, TICKS = 1_000, 12_700, 10_656
POLICIES = ["static_mean2sigma", "static_p95", {"name": "p99", "use": "static_percentile", "q": 99}]


def paired(runs: int, *calls: Callable[[], object]) -> list[list[float]]:
    """Return the seconds of each call in each run, after one run that does not count."""
    seconds: list[list[float]] = [[] for _ in calls]
    for i in range(runs + 1):
        for call, taken in zip(calls, seconds, strict=True):
            gc.collect()
            begin = time.perf_counter()
            call()
            if i:
                taken.append(time.perf_counter() - begin)
    return seconds


def ratio(ours: list[float], theirs: list[float]) -> str:
    """Return the median of the ratios run by run, with its range."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def median(seconds: list[float]) -> str:
    """Return the median in seconds."""
    return f"{statistics.median(seconds):.3f} s"


def trace_file(folder: Path) -> Path:
    """Write 12.7 million rows: 1,000 links with a daily shape and noise."""
    rng = np.random.default_rng(1)
    day = 1 + 0.5 * np.sin(np.arange(SAMPLES) * 2 * np.pi / 288)[:, None]
    demand = day * rng.uniform(50, 500, LINKS) * rng.lognormal(0, 0.1, (SAMPLES, LINKS))
    names = pa.array([f"link-{i + 1:04d}" for i in range(LINKS)])
    link = pa.DictionaryArray.from_arrays(
        pa.array(np.tile(np.arange(LINKS, dtype=np.int32), SAMPLES)), names
    ).cast(pa.string())
    columns = {"time": np.repeat(np.arange(SAMPLES) * 300, LINKS), "link": link}
    pq.write_table(pa.table(columns | {"internet": demand.ravel()}), folder / "trace.parquet")
    path = folder / "bench.yaml"
    # The smallest share whose history leaves exactly TICKS to replay.
    train = (SAMPLES - TICKS + 0.5) / SAMPLES
    demand_block = {"source": "parquet", "path": "trace.parquet", "train": train}
    path.write_text(yaml.safe_dump({"demand": demand_block, "policies": POLICIES}))
    return path


def numpy_summary(history: Floats, demand: Floats) -> list[list[Floats]]:
    """Compute the summary columns per link with whole-array NumPy."""
    levels = [
        history.mean(0) + 2 * history.std(0),
        np.percentile(history, 95, axis=0),
        np.percentile(history, 99, axis=0),
    ]
    return [numpy_columns(demand, np.broadcast_to(level, demand.shape)) for level in levels]


def numpy_columns(d: Floats, a: Floats) -> list[Floats]:
    """Compute one policy's columns."""
    utilization = d / a
    efficiency = np.minimum(utilization, 1)
    over = np.maximum(a - d, 0)
    unmet = d - np.minimum(d, a)
    violated = unmet > 0
    error = a - d
    return [
        np.abs(error).mean(0),
        np.sqrt((error**2).mean(0)),
        efficiency.mean(0),
        np.median(efficiency, axis=0),
        np.maximum((a - d) / a, 0).mean(0),
        utilization.mean(0),
        over.mean(0),
        100 * over.mean(0) / d.mean(0),
        violated.mean(0),
        violated.sum(0) * 5.0,
        unmet.sum(0) * 300,
        a.mean(0),
    ]


def process_per_link(levels: Floats, demand: Floats) -> None:
    """Do the same with one SimPy process for each link, as textbooks write it."""
    env = simpy.Environment()

    def link(values: list[float], allocations: list[float]) -> Generator[simpy.Event, None, None]:
        records: list[list[tuple[float, ...]]] = [[] for _ in allocations]
        for d in values:
            for a, record in zip(allocations, records, strict=True):
                used, gap = d / a, a - d
                record.append(
                    (abs(gap), gap * gap, min(used, 1.0), max(gap / a, 0.0), used, max(gap, 0.0),
                     d > a, max(-gap, 0.0), a, d)
                )  # fmt: skip
            yield env.timeout(300)
        for record in records:
            table = np.array(record)
            table.mean(0)
            np.median(table[:, 2])

    for i in range(demand.shape[1]):
        env.process(link(demand[:, i].tolist(), levels[:, i].tolist()))
    env.run()


def bench_engine(scenario: twin.Scenario) -> Iterator[str]:
    """Compare the whole run in memory with NumPy, and with a process for each link."""
    span = scenario.span
    history = scenario.trace.demand_mbps[: span.history]
    demand = scenario.trace.demand_mbps[span.first :]
    assert demand.shape == (TICKS, LINKS)
    ours, whole = paired(
        RUNS, lambda: twin.run(scenario).summary, lambda: numpy_summary(history, demand)
    )
    rate = 3 * TICKS * LINKS / statistics.median(ours) / 1e6
    yield f"engine: {LINKS} links x {TICKS} ticks x 3 policies: {median(ours)}, {rate:.0f} M/s"
    yield f"engine: ratio to whole-array NumPy ({median(whole)}): {ratio(ours, whole)}  target 3"
    part = 200
    levels = np.stack([np.percentile(history, q, axis=0) for q in (90, 95, 99)])
    # Its time is proportional to the ticks, and its records would not fit: a part stands for all.
    (slow,) = paired(3, lambda: process_per_link(levels, demand[:part]))
    scaled = [seconds * TICKS / part for seconds in slow]
    faster = statistics.median(scaled) / statistics.median(ours)
    yield (
        f"engine: one process per link would take {median(scaled)} ({part} ticks measured): "
        f"{faster:.0f} times slower  target 100"
    )


def bench_reading(path: Path) -> Iterator[str]:
    """Compare reading and checking a trace with reading its columns alone."""
    trace = path.with_name("trace.parquet")
    ours, bare = paired(5, lambda: twin.Scenario.load(path), lambda: pq.read_table(trace))
    rows = f"{LINKS * SAMPLES / 1e6:.1f} million rows"
    yield (
        f"reading: {rows}: {median(ours)}; read_table {median(bare)}; "
        f"ratio {ratio(ours, bare)}  target 5"
    )


def forecast_scenario(folder: Path, links: int, ticks: int, model: str) -> twin.Scenario:
    """Return a scenario that replays `ticks` of `links` under one model's forecast."""
    rng = np.random.default_rng(1)
    days = np.arange(2 * ticks)[:, None] * 2 * np.pi / 288
    demand = (2 + np.sin(days)) * rng.uniform(50, 500, links)
    demand = demand * rng.lognormal(0, 0.03, demand.shape)
    columns = {f"link-{i + 1}": demand[:, i] for i in range(links)}
    pq.write_table(pa.table({"time": np.arange(2 * ticks) * 300} | columns), folder / "t.parquet")
    block = {"source": "parquet", "path": "t.parquet", "layout": "wide", "train": 0.5}
    policy = {"name": model, "use": "bilstm", "model": model}
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump({"demand": block, "policies": [policy]}))
    return twin.Scenario.load(path)


def bare_session(model: str, threads: int) -> Callable[[Floats32], object]:
    """Return a call of the bare runtime on one chunk of windows."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    path = content.shipped("models")[model]
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda chunk: session.run(None, {name: chunk})


def bench_forecast() -> Iterator[str]:
    """Compare runs of `bilstm` with the bare runtime on as many windows of the same shape."""
    threads = len(os.sched_getaffinity(0))
    call = bare_session("bilstm_traffic", threads)
    rng = np.random.default_rng(1)
    for links, ticks, sizes, target in ((10, 2_016, (32,), 1.3), (100, 2_016, (16, 32, 64), 1.11)):
        with tempfile.TemporaryDirectory() as folder:
            scenario = forecast_scenario(Path(folder), links, ticks, "bilstm_traffic")
        # As many as a run sends: some in the history, to try the network on each link, and then
        # those of the links where it was better than its reference.
        sent = windows_sent(scenario)
        windows = rng.standard_normal((sent, 10, 1), dtype=np.float32)
        size = sizes[0] if len(sizes) == 1 else best_size(call, windows[: 32 * 1024], sizes)
        chunks = [windows[i : i + size] for i in range(0, len(windows), size)]
        ours, bare = paired(
            RUNS if links == 10 else 3,
            lambda scenario=scenario: twin.run(scenario).summary,
            lambda chunks=chunks: [call(chunk) for chunk in chunks],
        )
        yield (
            f"forecast: bilstm, {links} links x {ticks} ticks, {threads} threads: {median(ours)}; "
            f"bare runtime on the {sent} windows sent, in chunks of {size}, {median(bare)}; "
            f"ratio {ratio(ours, bare)}  "
            f"target {target}"
        )


def windows_sent(scenario: twin.Scenario) -> int:
    """Return how many windows a run sends to the runtime."""
    evaluate, sent = forecaster.evaluate, 0

    def counted(session: object, inputs: Floats32) -> Floats:
        nonlocal sent
        sent += len(inputs)
        return evaluate(session, inputs)

    forecaster.evaluate = counted
    try:
        twin.run(scenario)
    finally:
        forecaster.evaluate = evaluate
    return sent


def best_size(call: Callable[[Floats32], object], windows: Floats32, sizes: tuple[int, ...]) -> int:
    """Return the chunk size at which the bare runtime is fastest."""

    def through(size: int) -> None:
        for i in range(0, len(windows), size):
            call(windows[i : i + size])

    taken = paired(3, *(partial(through, size) for size in sizes))
    return min(zip(sizes, taken, strict=True), key=lambda pair: statistics.median(pair[1]))[0]


def bench_compact() -> Iterator[str]:
    """Compare whole runs under `compact` and under the BiLSTM."""
    with tempfile.TemporaryDirectory() as folder:
        scenarios = []
        for model in ("compact_traffic", "bilstm_traffic"):
            (Path(folder) / model).mkdir()
            scenarios.append(forecast_scenario(Path(folder) / model, 100, 2_016, model))
        calls = [lambda scenario=s: twin.run(scenario).summary for s in scenarios]
        small, large = paired(3, *calls)
    rates = [100 * 2_016 / statistics.median(taken) for taken in (small, large)]
    yield (
        f"compact: whole runs: {rates[0]:,.0f} windows/s against {rates[1]:,.0f} of the BiLSTM; "
        f"ratio of times {ratio(large, small)}  target 5"
    )


def bench_keras() -> Iterator[str]:
    """Compare the rate of a run with calling Keras at each tick."""
    try:
        from keras import Input, Model, layers
    except ImportError:
        yield "keras: TensorFlow is not installed"
        return
    inputs = hidden = Input((10, 1))
    for units, sequences in ((128, True), (128, True), (64, False)):
        hidden = layers.Bidirectional(layers.LSTM(units, return_sequences=sequences))(hidden)
        hidden = layers.BatchNormalization()(hidden)
    network = Model(inputs, layers.Dense(1)(layers.Dense(64, activation="relu")(hidden)))
    ticks, some = 2_016, 20
    window = np.zeros((1, 10, 1), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        scenario = forecast_scenario(Path(folder), 1, ticks, "bilstm_traffic")
    ours, theirs = paired(
        5,
        lambda: twin.run(scenario).summary,
        lambda: [network.predict(window, verbose=0) for _ in range(some)],
    )
    per_tick = [taken * ticks / some for taken in theirs]
    yield f"keras: predict at each tick takes {ratio(per_tick, ours)} times as long  target 50"


def bench_startup() -> Iterator[str]:
    """Time the commands that everyone meets first."""
    with tempfile.TemporaryDirectory() as folder:
        run = [sys.executable, "-m", "twin", "run", "baseline", "--force", "--out", folder]
        for words, target in (([sys.executable, "-m", "twin", "--help"], 0.5), (run, 10)):
            command = partial(subprocess.run, words, check=True, capture_output=True)
            (taken,) = paired(5, command)
            yield f"startup: twin {' '.join(words[3:5])}: {median(taken)}  target {target} s"


BENCHES: dict[str, Callable[[], Iterator[str]]] = {
    "forecast": bench_forecast,
    "compact": bench_compact,
    "keras": bench_keras,
    "startup": bench_startup,
}


def main(chosen: list[str]) -> None:
    """Run the benchmarks that were asked for, or all."""
    wanted = chosen or ["engine", "reading", *BENCHES]
    with tempfile.TemporaryDirectory() as folder:
        if {"engine", "reading"} & set(wanted):
            path = trace_file(Path(folder))
        for name in wanted:
            if name == "engine":
                lines = bench_engine(twin.Scenario.load(path))
            elif name == "reading":
                lines = bench_reading(path)
            else:
                lines = BENCHES[name]()
            for line in lines:
                print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
