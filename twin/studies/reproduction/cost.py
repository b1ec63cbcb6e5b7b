"""The cost of a method: its size, and memory and time in a fresh process on one thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from twin.core.errors import RunError
from twin.forecast.card import Card

_LIMIT_S: Final = 120
_ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one method. Times differ from run to run, and memory by a few MB."""

    size_mb: float
    """Size of what it stores: its file, or 8 bytes for one number; MB of 2**20 bytes."""
    peak_mb: float
    """Peak resident memory of a process that decides for one link, MB; NaN where unknown."""
    peak_1000_mb: float
    """The same for 1,000 links."""
    tick_ms: float
    """Median time of a decision for one link, ms."""
    tick_1000_ms: float
    """The same for 1,000 links."""
    multiply_adds: int | None
    """Of one decision for one link; None where the work is not of that kind."""
    parameters: int
    """Numbers that it stores: weights, or leaves of trees."""


def policy_cost(file: Path) -> Cost:
    """Return the cost of a policy that keeps one number for each link."""
    return _cost("policy", file, 8, 0, 1)


def model_cost(file: Path, card: Card) -> Cost:
    """Return the cost of a model file."""
    return _cost("model", file, file.stat().st_size, card.multiply_adds, card.parameters)


def _cost(
    kind: Literal["policy", "model"], file: Path, size: int, count: int | None, parameters: int
) -> Cost:
    measured = _probe(kind, file)
    return Cost(
        size / 2**20,
        measured["peak_1_mb"],
        measured["peak_1000_mb"],
        measured["latency_1_ms"],
        measured["latency_1000_ms"],
        count,
        parameters,
    )


def _probe(kind: str, file: Path) -> dict[str, float]:
    """Return what the probe measures in a fresh interpreter: times in ms, memory in MB.

    Raises RunError where it fails.
    """
    root = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    # -P: what lies in the working directory is not imported.
    command = [
        sys.executable,
        "-P",
        "-m",
        "twin.studies.reproduction.probe",
        kind,
        str(file.resolve()),
    ]
    try:
        done = subprocess.run(
            command,
            env=os.environ | _ONE_THREAD | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RunError(f"measuring {file.name} took longer than {_LIMIT_S} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RunError(f"measuring {file.name} failed: {last}")
    measured: dict[str, float] = json.loads(done.stdout)
    return measured
