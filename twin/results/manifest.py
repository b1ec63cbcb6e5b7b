"""The manifest: what decided a run's numbers."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import twin
from twin import content
from twin.load import Scenario

_PACKAGES = ("numpy", "pandas", "pyarrow", "pydantic", "simpy", "onnxruntime")


def manifest(scenario: Scenario, scenario_digest: str, wall_time_s: float) -> dict[str, Any]:
    """Return the manifest of a finished run, ready for JSON."""
    trace = scenario.trace
    sources = {
        member.source.name: member.source
        for choice in scenario.policies
        for member in choice.members
    }
    return {
        "status": "complete",
        "name": scenario.spec.name,
        "seed": scenario.spec.seed,
        "scenario": {"sha256": scenario_digest},
        "trace": {
            "origin": trace.origin,
            "sha256": trace.digest,
            "samples": trace.samples,
            "links": len(trace.links),
            "repairs": list(trace.repairs),
        },
        "policies": {
            name: {
                "sha256": source.digest,
                "file": str(source.path),
                "shipped": _is_shipped(source.path, "policies"),
            }
            for name, source in sources.items()
        },
        "models": {
            name: {
                "sha256": model.card.sha256,
                "file": str(model.path),
                "shipped": _is_shipped(model.path, "models"),
            }
            for name, model in scenario.models.items()
        },
        "versions": {"twin": twin.__version__, "python": platform.python_version()}
        | {package: _version(package) for package in _PACKAGES},
        "machine": platform.machine(),
        "wall_time_s": round(wall_time_s, 3),
    }


def _is_shipped(path: Any, kind: content.Kind) -> bool:
    return bool(path.resolve().parent == content.shipped_folder(kind).resolve())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
