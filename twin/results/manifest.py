"""The manifest: what decided a run's numbers."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import twin
from twin import content
from twin.load import Scenario

_PACKAGES = ("numpy", "pandas", "pyarrow", "pydantic", "simpy", "onnxruntime")


def manifest(
    scenario: Scenario, scenario_digest: str, files: Sequence[str], wall_time_s: float
) -> dict[str, Any]:
    """Return the manifest of a finished run, ready for JSON; `files` are those beside it."""
    trace, demand = scenario.trace, scenario.spec.demand
    return {
        "status": "complete",
        "name": scenario.spec.name,
        "seed": scenario.spec.seed,
        "scenario": {"sha256": scenario_digest, "file": _absolute(scenario.path)},
        "trace": {
            "origin": trace.origin,
            "sha256": trace.digest,
            "file": None if demand.path is None else _absolute(scenario.folder / demand.path),
            "samples": trace.samples,
            "links": len(trace.links),
            "repairs": list(trace.repairs),
        },
        "policies": {
            choice.name: [
                _source(m.source.path, m.source.digest, "policies") for m in choice.members
            ]
            for choice in scenario.policies
        },
        "bounds": [
            c.name for c in scenario.policies if any(m.source.policy.bound for m in c.members)
        ],
        "replay_starts": _replay_starts(scenario),
        "models": {
            name: _source(model.path, model.card.sha256, "models")
            for name, model in scenario.models.items()
        },
        "versions": versions(),
        "machine": platform.machine(),
        "wall_time_s": round(wall_time_s, 3),
        "files": list(files),
    }


@cache
def versions() -> dict[str, str | None]:
    """Return the versions of all that decides a run's numbers."""
    own = {"twin": twin.__version__, "python": platform.python_version()}
    return own | {package: _version(package) for package in _PACKAGES}


def _replay_starts(scenario: Scenario) -> str | None:
    trace = scenario.trace
    if trace.starts is None:
        return None
    return (trace.starts + scenario.span.first * timedelta(seconds=trace.tick_s)).isoformat()


def _source(path: Path, digest: str, kind: content.Kind) -> dict[str, Any]:
    shipped = path.resolve().parent == content.shipped_folder(kind).resolve()
    return {"sha256": digest, "file": _absolute(path), "shipped": shipped}


def _absolute(path: Path) -> str:
    return str(path.resolve())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
