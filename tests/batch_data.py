"""Made-up data of batches, and what their pages say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from pages import read

from twin.batches.plan.spec import METRICS
from twin.batches.report.page import render
from twin.batches.report.source import BatchData

POLICIES = ("static_p95", "adaptive", "lean")
GRID = {"events.0.factor": [1.0, 2.0, 3.0], "sla.target": ["0.1%", "1%"]}
Change = Callable[[pd.DataFrame], None]


def table(
    grid: dict[str, list[Any]], replications: int, policies: Sequence[str] = POLICIES
) -> pd.DataFrame:
    """Return a table of runs over a grid, with other numbers in every row."""
    rng = np.random.default_rng(4)
    rows = []
    for number, values in enumerate(product(*grid.values())):
        for replication in range(replications):
            for i, policy in enumerate(policies):
                size = 1 + 0.1 * rng.standard_normal()
                rate = 0.002 * (i + 1) ** 2 * size
                known = {
                    "sla_violation_rate": rate, "burn_rate": rate / 0.01,
                    "worst_burn_rate": rate / 0.01,
                    "over_provisioning_pct": 60 / (i + 1) * size + number,
                    "unmet_mbit": 1e5 * rate, "cost": None,
                }  # fmt: skip
                head = {"run_id": f"{number:08x}{replication:08x}"}
                head |= dict(zip(grid, values, strict=True))
                head |= {"replication": replication, "seed": 100 + replication}
                head |= {"policy": policy, "status": "done", "error": ""}
                rows.append(head | {name: known.get(name, size) for name in METRICS})
    return pd.DataFrame(rows)


def facts(runs: pd.DataFrame, grid: dict[str, list[Any]], **other: Any) -> dict[str, Any]:
    policies = list(dict.fromkeys(runs["policy"]))
    replications = int(runs["replication"].max()) + 1 if len(runs) else 1
    return {
        "status": "complete", "name": "sweep", "sweep_sha256": "0" * 64, "seed": 100,
        "sweep": {"name": "sweep", "scenario": "surge", "replications": replications},
        "scenario": "/home/somebody/surge.yaml", "demand": "generated", "sla_target": 0.01,
        "links": 4, "random": True, "keys": list(grid), "policies": policies, "bounds": [],
        "points": len(list(product(*grid.values()))), "versions": {"twin": "0.1.0"}, "sha256": {},
    } | other  # fmt: skip


def batch_data(
    grid: dict[str, list[Any]] | None = None,
    replications: int = 4,
    policies: Sequence[str] = POLICIES,
    change: Change | None = None,
    **other: Any,
) -> BatchData:
    grid = GRID if grid is None else grid
    runs = table(grid, replications, policies)
    if change is not None:
        change(runs)
    batch = BatchData(facts(runs, grid, **other), runs)
    batch.check()
    return batch


def fail(*runs: int, error: str = "it broke") -> Change:
    def change(table: pd.DataFrame) -> None:
        ids = table["run_id"].unique()[list(runs)]
        rows = table["run_id"].isin(ids)
        table.loc[rows, "status"] = "failed"
        table.loc[rows, "error"] = error
        table.loc[rows, list(METRICS)] = np.nan

    return change


def words(batch: BatchData) -> str:
    return " ".join(" ".join(read(render(batch)).words).split())
