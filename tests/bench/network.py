"""What routing costs, and what every failure at every tick does.

python tests/bench/network.py [SITES CIRCUITS TICKS]
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import networkx as nx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

import twin
from twin.scenario.load import Scenario
from twin.studies.contingency.failures import pair_failures, single_failures
from twin.studies.contingency.study import ContingencyAnalysis


def scenario(folder: Path, sites: int, circuits: int, samples: int) -> Path:
    """Write a network with a matrix between all its sites, and return its scenario."""
    rng = np.random.default_rng(7)
    graph = nx.random_labeled_tree(sites, seed=7)
    while graph.number_of_edges() < circuits:
        a, b = rng.integers(0, sites, 2)
        if a != b:
            graph.add_edge(int(a), int(b))
    links = [
        {"a": f"s{a}", "b": f"s{b}", "weight": int(rng.integers(1, 20))} for a, b in graph.edges
    ]
    pairs = [(a, b) for a in range(sites) for b in range(sites) if a != b]
    mass = rng.gamma(2, 1, sites)
    day = 2 + np.sin(np.arange(samples) * 2 * np.pi / 288)
    demand = np.array([mass[a] * mass[b] for a, b in pairs]) * day[:, None]
    demand *= rng.uniform(0.8, 1.2, demand.shape)
    names = pa.array([f"s{i}" for i in range(sites)])
    here, there = (np.tile([pair[end] for pair in pairs], samples) for end in (0, 1))
    columns = {
        "time": np.repeat(np.arange(samples) * 300, len(pairs)),
        "src": pa.DictionaryArray.from_arrays(pa.array(here, pa.int32()), names),
        "dst": pa.DictionaryArray.from_arrays(pa.array(there, pa.int32()), names),
        "demand": demand.ravel(),
    }
    pq.write_table(pa.table(columns), folder / "tm.parquet")
    spec = {
        "demand": {
            "source": "matrix",
            "path": "tm.parquet",
            "train": 0.2,
            "max_values": 4 * demand.size,
        },
        "topology": {"links": links},
        "policies": ["static_mean2sigma", "static_p95", "rolling_max"],
    }
    (folder / "net.yaml").write_text(yaml.safe_dump(spec))
    return folder / "net.yaml"


def resident() -> float:
    """Return the memory that the process holds now, GiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1024**3


def main(sites: int = 30, circuits: int = 45, ticks: int = 10_656) -> None:
    """Print how long each part takes; a contingency by NumPy, and compiled where numba is there."""
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: its memory does not count.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            path = pool.apply(scenario, (Path(folder), sites, circuits, int(ticks / 0.8)))
        begin = time.perf_counter()
        checked = Scenario.load(path)
        loaded = time.perf_counter()
        result = twin.run(checked)
        ran = time.perf_counter()
        print(f"load {loaded - begin:.2f} s, run {ran - loaded:.2f} s, then {resident():.2f} GiB")
        for name, sets in (("single", single_failures), ("pairs", pair_failures)):
            failures = sets(checked.topology)
            if name == "pairs" and len(failures) > 2_000:
                continue
            for compiled in (False, True) if find_spec("numba") else (False,):
                if compiled:
                    # What is compiled once is not counted.
                    ContingencyAnalysis(result, compiled=True).strike(failures[:1])
                begin = time.perf_counter()
                analysis = ContingencyAnalysis(result, compiled=compiled)
                analysis.strike(failures)
                analysis.tables()
                seconds, by = time.perf_counter() - begin, "compiled" if compiled else "NumPy"
                print(f"{name}, {by}: {len(failures)} failures in {seconds:.2f} s")
        print(f"then {resident():.2f} GiB")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"peak memory {most:.2f} GiB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
