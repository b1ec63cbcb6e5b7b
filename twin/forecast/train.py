"""Training: windows from traces, a recipe that fits on them, a model and its card written."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from twin.demand.synthetic import generate
from twin.demand.trace import KPIS, Trace
from twin.demand.varied import varied
from twin.errors import InputError, Problem, RunError
from twin.forecast.card import Card, Normalisation, Scores, card_path
from twin.forecast.forecaster import evaluate, open_session
from twin.forecast.windows import Windows

Floats = NDArray[np.float64]

VARIED_LINKS: Final = 560
VARIED_WINDOWS: Final = 220
GENERATED_FACILITIES: Final = 12
GENERATED_WINDOWS: Final = 1_500
TRACE_WINDOWS: Final = 150_000
GENERATED_SEEDS: Final = 1_000_000
"""Added to the seed, so that no trace that a scenario generates was trained on."""

_VALIDATION = 0.2
_FITTED = 0.5
_WORST_TARGET = 8.0


@dataclass(frozen=True, slots=True)
class Samples:
    """Windows with what the network should answer."""

    inputs: NDArray[np.float32]
    """[windows, window, features]"""
    targets: NDArray[np.float32]
    """[windows]: (next value - reference) / scale, limited."""
    weights: NDArray[np.float32]
    """[windows]: scale over the link's, so that a loss counts in the link's unit."""
    persistence: Floats
    """[windows]: absolute error of the last value, in the link's unit."""
    linear: Floats
    """[windows]: absolute error of the reference, in the link's unit."""
    answers: Floats
    """[windows]: the answer without an error, not limited."""


def train(
    recipe: Path,
    out: Path,
    *,
    trace: Trace | None = None,
    train_share: float = 0.8,
    seed: int = 1,
    epochs: int | None = None,
    features: Sequence[str] | None = None,
    report: Callable[[str], None] = print,
) -> Card:
    """Train by `recipe`, write `out` (NAME.onnx) and its card beside it, return the card.

    Trains on generated traces, or on the first `train_share` of `trace` only. `features`
    defaults to all KPIs where the trace has them, else to `internet`. Raises InputError where
    the recipe cannot be loaded or the trace is too short, RunError for a run that diverged.
    """
    _prepare(out)
    module = load_recipe(recipe)
    features = _features(trace, features)
    training, validation, origin = _data(module, trace, train_share, seed, features)
    report(f"training {out.stem} on {origin}")
    model, run = module.fit(training, validation, seed, epochs or module.EPOCHS, report)
    about = {
        "name": out.stem,
        "recipe": recipe.name,
        "window": module.WINDOW,
        "features": tuple(features),
        "normalisation": module.NORMALISATION,
        "trained_on": origin,
        "seed": seed,
        "epochs": run,
        "versions": module.VERSIONS,
    }
    card = _write(module, model, out, validation, about)
    score = card.validation
    report(
        f"{out.name}: validation error {score.model:.4f}, of a linear model {score.linear:.4f}, "
        f"of persistence {score.persistence:.4f} (mean absolute differences of the link)"
    )
    return card


def _data(
    module: ModuleType, trace: Trace | None, share: float, seed: int, features: Sequence[str]
) -> tuple[Samples, Samples, str]:
    """Return windows for training and for validation, and a text that says where from."""
    how: Normalisation = module.NORMALISATION
    sources, origin = _sources(trace, share, seed, features)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    parts = [
        _split(kpis, features, module.WINDOW, how, per_link, rng) for kpis, per_link in sources
    ]
    training, validation = (_joined([part[i] for part in parts]) for i in range(2))
    if not len(training.inputs) or not len(validation.inputs):
        raise InputError(f"the history is too short, or too flat, to train on: {origin}")
    return training, validation, origin


def _prepare(out: Path) -> None:
    """Make the folder of `out`. Raises InputError where the model could not be written."""
    if out.suffix != ".onnx":
        raise InputError(Problem("a model's file is named NAME.onnx", file=out))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise InputError(Problem(f"cannot be written: {error.strerror}", file=out)) from None


def load_recipe(path: Path) -> ModuleType:
    """Return the recipe file as a module, under a private name.

    Raises InputError where the file is missing or TensorFlow is not installed.
    """
    if not path.is_file():
        raise InputError(Problem("the recipe is missing", file=path))
    name = f"_twin_recipe_{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(Problem("a recipe is a Python file, NAME.py", file=path))
    if name in sys.modules:
        return sys.modules[name]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        del sys.modules[name]
        if error.name not in {"tensorflow", "keras", "tf2onnx", "onnx"}:
            raise
        raise InputError(
            "training needs TensorFlow; install it with: pip install 'twin[train]'"
        ) from None
    return module


def _features(trace: Trace | None, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Return what the model reads, `internet` first."""
    there = set(KPIS) if trace is None else set(trace.kpis)
    if wanted is None:
        return KPIS if set(KPIS) <= there else KPIS[:1]
    if lacking := [name for name in wanted if name not in there]:
        raise InputError(f"the trace has no KPI '{lacking[0]}' to train on")
    return tuple(name for name in KPIS if name in {*wanted, KPIS[0]})


Sources = list[tuple[Mapping[str, Floats], int]]


def _sources(
    trace: Trace | None, share: float, seed: int, features: Sequence[str]
) -> tuple[Sources, str]:
    """Return KPIs with the windows to take per link of each, and a text that names them."""
    if trace is None:
        seed += GENERATED_SEEDS
        unlike, alike = varied(seed, VARIED_LINKS), generate(seed, GENERATED_FACILITIES)
        digest = hashlib.sha256()
        for values in (*unlike.values(), *alike.values()):
            digest.update(values.tobytes())
        origin = (
            f"generated traces: {VARIED_LINKS} varied links of {len(unlike[KPIS[0]])} samples, "
            f"{GENERATED_FACILITIES} facilities of {len(alike[KPIS[0]])} samples, seed {seed}, "
            f"sha256 {digest.hexdigest()}"
        )
        return [(unlike, VARIED_WINDOWS), (alike, GENERATED_WINDOWS)], origin
    history = int(share * trace.samples)
    kpis = {name: trace.kpis[name][:history] for name in features}
    origin = (
        f"{trace.origin or 'a trace'}: samples 0 to {history} of {trace.samples}, "
        f"{len(trace.links)} links, sha256 {trace.digest or 'unknown'}"
    )
    return [(kpis, max(TRACE_WINDOWS // len(trace.links), 1))], origin


def _split(
    kpis: Mapping[str, Floats],
    features: Sequence[str],
    window: int,
    how: Normalisation,
    per_link: int,
    rng: np.random.Generator,
) -> tuple[Samples, Samples]:
    """Return windows for training and, from a later part of each link, for validation.

    What is fitted per link is fitted on the first half only: a network that knew it from its
    own windows would trust it more than it will deserve.
    """
    samples = len(kpis[features[0]])
    cut = int((1 - _VALIDATION) * samples)
    fitted = max(int(_FITTED * samples), min(window, samples))
    windows = Windows.fit(kpis, features, window, how, fitted)
    present = ~np.isnan(kpis[features[0]])
    return (
        _samples(windows, present, window, cut, per_link, rng),
        _samples(windows, present, cut + window, samples, max(per_link // 4, 1), rng),
    )


def _samples(
    windows: Windows,
    present: NDArray[np.bool_],
    start: int,
    stop: int,
    per_link: int,
    rng: np.random.Generator,
) -> Samples:
    """Return at most `per_link` windows a link (on average) that end before [start, stop)."""
    links, kept = present.shape[1], []
    for first in range(start, stop, 256):
        last = min(first + 256, stop)
        share = min(per_link / (stop - start), 1.0)
        chosen = present[first:last] & (windows.scale[0] > 0)
        chosen &= np.arange(first, last)[:, None] > windows.known_from
        chosen &= rng.uniform(size=(last - first, links)) < share
        block = windows.block(first, last)
        scale, reference = block.scale[chosen], block.reference[chosen]
        unit = np.broadcast_to(windows.scale[0], chosen.shape)[chosen]
        value = windows.values[0][first:last][chosen]
        answer = (value - reference) / scale
        before = windows.values[0][first - 1 : last - 1][chosen]
        kept.append(
            Samples(
                block.inputs[chosen],
                np.clip(answer, -_WORST_TARGET, _WORST_TARGET).astype(np.float32),
                np.clip(scale / unit, 0, 5).astype(np.float32),
                np.abs(value - before) / unit,
                np.abs(value - reference) / unit,
                answer,
            )
        )
    return _joined(kept)


def _joined(parts: Sequence[Samples]) -> Samples:
    """Return all samples as one."""
    if not parts:
        none = np.empty(0)
        few = np.empty(0, dtype=np.float32)
        return Samples(few.reshape(0, 1, 1), few, few, none, none, none)
    names = ("inputs", "targets", "weights", "persistence", "linear", "answers")
    return Samples(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _write(
    module: ModuleType, model: Any, out: Path, validation: Samples, about: dict[str, Any]
) -> Card:
    """Export, check and describe the model; write both files, or none."""
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.stem}-") as folder:
        new = Path(folder) / out.name
        graph = module.export(model, new)
        scores = _checked(module, model, new, validation)
        data = new.read_bytes()
        card = Card(
            **about,
            **graph,
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
            validation=scores,
        )
        card_path(new).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
        new.replace(out)
        card_path(new).replace(card_path(out))
    return card


def _checked(module: ModuleType, model: Any, path: Path, validation: Samples) -> Scores:
    """Return the scores of the file at `path`. Raises RunError where it must not be used."""
    answers = evaluate(open_session(path), validation.inputs)
    if not np.isfinite(answers).all():
        raise RunError("the training diverged: the network answers with NaN")
    some = slice(0, 4096)
    apart = float(np.abs(module.predict(model, validation.inputs[some]) - answers[some]).max())
    if not apart < 1e-5:
        raise RunError(f"the exported graph differs from the network by {apart:.2g}")
    weights = np.asarray(validation.weights, dtype=np.float64)
    error = np.abs(answers - validation.answers) * weights
    scores = Scores(
        model=round(float(error.mean()), 6),
        persistence=round(float(validation.persistence.mean()), 6),
        linear=round(float(validation.linear.mean()), 6),
        windows=len(answers),
    )
    if scores.model > 3 * scores.persistence:
        raise RunError(
            f"the training diverged: validation error {scores.model:.3g}, "
            f"of persistence {scores.persistence:.3g}"
        )
    return scores
