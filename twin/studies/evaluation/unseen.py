"""Links that a model was not trained on: each is left out in turn, then forecast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from twin.account.summary import ALL
from twin.core import content
from twin.core.arrays import Floats
from twin.core.errors import InputError
from twin.core.units import counted
from twin.demand.kpis import KPIS
from twin.forecast.forecaster import Forecaster
from twin.forecast.training.train import train
from twin.results.folder import staged
from twin.results.manifest import study_manifest
from twin.results.manifest_file import write_manifest
from twin.scenario.load import Scenario
from twin.studies.evaluation.forecasts import first_seen, forecasts, persistence
from twin.studies.evaluation.scores import Errors

if TYPE_CHECKING:
    import pandas as pd

FILE = "unseen_links.csv"


def leave_one_link_out(
    scenario: Scenario,
    recipes: Mapping[str, Path],
    epochs: int | None = None,
    report: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Train each recipe without each link in turn, and score that link's replayed part.

    The models know the history of the other links alone; what is fitted when a model is bound
    to a link (scales, seasons, the linear reference) is fitted on that link's own history, as
    in any run. Returns a row for each recipe and link, and one with link `all`: `recipe, link,
    persistence_mae` (Mbit/s), and the MAE over it, of the linear reference alone, of the model
    trained on all links and of the one that never saw the link: `linear, all_links,
    other_links`; `n` are the samples. Raises InputError for a trace of one link, RunError where
    a training diverged.
    """
    import pandas as pd

    trace, span = scenario.trace, scenario.span
    if len(trace.links) < 2:
        raise InputError("--leave-one-link-out: needs a trace of at least two links")
    every = range(len(trace.links))
    ridge = "ridge" if set(KPIS) <= set(trace.kpis) else "ridge_traffic"
    linear = _forecast(scenario, Forecaster.load(content.shipped("models")[ridge]))
    known = persistence(first_seen(trace), span.first, span.intervals)
    tables = []
    for name, recipe in recipes.items():
        whole = _trained(scenario, recipe, epochs)
        report(f"{name}: trained on {counted(len(every), 'link')}")
        by_model = {"linear": linear, "all_links": _forecast(scenario, whole)}
        parts = []
        for link in every:
            others = _with_links(scenario, [each for each in every if each != link])
            model = _trained(others, recipe, epochs)
            parts.append(_forecast(_with_links(scenario, [link]), model))
            report(f"{name}: trained without {trace.links[link]}")
        by_model["other_links"] = np.concatenate(parts, axis=1)
        tables.append(_scored(scenario, name, known, by_model))
    return pd.concat(tables, ignore_index=True)


def _with_links(scenario: Scenario, links: list[int]) -> Scenario:
    """Return the scenario with `links` alone in its trace."""
    return replace(scenario, trace=scenario.trace.of_links(links))


def _trained(scenario: Scenario, recipe: Path, epochs: int | None) -> Forecaster:
    share = scenario.spec.demand.train
    with TemporaryDirectory() as folder:
        out = Path(folder) / f"{recipe.stem}.onnx"
        train(
            recipe, out, trace=scenario.trace, train_share=share, epochs=epochs, report=_no_report
        )
        return Forecaster.load(out)


def _no_report(_: str) -> None:
    pass


def _forecast(scenario: Scenario, model: Forecaster) -> Floats:
    """Return the model's forecasts of the replayed samples, [samples, links]."""
    return next(forecasts(scenario, {model.card.name: model})).mbps


def _scored(
    scenario: Scenario, recipe: str, known: Floats, by_model: Mapping[str, Floats]
) -> pd.DataFrame:
    """Score forecasts of the replayed samples, [samples, links] each; `known` is persistence."""
    import pandas as pd

    span = scenario.span
    demand = scenario.trace.demand_mbps[span.first : span.first + span.intervals]
    last = Errors.of(known, demand, known).per_link()
    table = {"recipe": recipe, "link": [*scenario.trace.links, ALL], "persistence_mae": last["mae"]}
    for name, forecast in by_model.items():
        table[name] = Errors.of(forecast, demand, known).per_link()["mase"]
    return pd.DataFrame(table | {"n": last["n"].astype(np.int64)})


def save(table: pd.DataFrame, name: str, folder: Path, *, force: bool = False) -> None:
    """Write the table of a scenario called `name` to `folder`, whole or not at all.

    Raises InputError where the folder holds anything and `force` is false.
    """
    with staged(folder, force=force) as stage:
        table.to_csv(stage / FILE, index=False, lineterminator="\n")
        write_manifest(stage, study_manifest("scores of unseen links", name))
