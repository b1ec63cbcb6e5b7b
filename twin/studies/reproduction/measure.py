"""Runs the paper's methods, and others beside them, through the twin."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.account.summary import ALL
from twin.api.run import run
from twin.core import content
from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem
from twin.engine.recording import LaneRecord
from twin.forecast.forecaster import Forecaster
from twin.forecast.training.train import train
from twin.policy.load import load as load_policy
from twin.results.result import Result
from twin.scenario.choices import Member, PolicyChoice
from twin.scenario.given import Overrides
from twin.scenario.load import Scenario
from twin.studies.evaluation.evaluate import Evaluation, evaluate
from twin.studies.evaluation.forecasts import (
    SEASONS,
    first_seen,
    persistence,
    seasonal,
    usable,
)
from twin.studies.reproduction.cost import Cost, model_cost, policy_cost
from twin.studies.reproduction.published import AI, BASELINE_1, BASELINE_2

if TYPE_CHECKING:
    import pandas as pd


SEED: Final = 1
PAPER: Final = "paper"
"""The model by the paper's recipe."""

Show = Callable[[int, int], None]


def _no_progress(done: int, total: int) -> None:
    del done, total


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why the AI-enabled DT has no row, and the command that gives it one."""

    because: str
    command: str

    def __str__(self) -> str:
        return (
            f"The AI-enabled DT is left out: {self.because}. `{self.command}` trains it on these "
            "data by the published recipe and fills its rows (needs TensorFlow: "
            "`pip install 'twin[train]'`)."
        )


@dataclass(frozen=True)
class Measured:
    """Everything that was run, and its results."""

    data: str
    """The data that every number is from, as each file states it."""
    public: bool
    """Whether the data are the public dataset."""
    result: Result
    """Every method as a policy, on one link."""
    evaluation: Evaluation
    models: dict[str, Forecaster]
    """By name; `paper` is among them where it stands for the AI-enabled DT."""
    costs: dict[str, Cost]
    notes: tuple[str, ...]
    left_out: LeftOut | None = None
    """Why no model stands for the AI-enabled DT; None where one does."""

    @property
    def paper_methods(self) -> dict[str, str]:
        """The policy that stands for each of the paper's methods: three, or the baselines alone."""
        baselines = {BASELINE_1: BASELINE_1, BASELINE_2: BASELINE_2}
        return baselines if self.left_out else {**baselines, AI: PAPER}

    @property
    def summary(self) -> pd.DataFrame:
        """The summary, a row for each policy."""
        table = self.result.summary
        return table[table["link"] == ALL].set_index("policy")

    @property
    def history(self) -> Floats:
        """Demand of the training part without its gaps, Mbit/s, [samples]."""
        scenario = self.result.scenario
        return _known(scenario.trace.demand_mbps[: scenario.span.history, 0])

    @property
    def replayed(self) -> Floats:
        """Demand of the test part without its gaps, Mbit/s, [samples]."""
        return _known(self.result.recording.demand[:, 0])


def measure(
    data: Path | None, progress: Show = _no_progress, retrain: Path | None = None
) -> Measured:
    """Run everything on one link, of the public dataset's folder `data` or of the default trace.

    With `retrain`, a folder, the paper's model is trained there on the history of that link. Else
    the shipped one, which was trained on the default trace, stands for it there, and none does on
    other data. Raises InputError where the folder cannot be read or TensorFlow is not installed,
    and RunError where a method fails.
    """
    scenario = one_link(data)
    models, notes = _with_the_papers(scenario, data, retrain)
    steps = 3 + len(models) + 2
    progress(1, steps)
    result = with_seasons(run(with_models(scenario, models)))
    progress(2, steps)
    evaluation = evaluate(scenario, list(models))
    costs: dict[str, Cost] = {}
    for name, call in _measurements(models).items():
        progress(3 + len(costs), steps)
        costs[name] = call()
    return Measured(
        describe(scenario, data),
        data is not None,
        result,
        evaluation,
        models,
        costs,
        (*evaluation.notes, *notes),
        None if PAPER in models else _left_out(data),
    )


def _with_the_papers(
    scenario: Scenario, data: Path | None, retrain: Path | None
) -> tuple[dict[str, Forecaster], list[str]]:
    """Return the models, with the paper's first where one can stand for it, and notes on them."""
    models, notes = usable(scenario)
    shipped = models.pop(PAPER, None)
    notes = [note for note in notes if not note.startswith(f"{PAPER} is left out")]
    if retrain is not None:
        return {PAPER: retrained(scenario, retrain), **models}, notes
    if data is None and shipped is not None:
        notes.append("Models are the shipped ones; --retrain trains the paper's on this trace")
        return {PAPER: shipped, **models}, notes
    return models, notes


def _left_out(data: Path | None) -> LeftOut:
    if data is None:
        return LeftOut(f"the model `{PAPER}` is not shipped", "twin reproduce --retrain")
    because = (
        f"the shipped model `{PAPER}` was trained on the generated trace, and its errors on other "
        "data say nothing about the paper"
    )
    return LeftOut(because, f"twin reproduce --data {shlex.quote(str(data))} --retrain")


def retrained(scenario: Scenario, folder: Path) -> Forecaster:
    """Return the paper's model, trained on the history of the scenario's link."""
    recipe = content.shipped_folder("models") / f"{PAPER}.py"
    out = folder / f"{PAPER}.onnx"
    train(recipe, out, trace=scenario.trace, train_share=scenario.spec.demand.train, seed=SEED)
    return Forecaster.load(out)


def one_link(data: Path | None) -> Scenario:
    """Return the paper's comparison on one link, under the policies that need no model."""
    if data is not None and not data.is_dir():
        what = "is not a folder" if data.exists() else "there is no such folder"
        remedy = "'twin data fetch' makes one"
        raise InputError(Problem(f"--data: {what}", file=data, suggestion=remedy))
    demand: dict[str, object] = (
        {"source": "synthetic", "facilities": 1}
        if data is None
        else {"source": "zenodo", "path": str(data.resolve())}
    )
    overrides = (f"demand={json.dumps(demand)}", "name=reproduction")
    asked = Overrides(overrides, (BASELINE_1, BASELINE_2, "last_value"), SEED)
    try:
        scenario = Scenario.load("baseline", asked)
    except InputError as error:
        raise InputError([_about_data(problem) for problem in error.problems]) from None
    # A link combines four series, one of each kind; the paper takes the first of each.
    return replace(scenario, trace=scenario.trace.of_links([0]))


def _about_data(problem: Problem) -> Problem:
    """Return a problem as one of --data, where it names the override that --data becomes."""
    for inside in ("--set:demand: path", "--set:demand.path", "--set:demand"):
        if problem.what.startswith(f"{inside}: "):
            return replace(problem, what=problem.what.replace(inside, "--data", 1))
    return problem


def describe(scenario: Scenario, data: Path | None) -> str:
    """Return a sentence part that names the data of a reproduction."""
    link = scenario.trace.links[0]
    if data is None:
        return f"generated trace (seed {SEED}, {link}), calibrated to the published figures"
    return f"public dataset (folder {data.resolve().name}, link {link})"


def with_models(scenario: Scenario, models: dict[str, Forecaster]) -> Scenario:
    """Return the scenario with each model's forecast allocated as it is."""
    source = load_policy(content.shipped("policies")["bilstm"])
    forecasts = [PolicyChoice(name, (Member(source, {"model": name}),)) for name in models]
    return replace(scenario, policies=(*scenario.policies, *forecasts), models=dict(models))


def with_seasons(result: Result) -> Result:
    """Return the result with the seasonal naive forecasts as allocations beside the others."""
    scenario, span = result.scenario, result.scenario.span
    demand, tick_s = scenario.trace.demand_mbps, scenario.trace.tick_s
    last = persistence(first_seen(scenario.trace), span.first, span.intervals)
    lanes = []
    for name, season_s in SEASONS.items():
        season = season_s // tick_s
        if season <= span.history:
            values = seasonal(demand, span.first, span.intervals, season)
            # An allocation is a number, also where no earlier season has a value.
            allocated = np.where(np.isnan(values), last, values)
            lanes.append(LaneRecord(name, allocated, allocated))
    recording = replace(result.recording, lanes=(*result.recording.lanes, *lanes))
    return Result(scenario, recording, result.wall_time_s)


def _measurements(models: dict[str, Forecaster]) -> dict[str, Callable[[], Cost]]:
    policies = content.shipped("policies")
    constants = {name: partial(policy_cost, policies[name]) for name in (BASELINE_1, BASELINE_2)}
    trained = {name: partial(model_cost, model.path, model.card) for name, model in models.items()}
    return {**constants, **trained}


def _known(values: Floats) -> Floats:
    return values[np.isfinite(values)]
