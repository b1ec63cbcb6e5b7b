"""Each recipe trains on next to nothing, exports what it trained, and goes on after a break."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from twin.core.errors import InputError, RunError
from twin.demand.gaps import ArrayFeed
from twin.demand.synthetic import generate
from twin.demand.trace import Trace
from twin.forecast.card import Normalisation
from twin.forecast.forecaster import Forecaster
from twin.forecast.training import train as training
from twin.forecast.training.train import load_recipe, train

MODELS = Path(__file__).parents[2] / "models"
NEEDS = {
    "bilstm": "tensorflow",
    "compact": "tensorflow",
    "paper": "tensorflow",
    "quantile": "tensorflow",
    "seasonal_lstm": "tensorflow",
    "ridge": "onnx",
    "trees": "sklearn",
}
LSTM_NODES = {"bilstm": 3, "paper": 3, "seasonal_lstm": 1}

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore")]


def need(recipe: str) -> Path:
    if importlib.util.find_spec(NEEDS[recipe]) is None:
        pytest.skip(f"{NEEDS[recipe]} is not installed")
    return MODELS / f"{recipe}.py"


def trace(samples: int = 700, replayed: str = "as it was") -> Trace:
    kpis = {"internet": generate(1, 2, samples)["internet"]}
    if replayed == "noise":
        replay = kpis["internet"][int(0.8 * samples) :]
        replay[:] = np.random.default_rng(9).uniform(0, 1e6, replay.shape)
    return Trace(("a", "b"), kpis, 300, origin="test", digest="0" * 64)


def quiet(_: str) -> None:
    pass


class Kept:
    """A checkpoint in memory, which breaks the run off after some saves."""

    def __init__(self, breaks_after: int | None = None) -> None:
        self.arrays: list[Any] | None = None
        self.saves, self.breaks_after = 0, breaks_after

    def load(self) -> list[Any] | None:
        return self.arrays

    def save(self, arrays: list[Any]) -> None:
        self.arrays = [np.array(array) for array in arrays]
        self.saves += 1
        if self.saves == self.breaks_after:
            raise KeyboardInterrupt

    def remove(self) -> None:
        self.arrays = None


def windows(count: int = 300, depth: int = 1) -> Any:
    rng = np.random.default_rng(4)
    inputs = rng.standard_normal((count, 10, depth)).astype(np.float32)
    return SimpleNamespace(
        inputs=inputs,
        targets=np.repeat((inputs[:, -2, 0] - inputs[:, 3, 0])[:, None], 6, axis=1),
        weights=np.ones(count, dtype=np.float32),
    )


def test_every_recipe_is_tested() -> None:
    assert sorted(NEEDS) == sorted(path.stem for path in MODELS.glob("*.py"))


@pytest.mark.parametrize("recipe", [name for name in NEEDS if name != "bilstm"])
def test_a_recipe_writes_a_model_that_forecasts(recipe: str, tmp_path: Path) -> None:
    out = tmp_path / "tiny.onnx"
    few = 20 if recipe == "trees" else 1
    card = train(need(recipe), out, trace=trace(), epochs=few, report=quiet)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.json", "tiny.onnx"]
    assert card.lstm_nodes == LSTM_NODES.get(recipe, 0)
    forecaster = Forecaster.load(out)
    bound = forecaster.bind(ArrayFeed(trace().kpis), 560, 560, stop=600)
    for sample in range(560, 600):
        assert (bound.at(sample) >= 0).all()
        levels = bound.quantiles_at(sample)
        assert levels.shape == (2, max(len(card.quantiles), 1))
        assert (np.diff(levels, axis=1) >= 0).all()


@pytest.mark.parametrize("recipe", ["compact", "paper", "trees"])
def test_the_same_seed_gives_the_same_model(recipe: str, tmp_path: Path) -> None:
    few = 20 if recipe == "trees" else 1
    answers = []
    for name in ("one.onnx", "two.onnx"):
        train(need(recipe), tmp_path / name, trace=trace(), epochs=few, report=quiet)
        bound = Forecaster.load(tmp_path / name).bind(ArrayFeed(trace().kpis), 560, 560, stop=600)
        answers.append([bound.at(sample) for sample in range(560, 600)])
    np.testing.assert_array_equal(answers[0], answers[1])


@pytest.mark.parametrize("recipe", [name for name in NEEDS if name != "bilstm"])
def test_noise_in_the_replayed_part_leaves_a_model_unchanged(recipe: str, tmp_path: Path) -> None:
    few = 20 if recipe == "trees" else 1
    answers, scores = [], []
    for replayed in ("as it was", "noise"):
        out = tmp_path / f"{replayed}.onnx"
        card = train(need(recipe), out, trace=trace(replayed=replayed), epochs=few, report=quiet)
        inputs = np.random.default_rng(0).standard_normal((64, card.window, card.depth))
        # Names inside the file are drawn by the exporter, so models are compared by answers.
        session = Forecaster.load(out).session
        answers.append(training.evaluate(session, inputs.astype(np.float32)))
        scores.append(card.validation)
    np.testing.assert_array_equal(answers[0], answers[1])
    assert scores[0] == scores[1]


@pytest.mark.parametrize("recipe", ["compact", "quantile"])
def test_a_run_that_was_broken_off_ends_where_it_would_have(recipe: str) -> None:
    module = load_recipe(need(recipe))
    data = windows()
    whole, epochs = module.fit(data, data, 1, 4, quiet, Kept())
    kept = Kept(breaks_after=2)
    with pytest.raises(KeyboardInterrupt):
        module.fit(data, data, 1, 4, quiet, kept)
    lines: list[str] = []
    again, run = module.fit(data, data, 1, 4, lines.append, kept)
    assert lines[0] == "going on after epoch 2"
    assert run == epochs == 4
    np.testing.assert_array_equal(
        module.predict(whole, data.inputs), module.predict(again, data.inputs)
    )


def test_a_loss_of_nan_ends_the_run() -> None:
    module = load_recipe(need("compact"))
    data = windows()
    data.inputs[5] = np.nan
    with pytest.raises(RunError, match="the training diverged: a loss of NaN in epoch 1"):
        module.fit(data, data, 1, 3, quiet, Kept())


def test_quantiles_cannot_cross_and_their_median_is_in_the_middle() -> None:
    module = load_recipe(need("quantile"))
    model = module.network(10, 1, False)
    rng = np.random.default_rng(0)
    model.set_weights(
        [
            4 * rng.standard_normal(w.shape)
            if w.ndim == 1 or w.shape[-1] != len(module.QUANTILES)
            else w
            for w in model.get_weights()
        ]
    )
    answers = module.predict(model, windows().inputs)
    answers = answers.reshape(-1, len(module.STEPS), len(module.QUANTILES))
    assert (np.diff(answers, axis=-1) >= 0).all()


# Seeds and checkpoints of train() itself, with a recipe that fits nothing


def recipe(fails: tuple[int, ...] = (), saves: bool = False) -> Any:
    """A recipe that exports a shipped model; its fits fail for the seeds in `fails`."""
    shipped = MODELS / "ridge_traffic.onnx"

    def fit(
        data: Any, validation: Any, seed: int, epochs: int, report: Any, checkpoint: Any
    ) -> tuple[Any, int]:
        if saves:
            kept = checkpoint.load()
            checkpoint.save([np.arange(3), seed] if kept is None else kept)
            if kept is None:
                raise KeyboardInterrupt
        if seed in fails:
            raise RunError("the training diverged: a loss of NaN in epoch 1")
        return seed, epochs

    def export(model: Any, path: Path) -> dict[str, int]:
        path.write_bytes(shipped.read_bytes())
        return {"parameters": 10, "lstm_nodes": 0, "opset": 18}

    return SimpleNamespace(
        WINDOW=10, EPOCHS=1, NORMALISATION=Normalisation(), VERSIONS={"python": "0"},
        fit=fit, export=export, predict=lambda model, inputs: np.zeros((len(inputs), 1)),
    )  # fmt: skip


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Path]:
    def put(module: Any) -> Path:
        monkeypatch.setattr(training, "load_recipe", lambda path: module)
        return MODELS / "ridge.py"

    return put


def test_several_seeds_are_reported_and_the_first_that_converged_is_written(
    use: Callable[[Any], Path], tmp_path: Path
) -> None:
    lines: list[str] = []
    path = use(recipe(fails=(1,)))
    card = train(path, tmp_path / "a.onnx", trace=trace(), seeds=3, report=lines.append)
    assert card.seed == 2
    assert "seed 1: the training diverged: a loss of NaN in epoch 1" in lines
    assert any(text.startswith("2 of 3 seeds: validation error 0.") for text in lines)


def test_where_every_seed_diverges_nothing_is_written(
    use: Callable[[Any], Path], tmp_path: Path
) -> None:
    path = use(recipe(fails=(1, 2)))
    with pytest.raises(RunError, match="the training diverged from each of 2 seeds"):
        train(path, tmp_path / "a.onnx", trace=trace(), seeds=2, report=quiet)
    assert not list(tmp_path.iterdir())


def test_no_seeds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="seeds must be at least 1, got 0"):
        train(MODELS / "ridge.py", tmp_path / "a.onnx", seeds=0, report=quiet)


def test_a_checkpoint_stays_while_a_run_is_broken_off_and_goes_when_it_is_done(
    use: Callable[[Any], Path], tmp_path: Path
) -> None:
    path = use(recipe(saves=True))
    with pytest.raises(KeyboardInterrupt):
        train(path, tmp_path / "a.onnx", trace=trace(), report=quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["a.checkpoint"]
    train(path, tmp_path / "a.onnx", trace=trace(), report=quiet)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.onnx"]


@pytest.mark.parametrize("what", ["another run's", "damaged"])
def test_a_checkpoint_that_is_not_this_runs_is_not_used(
    use: Callable[[Any], Path], tmp_path: Path, what: str
) -> None:
    path = use(recipe(saves=True))
    if what == "damaged":
        (tmp_path / "a.checkpoint").write_bytes(b"PK\x03\x04 no more")
    else:
        with pytest.raises(KeyboardInterrupt):
            train(path, tmp_path / "a.onnx", trace=trace(), seed=7, report=quiet)
    with pytest.raises(KeyboardInterrupt):  # it starts afresh, and is broken off again
        train(path, tmp_path / "a.onnx", trace=trace(), report=quiet)
