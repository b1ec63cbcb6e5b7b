"""How often the interval of fitted growth holds the truth, and how long an outlook takes.

python tests/bench/outlook.py [LINKS] [TRACES]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from scipy.signal import lfilter

from twin.core.units import DAY_S, YEAR_S
from twin.demand.busy import BusyStatistic
from twin.scenario.load import Scenario
from twin.studies.outlook.projection import Fitted
from twin.studies.outlook.study import outlook
from twin.studies.outlook.tables import link_table
from twin.studies.outlook.trend import fit

WEEK_S, HOUR_S = 7 * DAY_S, 3600


def noise(rng: np.random.Generator, samples: int, hours: float, size: float) -> np.ndarray:
    """Return an AR(1) process that forgets within so many hours, of a standard deviation."""
    like = np.exp(-1 / hours)
    shocks = rng.normal(0, size * np.sqrt(1 - like**2), samples)
    shocks[0] = rng.normal(0, size)
    return lfilter([1.0], [1.0, -like], shocks)


def made_trace(rng: np.random.Generator) -> tuple[np.ndarray, float, int]:
    """Return hourly demand, its growth a year and its length in weeks.

    With a shape of day and week, noise that forgets within hours, and noise that forgets within
    days or weeks; from two years on also with a season of the year.
    """
    weeks = int(rng.integers(26, 157))
    times = np.arange(weeks * 168) * float(HOUR_S)
    growth = float(rng.uniform(-0.1, 0.6))
    day = 1 + rng.uniform(0.2, 0.6) * np.sin(2 * np.pi * times / DAY_S)
    week = np.where(times % WEEK_S < 5 * DAY_S, 1.0, rng.uniform(0.6, 1.0))
    log = times / YEAR_S * np.log1p(growth)
    log += noise(rng, len(times), rng.uniform(1, 6), 0.1)
    log += noise(rng, len(times), rng.uniform(24, 504), rng.uniform(0.01, 0.06))
    if weeks >= 104:
        log += 0.1 * np.sin(2 * np.pi * times / YEAR_S + rng.uniform(0, 6))
    return 100 * day * week * np.exp(log), growth, weeks


def coverage(traces: int) -> None:
    """Print how often the 90 % interval of growth holds the truth, by length."""
    rng = np.random.default_rng(2026)
    rows = []
    for _ in range(traces):
        demand, growth, weeks = made_trace(rng)
        busy = BusyStatistic.of("p95").windows(demand[:, None], WEEK_S, HOUR_S)
        (trend,) = fit(np.arange(weeks) - (weeks - 1), np.log(busy).T, WEEK_S)
        share, low, high = Fitted(trend, compound=True).yearly()
        rows.append((weeks, low <= growth <= high, high - low, abs(share - growth)))
    table = np.array(rows, dtype=float)
    for name, first, last in (("all", 0, 999), ("26-51", 26, 51), ("52-103", 52, 103),
                              ("104-156", 104, 156)):  # fmt: skip
        some = table[(table[:, 0] >= first) & (table[:, 0] <= last)]
        held, width, error = some[:, 1:].mean(axis=0)
        print(
            f"{name:8} weeks: {len(some):4} traces, growth held by {100 * held:.1f} % of 90 % "
            f"intervals, mean width {100 * width:.1f} points, mean error {100 * error:.1f}"
        )


def scenario(folder: Path, links: int) -> Path:
    """Write two years of five-minute samples as Parquet, a link a column; return the scenario."""
    samples, blocks = 2 * 365 * 288, 10
    rng = np.random.default_rng(7)
    growth, level = rng.uniform(0, 0.5, links), rng.uniform(100, 900, links)
    schema = pa.schema(
        [("time", pa.int64()), *((f"link-{i + 1}", pa.float32()) for i in range(links))]
    )
    with pq.ParquetWriter(folder / "trace.parquet", schema) as writer:
        for rows in np.array_split(np.arange(samples), blocks):
            times = rows * 300.0
            day = 1 + 0.5 * np.sin(2 * np.pi * times / DAY_S)
            values = np.outer(day, level) * (1 + growth) ** (times / YEAR_S)[:, None]
            values *= rng.uniform(0.9, 1.1, values.shape)
            columns = [pa.array(times.astype(np.int64))]
            columns += [pa.array(values[:, i].astype(np.float32)) for i in range(links)]
            writer.write_table(pa.table(columns, schema=schema))
    spec = {
        "demand": {
            "source": "parquet", "path": "trace.parquet", "layout": "wide",
            "max_values": 2 * samples * links,
        },
        "links": {"defaults": {
            "capacity_mbps": 2000,
            "upgrade": {"step": "1Gbit/s", "lead_time": "12w", "price": 1000},
        }},
        "policies": ["static_p95"],
    }  # fmt: skip
    (folder / "links.yaml").write_text(yaml.safe_dump(spec))
    return folder / "links.yaml"


def main(links: int = 1000, traces: int = 500) -> None:
    """Print coverage and times."""
    coverage(traces)
    with tempfile.TemporaryDirectory() as folder:
        path = scenario(Path(folder), links)
        begin = time.perf_counter()
        checked = Scenario.load(path)
        read = time.perf_counter()
        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        table = link_table(outlook(checked))
        done = time.perf_counter()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    reach = (table["reaches_target"] != "").sum()
    print(
        f"{links} links x 2 years of 5-minute samples: read in {read - begin:.1f} s (peak memory "
        f"{size:.1f} GiB), outlook in {done - read:.1f} s (peak {most:.1f} GiB); {reach} links "
        "reach the target"
    )


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:]))
