"""What tests share: scenarios made from arrays, the real trace, golden tables."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import settings

from twin import Scenario

pytest_plugins = ["sweeps", "forecasters"]

# The same examples every time, so that what passes once passes again; `make fuzz` draws others.
settings.register_profile("the same", derandomize=True)
if "FUZZ" not in os.environ:
    settings.load_profile("the same")

ROOT = Path(__file__).resolve().parents[1]
FULL = os.environ.get("TESTS") == "full"
"""Whether the long tests are to run whole, as they do before a change lands."""
BACKBONE = ROOT.parent / "shared" / "data" / "uk_backbone_5min.csv.gz"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden tables")


@pytest.fixture
def backbone() -> Path:
    """The real backbone trace, which is not part of the project."""
    if not BACKBONE.is_file():
        pytest.skip(f"the real backbone trace is not there: {BACKBONE.name}")
    return BACKBONE


Maker = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    """Write a trace and a scenario that replays it; return the scenario's path."""

    def write(
        demand: Any,
        policies: Sequence[Any] = ("static_p95",),
        *,
        links: Sequence[str] | None = None,
        kpis: dict[str, Any] | None = None,
        train: float = 0.5,
        unit: str = "Mbit/s",
        **blocks: Any,
    ) -> Path:
        demand = np.asarray(demand, dtype=float)
        demand = demand[:, None] if demand.ndim == 1 else demand
        samples, count = demand.shape
        names = list(links or [f"link-{i + 1}" for i in range(count)])
        table = pd.DataFrame(
            {
                "time": np.repeat(np.arange(samples) * 300, count),
                "link": np.tile(names, samples),
                "internet": demand.ravel(),
            }
            | {name: np.asarray(v, dtype=float).ravel() for name, v in (kpis or {}).items()}
        )
        table[table["internet"].notna()].to_parquet(tmp_path / "trace.parquet", index=False)
        data = {
            "name": "test",
            "demand": {
                "source": "parquet", "path": "trace.parquet", "train": train, "unit": unit
            },
            "policies": list(policies),
            **blocks,
        }  # fmt: skip
        path = tmp_path / "scenario.yaml"
        path.write_text(yaml.safe_dump(data))
        return path

    return write


def policy_file(folder: Path, name: str, body: str) -> Path:
    """Write a policy that runs `body` in allocate()."""
    lines = "\n".join(f"        {line}" for line in body.splitlines())
    path = folder / f"{name}.py"
    path.write_text(
        "import numpy as np\nfrom twin import Policy\n\n\nclass Mine(Policy):\n"
        f'    """A test\'s own."""\n\n    def allocate(self, observation):\n{lines}\n'
    )
    return path


def sealed(folder: Path, **facts: Any) -> None:
    """Let the manifest of a run say other facts, and list its files as they are now."""
    file = folder / "manifest.json"
    known = json.loads(file.read_text()) | facts
    listed = sorted({*known.pop("files"), *(path.name for path in folder.glob("frontier.csv"))})
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in listed}
    file.write_text(json.dumps(known | {"files": files}))


def row(summary: pd.DataFrame, policy: str, link: str = "all") -> pd.Series:
    """Return one row of a summary."""
    return summary.set_index(["policy", "link"]).loc[(policy, link)]


def docs_module(name: str) -> ModuleType:
    """Return a module of those that build the documentation."""
    spec = importlib.util.spec_from_file_location(
        f"docs_site_{name}", ROOT / "docs" / "site" / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


__all__ = ["BACKBONE", "ROOT", "Scenario", "docs_module", "policy_file", "row", "sealed"]
