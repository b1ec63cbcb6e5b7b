"""What the adaptive margin keeps and wastes on adversarial traffic.

python tests/bench/margin.py
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

import twin

sys.path.append(str(Path(__file__).parents[1]))  # for the links that the tests share
from adversarial import adversarial_links


def adversarial_summary(folder: Path, samples: int) -> pd.DataFrame:
    """Replay the last fifth of adversarial traffic; return [policy, link] rows."""
    # Half of the links are calm until the replay, and then they are not.
    demand = adversarial_links(1_000 + samples, 60, samples, calm=0.8)
    columns = {f"link-{i + 1}": demand[:, i] for i in range(demand.shape[1])}
    pq.write_table(pa.table({"time": np.arange(samples) * 300} | columns), folder / "t.parquet")
    policies = [
        "conformal",
        {"name": "persistence", "use": "conformal", "model": "persistence"},
        "rolling_max",
    ]
    block = {"source": "parquet", "path": "t.parquet", "layout": "wide"}
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump({"demand": block, "policies": policies}))
    table = twin.run(path).summary
    return table[table["link"] != "all"].set_index(["policy", "link"])


def bench_margin() -> Iterator[str]:
    """Count what the margin keeps and wastes on adversarial traffic, beside two without a model."""
    for samples in (2_500, 10_000, 40_000):
        with tempfile.TemporaryDirectory() as folder:
            table = adversarial_summary(Path(folder), samples)
        short, over = table["sla_violation_rate"], table["over_provisioning_pct"]
        kept = short["rolling_max"] <= 0.015
        dearer = (over["conformal"] >= over["rolling_max"])[kept]
        yield f"margin: {len(kept)} links x {samples // 5} ticks, target 1 %"
        for policy in ("conformal", "persistence", "rolling_max"):
            rates = short[policy]
            cost = np.exp(np.log(over["conformal"] / over[policy]).mean())
            yield (
                f"margin:   {policy}: short in {rates.mean():.2%} of the intervals, at most "
                f"{rates.max():.2%} of a link's, {(rates > 0.015).sum()} links above 1.5 %; "
                f"over-provisioning of conformal to it {cost:.2f}"
            )
        yield (
            f"margin:   where rolling_max keeps 1.5 %, conformal over-provisions as much on "
            f"{dearer.sum()} of {kept.sum()} links  target 0"
        )


def bench_hold() -> Iterator[str]:
    """Count the links that hold a target on 400 adversarial ones, and what that wastes."""
    demand = adversarial_links(202, 400, 10_500, calm=0.4)
    columns = {f"link-{i + 1}": demand[:, i] for i in range(demand.shape[1])}
    columns["time"] = np.arange(len(demand)) * 300
    targets = {"one_percent": 0.01, "one_per_mille": 0.001}
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(pa.table(columns), Path(folder, "t.parquet"))
        block = {"source": "parquet", "path": "t.parquet", "layout": "wide"}
        policies = [
            {"name": name, "use": "conformal", "target": target} for name, target in targets.items()
        ]
        path = Path(folder, "bench.yaml")
        path.write_text(yaml.safe_dump({"demand": block, "policies": policies}))
        table = twin.run(path).summary
    table = table[table["link"] != "all"].set_index("policy")
    for name, target in targets.items():
        rates = table.loc[name, "sla_violation_rate"]
        over = table.loc[name, "over_provisioning_pct"]
        yield (
            f"hold: {name} of 2,100 intervals: {(rates <= target + 1e-12).mean():.1%} of links  "
            f"target 97 %; {(rates > 1.2 * target).mean():.1%} above 1.2 x  target 0; "
            f"over-provisioning {over.mean():.1f} %, median {over.median():.1f} %"
        )


if __name__ == "__main__":
    for bench in (bench_margin, bench_hold):
        for line in bench():
            print(line, flush=True)
