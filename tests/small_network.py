"""A network that is small enough to be calculated by hand: a ring of four with one chord."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

SITES = {"A": (0, 10), "B": (10, 10), "C": (10, 0), "D": (0, 0)}
EDGES = [("A", "B"), ("B", "C"), ("C", "D"), ("D", "A"), ("A", "C")]
TICKS = 96


def network(folder: Path, **keys: Any) -> Path:
    """Write a scenario with a network to a folder, and return its file."""
    rng = np.random.default_rng(4)
    rows = [
        {"time": 300 * i, "src": a, "dst": b, "demand": 100 + rng.uniform(0, 10)}
        for i in range(TICKS)
        for a in SITES
        for b in SITES
        if a != b
    ]
    pd.DataFrame(rows).to_csv(folder / "tm.csv", index=False)
    spec: dict[str, Any] = {
        "name": "ring",
        "demand": {"source": "matrix", "path": "tm.csv", "train": 0.5},
        "topology": {
            "sites": {name: {"x": x, "y": y} for name, (x, y) in SITES.items()},
            "links": [{"a": a, "b": b, "capacity_mbps": 1000} for a, b in EDGES],
        },
        "policies": ["static_p95", "last_value"],
    }
    path = folder / "ring.yaml"
    path.write_text(yaml.safe_dump(spec | keys))
    return path
