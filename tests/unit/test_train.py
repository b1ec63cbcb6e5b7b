"""Training sees the history only, is reproducible, and writes both files or none."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from twin.core.errors import InputError, RunError
from twin.demand.synthetic import generate
from twin.demand.trace import Trace
from twin.demand.varied import varied
from twin.forecast.card import Normalisation
from twin.forecast.forecaster import Forecaster
from twin.forecast.training import samples
from twin.forecast.training import train as training
from twin.forecast.training.train import load_recipe, train

RECIPE = Path(__file__).parents[2] / "models" / "bilstm.py"
MODEL = RECIPE.with_name("ridge_traffic.onnx")
SAMPLES = 400

needs_tensorflow = [
    pytest.mark.train,
    pytest.mark.skipif(
        importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
    ),
    pytest.mark.filterwarnings("ignore"),
]


def quiet(_: str) -> None:
    pass


def trace(replayed: str = "as it was") -> Trace:
    demand = generate(1, 2, SAMPLES)["internet"].copy()
    if replayed == "noise":
        replay = demand[int(0.8 * SAMPLES) :]
        replay[:] = np.random.default_rng(9).uniform(0, 1e6, replay.shape)
    return Trace(("a", "b"), {"internet": demand}, 300, origin="test", digest="0" * 64)


def recipe(answer: float = 0.0, apart: float = 0.0, fails: bool = False) -> Any:
    """A recipe without TensorFlow: it exports a shipped model and says it answers otherwise."""

    def fit(
        samples: Any, validation: Any, seed: int, epochs: int, report: Any, checkpoint: Any
    ) -> tuple[Any, int]:
        return samples, epochs

    def export(model: Any, path: Path) -> dict[str, int]:
        path.write_bytes(MODEL.read_bytes())
        if fails:
            raise RuntimeError("no export today")
        return {"parameters": 1, "lstm_nodes": 3, "opset": 18}

    def predict(model: Any, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        session = Forecaster.load(MODEL).session
        return training.evaluate(session, inputs) + apart

    versions = dict.fromkeys(("keras", "tensorflow", "tf2onnx", "onnx", "python"), "0")
    return SimpleNamespace(
        WINDOW=10, EPOCHS=1, NORMALISATION=Normalisation(), VERSIONS=versions,
        fit=fit, export=export, predict=predict,
    )  # fmt: skip


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    monkeypatch.setattr(training, "multiply_adds", lambda model, window: 100 * window)
    return lambda module: monkeypatch.setattr(training, "load_recipe", lambda path: module)


def test_what_is_written_can_be_loaded(use: Callable[[Any], None], tmp_path: Path) -> None:
    use(recipe())
    card = train(RECIPE, tmp_path / "mine.onnx", trace=trace(), report=quiet)
    assert Forecaster.load(tmp_path / "mine.onnx").card == card
    assert card.trained_on == f"test: samples 0 to 320 of 400, 2 links, sha256 {'0' * 64}"
    assert card.name == "mine"
    assert card.multiply_adds == 1000


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (recipe(fails=True), RuntimeError, "no export today"),
        (recipe(apart=1e-3), RunError, "the exported graph differs from the network by 0.001"),
        (recipe(apart=float("nan")), RunError, "differs from the network by nan"),
    ],
)
def test_a_failure_leaves_nothing_behind(
    use: Callable[[Any], None],
    tmp_path: Path,
    module: Any,
    error: type[Exception],
    message: str,
) -> None:
    use(module)
    with pytest.raises(error, match=message):
        train(RECIPE, tmp_path / "mine.onnx", trace=trace(), report=quiet)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("answer", [float("nan"), 1e9])
def test_a_diverged_run_is_not_accepted(
    use: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: float
) -> None:
    use(recipe())
    monkeypatch.setattr(training, "evaluate", lambda _, inputs: np.full(len(inputs), answer))
    with pytest.raises(RunError, match=r"diverged|NaN"):
        train(RECIPE, tmp_path / "mine.onnx", trace=trace(), report=quiet)
    assert not list(tmp_path.iterdir())


def test_training_samples_do_not_depend_on_the_replayed_part(
    use: Callable[[Any], None], tmp_path: Path
) -> None:
    def seen(replayed: str) -> list[Any]:
        kept: list[Any] = []
        module = recipe()
        module.fit = lambda *data: kept.extend(data[:2]) or (None, 1)
        use(module)
        train(RECIPE, tmp_path / "mine.onnx", trace=trace(replayed), report=quiet)
        return kept

    for one, other in zip(seen("as it was"), seen("noise"), strict=True):
        assert len(one.inputs) > 10
        np.testing.assert_array_equal(one.inputs, other.inputs)
        np.testing.assert_array_equal(one.targets, other.targets)


def test_a_history_too_short_to_train_on_is_refused(
    use: Callable[[Any], None], tmp_path: Path
) -> None:
    use(recipe())
    short = Trace(("a",), {"internet": np.ones((12, 1))}, 300)
    with pytest.raises(InputError, match="the history is too short, or too flat, to train on"):
        train(RECIPE, tmp_path / "mine.onnx", trace=short, report=quiet)


def test_a_feature_that_the_trace_lacks_is_refused(
    use: Callable[[Any], None], tmp_path: Path
) -> None:
    use(recipe())
    with pytest.raises(InputError, match="the trace has no KPI 'vpn' to train on"):
        train(RECIPE, tmp_path / "mine.onnx", trace=trace(), features=["vpn"], report=quiet)


@pytest.mark.parametrize("name", ["mine.h5", "file/mine.onnx"])
def test_a_place_that_cannot_be_written_is_refused_before_training(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"a model's file is named NAME\.onnx|cannot be written: "):
        train(RECIPE, tmp_path / name, trace=trace(), report=quiet)


@pytest.mark.parametrize(
    ("module", "name"), [("tensorflow", "TensorFlow"), ("sklearn", "scikit-learn")]
)
def test_what_a_recipe_lacks_is_named_with_the_remedy(
    tmp_path: Path, module: str, name: str
) -> None:
    missing = tmp_path / f"recipe_of_{module}.py"
    missing.write_text(f"raise ModuleNotFoundError('no', name='{module}')\n")
    message = (
        rf"the recipe '{missing.stem}' needs {name}; install it with: pip install 'twin\[train\]'"
    )
    with pytest.raises(InputError, match=message):
        load_recipe(missing)


def test_a_recipe_that_needs_nothing_still_needs_onnx(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    recipe = tmp_path / "plain_recipe.py"
    recipe.write_text("WINDOW = 10\n")
    with pytest.raises(InputError, match="the recipe 'plain_recipe' needs onnx; install it with"):
        load_recipe(recipe)


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.py: the recipe is missing"):
        load_recipe(tmp_path / "none.py")


def test_a_recipe_says_how_many_links_it_learns_from(
    use: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "FACILITIES", 1)
    monkeypatch.setattr(samples, "FACILITY_WINDOWS", 1)
    seen = []
    for links in (20, 40):
        module = recipe()
        module.VARIED = samples.Varied(links, windows=30)
        module.fit = lambda *data: seen.append(data[0].inputs) or (None, 1)
        use(module)
        card = train(RECIPE, tmp_path / "mine.onnx", features=["internet"], report=quiet)
        assert card.trained_on.startswith(f"generated traces: {links} varied links of 8064")
    assert 400 < len(seen[0]) < 800 < len(seen[1]) < 1600


def test_some_training_traces_hold_levels_and_leave_them_at_once() -> None:
    demand = varied(3, 200)["internet"]
    change = np.sort(np.abs(np.diff(demand, axis=0)), axis=0)[::-1]
    in_jumps = change[:24].sum(axis=0) / np.maximum(change.sum(axis=0), 1e-30)
    assert 0.1 < (in_jumps > 0.3).mean() < 0.5


def test_training_traces_are_both_alternating_and_persistent() -> None:
    demand = varied(3, 200)["internet"]
    assert np.isfinite(demand).all()
    assert (demand >= 0).all()
    change = np.diff(demand, axis=0)
    size = np.abs(change).mean(axis=0)
    change = np.clip(change[:, size > 0] / size[size > 0], -6, 6)
    neighbours = (change[1:] * change[:-1]).mean(axis=0) / (change**2).mean(axis=0)
    assert (neighbours < -0.2).mean() > 0.2
    assert (neighbours > 0.2).mean() > 0.1
    level = np.log10(demand.mean(axis=0) + 1e-9)
    assert level.max() - level.min() > 8


@pytest.mark.xdist_group("a trained network")
class TestRecipe:
    """The recipe itself, trained for an epoch on next to nothing."""

    pytestmark = needs_tensorflow

    @pytest.fixture(scope="class")
    def trained(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        out = tmp_path_factory.mktemp("models") / "tiny.onnx"
        train(RECIPE, out, trace=trace(), epochs=1, report=quiet)
        return out

    def test_a_run_writes_a_model_of_the_papers_shape(self, trained: Path) -> None:
        card = Forecaster.load(trained).card
        assert (card.lstm_nodes, card.epochs, card.features) == (3, 1, ("internet",))
        assert sorted(path.name for path in trained.parent.iterdir()) == [
            "tiny.json",
            "tiny.onnx",
        ]
        assert "created" not in json.loads(trained.with_suffix(".json").read_text())

    def test_noise_in_the_replayed_part_leaves_the_weights_unchanged(
        self, trained: Path, tmp_path: Path
    ) -> None:
        other = tmp_path / "tiny.onnx"
        train(RECIPE, other, trace=trace("noise"), epochs=1, report=quiet)
        one, two = Forecaster.load(trained), Forecaster.load(other)
        # Names inside the file are drawn by the exporter, so weights are compared by answers.
        inputs = np.random.default_rng(0).normal(size=(64, 10, 4)).astype(np.float32)
        np.testing.assert_array_equal(
            training.evaluate(one.session, inputs), training.evaluate(two.session, inputs)
        )
        assert one.card.validation == two.card.validation
