"""Training: windows from traces, a recipe that fits on them, a model and its card written."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np

from twin.core.errors import InputError, Problem, RunError
from twin.core.files import UNFINISHED, scratch
from twin.demand.kpis import KPIS
from twin.demand.trace import Trace
from twin.forecast.card import MEDIAN, Card, Scores, card_path
from twin.forecast.forecaster import evaluate, open_session
from twin.forecast.training import samples
from twin.forecast.training.operations import multiply_adds
from twin.forecast.training.samples import TrainingSamples

_EXTRA: Final = {
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "tf2onnx": "tf2onnx",
    "onnx": "onnx",
    "sklearn": "scikit-learn",
}
"""What recipes import that running does not need, and the names it goes by."""
_WORST: Final = 3.0
"""A run diverged if it errs more than this many times as much as persistence, or as 0."""


def train(
    recipe: Path,
    out: Path,
    *,
    trace: Trace | None = None,
    train_share: float = 0.8,
    seed: int = 1,
    seeds: int = 1,
    epochs: int | None = None,
    features: Sequence[str] | None = None,
    report: Callable[[str], None] = print,
) -> Card:
    """Train by `recipe`, write `out` (NAME.onnx) and its card beside it, return the card.

    Trains on generated traces, or on the first `train_share` of `trace` only. `features`
    defaults to all KPIs where the trace has them, else to `internet`. A recipe with a `refit` is
    judged by the validation windows first, then fitted again with them. With `seeds` above 1 the
    same is trained from so many seeds, `seed` being the first; what they score is reported, and
    the first that did not diverge is written. A run that was broken off goes on where it was:
    until it is done, its state is in NAME.checkpoint beside `out`.

    Raises InputError where the recipe cannot be loaded or the trace is too short, RunError where
    every run diverged.
    """
    if seeds < 1:
        raise InputError(f"seeds must be at least 1, got {seeds}")
    _prepare(out)
    module = load_recipe(recipe)
    features = _features(trace, features)
    source: samples.Source = getattr(module, "SOURCE", "unlike links")
    unlike: samples.Varied = getattr(module, "VARIED", samples.Varied())
    steps: tuple[int, ...] = getattr(module, "STEPS", (1,))
    training, validation, origin = samples.make(
        trace,
        train_share,
        seed,
        features,
        module.WINDOW,
        module.NORMALISATION,
        source,
        unlike,
        steps,
    )
    report(f"training {out.stem} on {origin}")
    about: dict[str, Any] = {
        "name": out.stem,
        "recipe": recipe.name,
        "window": module.WINDOW,
        "features": tuple(features),
        "steps": steps,
        "normalisation": module.NORMALISATION,
        "trained_on": origin,
        "quantiles": getattr(module, "QUANTILES", ()),
        "versions": module.VERSIONS,
    }
    state = out.with_suffix(".checkpoint")
    fit = _Fit(module, training, validation, epochs or _epochs(module, trace), state, report)
    model, run, which = fit.all(range(seed, seed + seeds))
    scores = None
    if hasattr(module, "refit"):
        scores = _scores(_points(module.predict(model, validation.inputs), module), validation)
        report("fitting again, with the validation windows")
        model = module.refit(model, samples.joined([training, validation]), which, run, report)
    card = _write(module, model, out, validation, about | {"seed": which, "epochs": run}, scores)
    score = card.validation
    report(
        f"{out.name}: validation error {score.model:.4f}, of a linear model {score.linear:.4f}, "
        f"of persistence {score.persistence:.4f} (mean absolute differences of the link)"
    )
    return card


def _epochs(module: ModuleType, trace: Trace | None) -> int:
    """Return the epochs that a recipe trains: fewer on the many windows of generated traces."""
    usual: int = module.EPOCHS
    return usual if trace is not None else getattr(module, "GENERATED_EPOCHS", usual)


class _Fit:
    """Runs of a recipe on the same windows."""

    def __init__(
        self,
        module: ModuleType,
        training: TrainingSamples,
        validation: TrainingSamples,
        epochs: int,
        checkpoint: Path,
        report: Callable[[str], None],
    ) -> None:
        self._module, self._report = module, report
        self._data, self._epochs, self._checkpoint = (training, validation), epochs, checkpoint

    def all(self, seeds: range) -> tuple[Any, int, int]:
        """Return the first model that did not diverge, the epochs it took, and its seed."""
        if len(seeds) == 1:
            return *self._one(seeds[0]), seeds[0]
        done: list[tuple[Any, int, int]] = []
        ratios: list[float] = []
        for seed in seeds:
            try:
                model, run = self._one(seed)
                ratios.append(self._score(model))
                done.append((model, run, seed))
            except RunError as error:
                self._report(f"seed {seed}: {error}")
        if not done:
            raise RunError(f"the training diverged from each of {len(seeds)} seeds")
        self._report(
            f"{len(ratios)} of {len(seeds)} seeds: validation error {np.mean(ratios):.4f} "
            f"of persistence's on average, {min(ratios):.4f} to {max(ratios):.4f}, "
            f"standard deviation {np.std(ratios):.4f}"
        )
        return done[0]

    def _one(self, seed: int) -> tuple[Any, int]:
        """Return the model of one run and its epochs."""
        state = _Checkpoint(self._checkpoint, _fingerprint(self._module, self._data, seed))
        model, run = self._module.fit(*self._data, seed, self._epochs, self._report, state)
        state.remove()
        return model, int(run)

    def _score(self, model: Any) -> float:
        """Return the error in the validation windows over persistence's.

        Raises RunError for a model that diverged.
        """
        _, validation = self._data
        answers = _points(self._module.predict(model, validation.inputs), self._module)
        scores = _scores(answers, validation)
        return scores.model / scores.persistence


class _Checkpoint:
    """Where the state of a run is kept while it lasts: arrays, valid for that run only."""

    def __init__(self, path: Path, run: str) -> None:
        self._path, self._run = path, run

    def load(self) -> list[Any] | None:
        """Return the arrays that were saved last by the same run, if there are any."""
        try:
            with np.load(self._path, allow_pickle=False) as kept:
                if str(kept["run"]) != self._run:
                    return None
                return [kept[f"array_{i}"] for i in range(len(kept.files) - 1)]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None

    def save(self, arrays: Sequence[Any]) -> None:
        """Keep `arrays` instead of those saved before."""
        new = self._path.with_name(f".{self._path.name}")
        with new.open("wb") as file:
            named = {f"array_{i}": array for i, array in enumerate(arrays)}
            np.savez(file, allow_pickle=False, run=np.array(self._run), **named)
        new.replace(self._path)

    def remove(self) -> None:
        """Forget the run."""
        self._path.unlink(missing_ok=True)


def _fingerprint(
    module: ModuleType, data: tuple[TrainingSamples, TrainingSamples], seed: int
) -> str:
    """Return what a run is known by: its recipe, windows and seed."""
    digest = hashlib.sha256(f"{getattr(module, '__name__', '')} {seed}".encode())
    for part in data:
        digest.update(np.ascontiguousarray(part.inputs).tobytes())
        digest.update(part.targets.tobytes())
    return digest.hexdigest()


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

    Raises InputError where the file, or what it imports, is missing.
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
        # Needed once the recipe has trained: better missed now than after hours.
        importlib.import_module("onnx")
    except ModuleNotFoundError as error:
        del sys.modules[name]
        if error.name not in _EXTRA:
            raise
        what = f"the recipe '{path.stem}' needs {_EXTRA[error.name]}"
        remedy = "install it with: pip install 'twin[train]'"
        raise InputError(Problem(what, suggestion=remedy)) from None
    return module


def _features(trace: Trace | None, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Return what the model reads, `internet` first."""
    there = set(KPIS) if trace is None else set(trace.kpis)
    if wanted is None:
        return KPIS if set(KPIS) <= there else KPIS[:1]
    if lacking := [name for name in wanted if name not in there]:
        raise InputError(f"the trace has no KPI '{lacking[0]}' to train on")
    return tuple(name for name in KPIS if name in {*wanted, KPIS[0]})


def _write(
    module: ModuleType,
    model: Any,
    out: Path,
    validation: TrainingSamples,
    about: dict[str, Any],
    scores: Scores | None,
) -> Card:
    """Export, check and describe the model; write both files, or none.

    `scores` are those of a model that did not know the validation windows, where this one does.
    """
    with scratch(out.with_name(f".{out.stem}{UNFINISHED}")) as folder:
        new = folder / out.name
        graph = module.export(model, new)
        own = _checked(module, model, new, validation)
        data = new.read_bytes()
        card = Card(
            **about,
            **graph,
            multiply_adds=multiply_adds(data, module.WINDOW),
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
            validation=scores or own,
        )
        card_path(new).write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
        new.replace(out)
        card_path(new).replace(card_path(out))
    return card


def _checked(module: ModuleType, model: Any, path: Path, validation: TrainingSamples) -> Scores:
    """Return what the file at `path` scores.

    Raises RunError where it must not be used, or does not answer as `model` does.
    """
    answers = evaluate(open_session(path, path.read_bytes()), validation.inputs)
    scores = _scores(_points(answers, module), validation)
    some = slice(0, 4096)
    own = np.asarray(module.predict(model, validation.inputs[some])).reshape(answers[some].shape)
    apart = float(np.abs(own - answers[some]).max())
    plain = module.NORMALISATION.reference == "none"
    unit = max(1.0, float(np.abs(answers[some]).max())) if plain else 1.0
    if not apart < 1e-5 * unit:
        raise RunError(f"the exported graph differs from the network by {apart:.2g}")
    return scores


def _points(answers: Any, module: ModuleType) -> Any:
    """Return the point forecasts one step ahead among `answers`, [windows]."""
    quantiles = getattr(module, "QUANTILES", ())
    place = quantiles.index(MEDIAN) if quantiles else 0
    return np.asarray(answers, dtype=np.float64).reshape(len(answers), -1)[:, place]


def _scores(answers: Any, validation: TrainingSamples) -> Scores:
    """Return what point forecasts [windows] are worth. Raises RunError where they diverged."""
    if not np.isfinite(answers).all():
        raise RunError("the training diverged: the network answers with NaN")
    weights = np.asarray(validation.weights, dtype=np.float64)
    error = np.abs(answers - validation.answers) * weights
    scores = Scores(
        model=round(float(error.mean()), 6),
        persistence=round(float(validation.persistence.mean()), 6),
        linear=round(float(validation.linear.mean()), 6),
        windows=len(answers),
    )
    nothing = float((np.abs(validation.answers) * weights).mean())
    if scores.model > _WORST * max(scores.persistence, nothing):
        raise RunError(
            f"the training diverged: validation error {scores.model:.3g}, "
            f"of persistence {scores.persistence:.3g}"
        )
    return scores
