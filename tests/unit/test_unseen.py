"""Each link left out of the training in turn, and forecast by what the others taught."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Maker

from twin import InputError, Scenario
from twin.cli.main import call
from twin.demand.synthetic import generate
from twin.forecast.forecaster import Forecaster
from twin.forecast.training.train import train
from twin.studies.evaluation import unseen

MODELS = Path(__file__).parents[2] / "models"


def demand(links: int = 3, samples: int = 800) -> np.ndarray:
    return generate(1, links, samples)["internet"]


def test_a_link_is_forecast_by_a_model_that_never_saw_it(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, ...]] = []

    def trained(scenario: Scenario, recipe: Path, epochs: int | None) -> Forecaster:
        seen.append(scenario.trace.links)
        return Forecaster.load(MODELS / "ridge_traffic.onnx")

    monkeypatch.setattr(unseen, "_trained", trained)
    lines: list[str] = []
    scenario = Scenario.load(make(demand()))
    scores = unseen.leave_one_link_out(
        scenario, {"ridge": MODELS / "ridge.py"}, report=lines.append
    )
    names = ("link-1", "link-2", "link-3")
    assert seen == [names, names[1:], (names[0], names[2]), names[:2]]
    assert lines[-1] == "ridge: trained without link-3"
    assert list(scores["link"]) == [*names, "all"]
    # It is the linear reference under every name, for each link by itself.
    np.testing.assert_allclose(scores["all_links"], scores["linear"])
    np.testing.assert_allclose(scores["other_links"], scores["linear"])
    # In a gap the last known value stays, though the account counts what is interpolated.
    last = pd.DataFrame(demand()).ffill().to_numpy()[399:-1]
    apart = np.abs(scenario.trace.demand_mbps[400:] - last).mean(axis=0)
    np.testing.assert_allclose(scores["persistence_mae"][:3], apart)
    assert scores["n"].iloc[-1] == 400 * 3


@pytest.mark.parametrize(
    ("recipes", "message"),
    [
        ("rigde", "--leave-one-link-out: no recipe 'rigde'; did you mean 'ridge'?"),
        (",", "--leave-one-link-out: names no recipe"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    make: Maker, capsys: pytest.CaptureFixture[str], recipes: str, message: str
) -> None:
    words = ["evaluate", str(make(demand())), "--leave-one-link-out", recipes]
    assert call(words) == 2
    assert capsys.readouterr().err.strip() == message


def test_a_single_link_cannot_be_left_out(make: Maker) -> None:
    scenario = Scenario.load(make(demand(1)))
    with pytest.raises(InputError, match="needs a trace of at least two links"):
        unseen.leave_one_link_out(scenario, {"ridge": MODELS / "ridge.py"})


@pytest.mark.train
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="needs scikit-learn")
def test_trees_forecast_links_that_they_never_saw(make: Maker) -> None:
    scenario = Scenario.load(make(generate(1, 2, 1_500)["internet"], train=0.8))
    recipes = {"trees": MODELS / "trees.py"}
    scores = unseen.leave_one_link_out(scenario, recipes, epochs=20, report=lambda _: None)
    assert (scores["other_links"] < 0.8).all()
    assert (scores["other_links"] < 1.1 * scores["all_links"]).all()


@pytest.mark.train
@pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="needs onnx")
def test_the_command_prints_and_writes_a_row_for_each_link(
    make: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["--leave-one-link-out", "ridge", "--out", str(out)]
    assert call(["evaluate", str(make(demand())), *words]) == 0
    assert "ridge: trained without link-3" in capsys.readouterr().out
    scores = pd.read_csv(out / unseen.FILE)
    assert list(scores["link"]) == ["link-1", "link-2", "link-3", "all"]
    assert (scores["other_links"] < 0.9).all()


@pytest.mark.train
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="needs onnx")
def test_noise_on_the_link_left_out_leaves_its_model_unchanged(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards: list[list[Any]] = []

    def kept(*positional: Any, **named: Any) -> Any:
        card = train(*positional, **named)
        cards[-1].append(card.sha256)
        return card

    monkeypatch.setattr(unseen, "train", kept)
    for noise in (False, True):
        values = demand()
        if noise:
            values[:, 2] = np.random.default_rng(1).uniform(0, 1e6, len(values))
        cards.append([])
        scenario = Scenario.load(make(values))
        unseen.leave_one_link_out(scenario, {"ridge": MODELS / "ridge.py"}, report=lambda _: None)
    assert cards[0][3] == cards[1][3]
