"""The kinds of input: each writes files from a seed and returns the command line to try on them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
from mutation import ODD, damaged, text
from pyarrow import parquet

ROOT = Path(__file__).resolve().parents[2]
SMALL = "demand: {facilities: 2, length: 2d}\nreplay: {duration: 2h}\n"
SCENARIO = """name: small
seed: 3
tick: 5min
demand: {facilities: 2, length: 2d, train: 0.8}
links:
  defaults: {capacity_mbps: 10000, min: 1, max: 5000, step: 10, lead_time: 10min}
  link-2: {cooldown: 15min, hysteresis_up: 5%, energy: {idle_w: 20, w_per_gbps: 3}}
replay: {start: 1h, duration: 2h}
sla: {target: 1%, period: 1h}
prices: {capacity: 0.01, unmet_gbit: 2}
fallback: {use: last_value, after: 2}
policies:
  - static_p95
  - {name: p99, use: static_percentile, q: 99}
  - {name: over, schedule: [{from: 0h, use: static_p95}, {from: 1h, use: rolling_max}]}
events:
  - {name: a, kind: surge, links: [link-1], start: 20min, duration: 40min, factor: 1.8, ramp: 10min}
  - {kind: surge, start: 30min, duration: 40min, add_mbps: -300, ramp: 2min}
  - {kind: link_failure, links: [link-2], start: 40min 30s, duration: 5min}
  - {kind: capacity_change, links: all, start: 1h, capacity_mbps: 400}
"""
SWEEP = """scenario: small.yaml
policies: [static_p95, last_value]
replications: 3
set: {sla.target: 1%}
grid:
  events.0.factor: [1.2, 1.8]
  seed: [1, 2]
random:
  samples: 3
  seed: 2
  keys: {links.link-2.min: {low: 1, high: 100, scale: log}, replay.duration: {values: [2h, 3h]}}
until: {metric: wastage_mean, half_width: 0.1, block: 2}
"""
CSV = {
    "long": "time,link,internet,vpn\n"
    + "".join(f"{300 * k},{link},{10 + k % 7}.5,{k}\n" for k in range(40) for link in "ab"),
    "wide": "time;a;b\n" + "".join(f"{300 * k};{k};{k % 5}\n" for k in range(40)),
    "dated": "time,internet\n"
    + "".join(f"2026-10-2{k // 24}T{k % 24:02}:00,{k}\n" for k in range(72)),
}
POLICY = """import numpy as np
from twin import Policy


class Mine(Policy):
    margin: float = 0.1

    def fit(self, history):
        self.floor = np.nanmean(history.demand_mbps, axis=0)

    def allocate(self, observation):
        recent = np.nanmean(observation.demand_mbps[-12:], axis=0)
        return np.maximum(recent * (1 + self.margin), self.floor)
"""
Kind = Callable[[Random, Path], list[str]]


def scenario(random: Random, folder: Path) -> list[str]:
    (folder / "s.yaml").write_bytes(text(random, SCENARIO))
    if random.random() < 0.2:
        return ["run", "s.yaml", "--no-report", "--out", "out"]
    return ["validate", "s.yaml"]


def sweep(random: Random, folder: Path) -> list[str]:
    (folder / "small.yaml").write_text(SCENARIO)
    given = SWEEP
    if random.random() < 0.7:  # as it is, it says too much at once
        given = given.replace("  seed: [1, 2]\n", "")
    (folder / "sweep.yaml").write_bytes(text(random, given))
    return ["validate", "sweep.yaml"]


def csv(random: Random, folder: Path) -> list[str]:
    name, given = random.choice(list(CSV.items()))
    data = text(random, given)
    if random.random() < 0.2:
        data = damaged(random, gzip.compress(data), 1)
    (folder / "a.csv").write_bytes(data)
    return ["data", "info", "a.csv", *_settings(random, name)]


def _settings(random: Random, name: str) -> list[str]:
    settings = {"layout": "wide"} if name == "wide" else {}
    settings |= {"tick": "1h"} if name == "dated" else {}
    if random.random() < 0.3:
        key = random.choice(("unit", "starts", "columns.time", "layout", "tick", "train", "path"))
        settings[key] = random.choice(ODD)
    return [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]


_TIMES = (pa.int64(), pa.float64(), pa.string(), pa.int32(), pa.duration("s"), pa.timestamp("ns"))


def table(random: Random, folder: Path) -> list[str]:
    rows = 40
    columns: dict[str, Any] = {
        "time": pa.array([300 * k for k in range(rows)]).cast(random.choice(_TIMES)),
        "link": pa.array([random.choice("ab") for _ in range(rows)]),
        "internet": pa.array([float(k) for k in range(rows)]),
    }
    if random.random() < 0.5:
        columns[random.choice([*columns, "vpn"])] = _odd_column(random, rows)
    if random.random() < 0.3:
        del columns[random.choice(list(columns))]
    out = io.BytesIO()
    compression = random.choice(("snappy", "zstd", "none"))
    parquet.write_table(pa.table(columns), out, row_group_size=16, compression=compression)
    data = out.getvalue()
    changed = damaged(random, data, 2) if random.random() < 0.6 else data
    (folder / "a.parquet").write_bytes(changed)
    return ["data", "info", "a.parquet", *_settings(random, "long")]


def _odd_column(random: Random, rows: int) -> Any:
    kind = random.randrange(6)
    if kind == 0:
        cells = [random.choice((b"a", b"\xff\xfe", b"5", None)) for _ in range(rows)]
        column = pa.array(cells, pa.binary())
        return pa.Array.from_buffers(pa.string(), rows, column.buffers())
    if kind == 1:
        return pa.array([random.choice(ODD).replace("\ud800", "") for _ in range(rows)])
    if kind == 2:
        return pa.array([[k] for k in range(rows)])
    if kind == 3:
        instants = [random.choice((-(2**40), 2**40, 0, 300)) for _ in range(rows)]
        unit = random.choice(("s", "ms", "us", "ns"))
        return pa.array(instants, random.choice((pa.timestamp(unit), pa.duration(unit))))
    if kind == 4:
        return pa.array([random.choice((1e300, -1e300, 5e-324, float("nan"))) for _ in range(rows)])
    return pa.nulls(rows)


def model(random: Random, folder: Path) -> list[str]:
    name = random.choice(("ridge_traffic", "quantile_traffic"))
    card = json.loads((ROOT / f"models/{name}.json").read_text())
    data = (ROOT / f"models/{name}.onnx").read_bytes()
    if random.random() < 0.6:
        data = damaged(random, data, 3)
        card["sha256"] = hashlib.sha256(data).hexdigest()
    written = json.dumps(card, indent=1).encode()
    if random.random() < 0.5:
        written = text(random, written.decode(), 2)
    (folder / "mine.onnx").write_bytes(data)
    (folder / "mine.json").write_bytes(written)
    (folder / "s.yaml").write_text(f"{SMALL}policies: [{{use: forecast, model: mine}}]\n")
    if random.random() < 0.5:
        return ["run", "s.yaml", "--no-report", "--out", "out"]
    return ["validate", "s.yaml"]


def report(random: Random, folder: Path, made: Path) -> list[str]:
    shutil.copytree(made, folder / "run")
    files = sorted(path for path in (folder / "run").iterdir() if path.is_file())
    path = random.choice(files)
    data = path.read_bytes()
    binary = path.suffix == ".parquet" or random.random() < 0.2
    match random.randrange(6):
        case 0:
            path.unlink()
        case 1:
            path.unlink()
            path.mkdir()
        case _:
            path.write_bytes(damaged(random, data) if binary else text(random, data.decode()))
    return ["report", "run"]


def command(random: Random, folder: Path) -> list[str]:
    (folder / "s.yaml").write_text(SCENARIO)
    given = random.choice((
        ["validate", "s.yaml"],
        ["data", "synth", "t.csv", "--length", "1h", "--facilities", "2", "--seed", "3"],
        ["data", "info", "s.yaml", "--set", "demand.train=0.5"],
        ["run", "s.yaml", "--policies", "static_p95", "--set", "sla.target=1%", "--no-report",
         "--seed", "4", "--out", "out"],
        ["run", "s.yaml", "--fork", "1h", "--branch", "b.yaml", "--out", "out"],
        ["run", "s.yaml", "--lead-times", "0s,15min", "--out", "out", "--no-report"],
        ["batch", "s.yaml", "--workers", "0", "--out", "out"],
        ["frontier", "s.yaml", "--points", "2", "--validation", "25%", "--policies", "p99"],
        ["evaluate", "s.yaml", "--models", "ridge", "--ahead", "0,1"],
        ["list", "models"],
        ["check-policy", "nothing"],
    ))  # fmt: skip
    words = list(given)
    for _ in range(random.randint(1, 2)):
        place = random.randrange(1, len(words) + 1)
        odd = random.choice((*ODD, "--set", "a.b=1", "policies.0=x", "events.0.factor=9", "s.yaml"))
        odd = odd.replace("\0", "")  # no system passes one on
        if random.random() < 0.7 and place < len(words):
            words[place] = f"{words[place].split('=')[0]}={odd}" if "=" in words[place] else odd
        else:
            words.insert(place, odd)
    return words


def policy(random: Random, folder: Path) -> list[str]:
    (folder / "mine.py").write_bytes(text(random, POLICY, 1))
    (folder / "s.yaml").write_text(f"{SMALL}policies: [mine]\n")
    return ["run", "s.yaml", "--no-report", "--out", "out"]


KINDS: dict[str, Kind] = {
    "scenario": scenario, "sweep": sweep, "csv": csv, "parquet": table, "model": model,
    "command": command, "policy": policy,
}  # fmt: skip
