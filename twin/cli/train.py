"""`twin train`: from a recipe to a model file and its card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from twin.core import content
from twin.core.errors import InputError, Problem, did_you_mean
from twin.demand.kpis import KPIS
from twin.forecast.training.train import train
from twin.scenario.cache import Cache
from twin.scenario.given import Overrides
from twin.scenario.load import Scenario


def train_model(
    scenario: str | None,
    recipe: str,
    out: Path | None,
    overrides: Sequence[str],
    seed: int | None,
    seeds: int,
    epochs: int | None,
    kpis: str | None,
) -> None:
    """Train by a shipped recipe, on the history of `scenario` or on generated traces."""
    file = recipe_file(recipe, "--recipe")
    if scenario is None and overrides:
        raise InputError(Problem("--set: needs a SCENARIO"))
    target = out or Path(f"{recipe}.onnx")
    if target.suffix != ".onnx":
        raise InputError(Problem(f"--out: '{target}' must end in .onnx"))
    features = None if kpis is None else _named_kpis(kpis)
    trace, share = None, 0.8
    if scenario is not None:
        cache = Cache(run_policies=False)
        checked = Scenario.load(scenario, Overrides(tuple(overrides)), cache=cache)
        trace, share = checked.trace, checked.spec.demand.train
    card = train(
        file,
        target,
        trace=trace,
        train_share=share,
        seed=1 if seed is None else seed,
        seeds=seeds,
        epochs=epochs,
        features=features,
        report=typer.echo,
    )
    typer.echo(f"Written: {target} ({card.size_bytes / 2**20:.2f} MiB) and {target.stem}.json")


def _named_kpis(text: str) -> tuple[str, ...]:
    """Return the KPIs that `text` lists. Raises InputError for a name that is none."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in KPIS:
            hint = did_you_mean(name, KPIS) or f"there are: {', '.join(KPIS)}"
            raise InputError(Problem(f"--kpis: no KPI '{name}'", suggestion=hint))
    return names


def recipe_file(name: str, option: str) -> Path:
    """Return the shipped recipe called `name`. Raises InputError, naming `option`, for no such."""
    recipes = {path.stem: path for path in sorted(content.shipped_folder("models").glob("*.py"))}
    if name not in recipes:
        hint = did_you_mean(name, recipes) or f"there are: {', '.join(recipes)}"
        raise InputError(Problem(f"{option}: no recipe '{name}'", suggestion=hint))
    return recipes[name]
