"""The manifest: what decided a run's numbers."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import twin
from twin.core import clock, content
from twin.core.errors import InputError, Problem
from twin.core.units import counted
from twin.core.validation import problems_of
from twin.demand.spec import DemandSpec
from twin.engine.recording import ForecastUse
from twin.scenario.load import Scenario

_PACKAGES = ("numpy", "pandas", "pyarrow", "pydantic", "simpy", "onnxruntime")


def manifest(
    scenario: Scenario,
    scenario_digest: str,
    wall_time_s: float,
    forecasts: ForecastUse,
    unrouted: Mapping[str, float],
) -> dict[str, Any]:
    """Return the manifest of a finished run, ready for JSON, without the files beside it."""
    trace, demand, starts = scenario.trace, scenario.spec.demand, replay_starts(scenario)
    starts = None if starts is None else clock.local(starts, trace.timezone)
    return {
        "status": "complete",
        "name": scenario.spec.name,
        "seed": scenario.spec.seed,
        "scenario": {"sha256": scenario_digest, "file": _file(scenario)},
        "trace": {
            "origin": trace.origin,
            "sha256": trace.digest,
            "file": _read_from(demand, scenario.folder),
            "samples": trace.samples,
            "measured_samples": trace.measured or trace.samples,
            "links": len(scenario.links),
            "flows": None if scenario.routing is None else len(trace.links),
            "notes": list(trace.notes),
            "repairs": list(trace.repairs),
            "timezone": trace.timezone,
        },
        "policies": {
            choice.name: [
                _source(m.source.path, m.source.digest, "policies") for m in choice.members
            ]
            for choice in scenario.policies
        },
        "fallback": None
        if scenario.fallback is None
        else [
            _source(m.source.path, m.source.digest, "policies") for m in scenario.fallback.members
        ],
        "bounds": bounds(scenario),
        "replay_starts": None if starts is None else starts.isoformat(),
        "models": {
            name: _source(model.path, model.card.sha256, "models")
            for name, model in scenario.models.items()
        },
        "topology": _topology(scenario),
        "unrouted_mbit": dict(unrouted),
        "warnings": [*scenario.warnings, *unrouted_in_words(unrouted)],
        "forecasts": forecast_facts(forecasts),
        "versions": versions(),
        "machine": platform.machine(),
        "wall_time_s": round(wall_time_s, 3),
    }


def _topology(scenario: Scenario) -> dict[str, Any] | None:
    topology, stated = scenario.topology, scenario.spec.topology
    if topology is None or stated is None:
        return None
    return {
        "origin": topology.origin,
        "sha256": topology.digest,
        "file": None if stated.path is None else _absolute(scenario.folder / stated.path),
        "sites": len(topology.sites),
        "links": len(topology.links),
    }


def unrouted_in_words(unrouted: Mapping[str, float]) -> list[str]:
    """Return the sentence on demand that no path was left for, if there was any."""
    if not unrouted:
        return []
    most = sorted(unrouted, key=lambda flow: -unrouted[flow])
    named = ", ".join(f"'{flow}'" for flow in most[:3]) + (", ..." if len(most) > 3 else "")
    amount = f"{sum(unrouted.values()) / 1_000:,.1f} Gbit"
    return [
        f"{amount} had no path left and count on no link: of {counted(len(most), 'flow')}, most of "
        f"all {named}"
    ]


class _Model(BaseModel):
    sha256: str
    file: str
    shipped: bool


class _Origin(BaseModel):
    sha256: str


class _Trace(_Origin):
    origin: str
    notes: list[str] = []
    repairs: list[str]


class _Forecasts(BaseModel):
    windows: dict[str, dict[str, int]]
    auto: dict[str, dict[str, str]]


class _RunManifest(BaseModel):
    """What readers of a manifest take from it."""

    model_config = ConfigDict(strict=True)

    name: str
    scenario: _Origin
    trace: _Trace
    policies: dict[str, list[_Model]]
    models: dict[str, _Model]
    bounds: list[str]
    replay_starts: str | None
    warnings: list[Annotated[str, Field(min_length=1)]]
    forecasts: _Forecasts
    versions: dict[str, str | None]
    machine: str
    wall_time_s: float


def check_manifest(facts: Mapping[str, Any], file: Path) -> None:
    """Raise InputError where the manifest of a run in a file does not say what it should."""
    try:
        starts = _RunManifest.model_validate(facts).replay_starts
        if starts is not None:
            datetime.fromisoformat(starts)
    except ValidationError as error:
        raise InputError(replace(p, file=file) for p in problems_of(error)) from None
    except ValueError as error:
        raise InputError(Problem(str(error), "replay_starts", file)) from None


def study_manifest(study: str, name: str) -> dict[str, Any]:
    """Return the manifest of a study of a scenario called `name`; `study` says what it holds."""
    return {"status": "complete", "name": name, "study": study, "versions": versions()}


def forecast_facts(forecasts: ForecastUse) -> dict[str, Any]:
    """Return what the manifest says of forecasters: windows run, and what `auto` picked."""
    return {
        "windows": {policy: dict(models) for policy, models in forecasts.windows.items()},
        "auto": {str(ahead): dict(links) for ahead, links in forecasts.picks.items()},
    }


def forecasts_in_words(used: Mapping[str, Any]) -> dict[str, str]:
    """Return what :func:`forecast_facts` says, in words: by policy, and of `auto`."""
    words = {}
    for policy, models in used["windows"].items():
        parts = [f"{model} on {windows:,} windows" for model, windows in models.items()]
        words[policy] = ", ".join(parts)
    for ahead, links in used["auto"].items():
        counts = Counter(links.values())
        picks = ", ".join(f"{name} on {counted(n, 'link')}" for name, n in counts.most_common())
        later = "" if ahead == "0" else f", up to {ahead} intervals ahead"
        words[f"auto{later}"] = f"picked {picks}"
    return words


@cache
def versions() -> dict[str, str | None]:
    """Return the versions of all that decides a run's numbers."""
    own = {"twin": twin.__version__, "python": platform.python_version()}
    return own | {package: _version(package) for package in _PACKAGES}


def bounds(scenario: Scenario) -> list[str]:
    """Return the policies of which a member sees the future."""
    return [choice.name for choice in scenario.policies if choice.bound]


def replay_starts(scenario: Scenario) -> datetime | None:
    """Return the time of the first replayed interval, where the trace has times."""
    return scenario.trace.time(scenario.span.first)


def _source(path: Path, digest: str, kind: content.Kind) -> dict[str, Any]:
    shipped = path.resolve().parent == content.shipped_folder(kind).resolve()
    return {"sha256": digest, "file": _absolute(path), "shipped": shipped}


def _file(scenario: Scenario) -> str | None:
    return None if scenario.content_folder is None else _absolute(scenario.path)


def _read_from(demand: DemandSpec, folder: Path) -> str | list[str] | None:
    """Return the path of a trace, or a list of paths and patterns as they are stated."""
    paths = [_absolute(folder / path) for path in demand.paths]
    if isinstance(demand.path, tuple):
        return paths
    return paths[0] if paths else None


def _absolute(path: Path) -> str:
    return str(path.resolve())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
