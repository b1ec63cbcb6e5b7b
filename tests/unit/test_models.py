"""Shipped models are what their cards say and beat the last value; damaged ones are refused."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_files
import pytest
from conftest import BACKBONE
from forecasters import HISTORY, MODELS, PAPERS, SHIPPED, Kpis
from made_traces import made, mase
from onnxruntime import InferenceSession

from twin.core.errors import InputError
from twin.demand.gaps import ArrayFeed
from twin.demand.kpis import KPIS
from twin.demand.synthetic import generate
from twin.forecast.forecaster import Forecaster

# What is shipped


@pytest.mark.parametrize("name", PAPERS)
def test_a_shipped_model_is_the_papers_network_in_three_fused_nodes(name: str) -> None:
    card = Forecaster.load(MODELS / f"{name}.onnx").card
    assert card.name == name
    assert (card.window, card.lstm_nodes) == (10, 3)
    assert card.steps == (1, 2, 4, 13, 49, 289)
    assert card.opset <= 18
    if name == "bilstm":
        assert card.features == KPIS
        # The paper's, three channels more to read, and five horizons more to answer for.
        assert card.parameters == 705_665 + 3 * 4 * 128 * 2 + 5 * 65
    else:
        assert card.features == ("internet",)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_card_tells_the_error_beside_persistence_and_a_linear_model(name: str) -> None:
    scores = Forecaster.load(MODELS / f"{name}.onnx").card.validation
    # Quantiles are fitted for all levels at once, which costs the median a little.
    assert scores.model <= (1.005 if "quantile" in name else 1) * scores.linear
    assert scores.linear < scores.persistence


@pytest.mark.parametrize("suffix", ["", "_traffic"])
def test_the_compact_network_takes_a_fiftieth_of_the_work(suffix: str) -> None:
    large, small = (
        Forecaster.load(MODELS / f"{name}{suffix}.onnx").card for name in ("bilstm", "compact")
    )
    # A dense network multiplies once a parameter, a recurrent one does so at every sample.
    assert small.parameters < large.parameters * large.window / 50


@pytest.mark.parametrize("kind", ["square", "steps", "zeros", "spikes", "drops", "walk"])
def test_no_forecaster_errs_more_than_the_large_network_on_jumps(kind: str) -> None:
    demand = made(kind, "normal", 21)
    scores = {
        name: mase(Forecaster.load(MODELS / f"{name}_traffic.onnx"), demand)
        for name in ("bilstm", "compact", "trees", "ridge")
    }
    assert scores["compact"] <= 1.02 * scores["bilstm"]
    assert max(scores.values()) < 1.02


def test_the_papers_recipe_reads_and_answers_plain_values() -> None:
    forecaster = Forecaster.load(MODELS / "paper.onnx")
    card = forecaster.card
    assert (card.parameters, card.lstm_nodes, card.features) == (705_665, 3, KPIS)
    assert card.normalisation.reference == "none"
    kpis = generate(1, 1)
    start = int(0.8 * 10_738)
    bound = forecaster.bind(ArrayFeed(kpis), start, start, stop=10_738)
    answers = np.array([bound.at(sample) for sample in range(start, 10_738)])
    error = np.nanmean(np.abs(answers - kpis["internet"][start:]))
    assert 20 < error < 60


@pytest.mark.parametrize("name", ["quantile", "quantile_traffic"])
def test_quantiles_ascend_and_cover_what_they_say(name: str) -> None:
    forecaster = Forecaster.load(MODELS / f"{name}.onnx")
    levels = np.array(forecaster.card.quantiles)
    kpis = generate(1)
    start = int(0.8 * 10_738)
    bound = forecaster.bind(ArrayFeed(kpis), start, start, stop=10_738)
    answers = np.array([bound.quantiles_at(sample) for sample in range(start, 10_738)])
    assert answers.shape[1:] == (4, len(levels))
    assert (answers >= 0).all()
    assert (np.diff(answers, axis=-1) >= 0).all()
    median = answers[-1][:, levels.tolist().index(0.5)]
    np.testing.assert_array_equal(bound.at(10_737), median)
    demand = kpis["internet"][start:, :, None]
    known = ~np.isnan(demand[..., 0])
    covered = (demand <= answers)[known].mean(axis=0)
    assert (np.abs(covered - levels) < 0.04).all()


def test_a_model_without_quantiles_has_one_column(kpis: Kpis) -> None:
    bound = Forecaster.load(MODELS / "ridge.onnx").bind(ArrayFeed(kpis), HISTORY, 600, stop=610)
    np.testing.assert_array_equal(bound.quantiles_at(600)[:, 0], bound.at(600))


def test_a_shipped_model_beats_persistence_on_every_default_facility(
    forecaster: Forecaster,
) -> None:
    kpis = generate(1)
    demand, start = kpis["internet"], int(0.8 * 10_738)
    bound = forecaster.bind(ArrayFeed(kpis), start, start, stop=len(demand))
    answers = np.array([bound.at(sample) for sample in range(start, len(demand))])
    error = np.nanmean(np.abs(answers - demand[start:]), axis=0)
    persistence = np.nanmean(np.abs(np.diff(demand[start - 1 :], axis=0)), axis=0)
    assert (error < 0.8 * persistence).all()


@pytest.mark.skipif(not BACKBONE.exists(), reason=f"{BACKBONE.name} is not there")
def test_on_real_traffic_that_they_never_saw_models_beat_persistence() -> None:
    demand = np.loadtxt(BACKBONE, delimiter=",", skiprows=1)[:, 1:2]
    start = int(0.8 * len(demand))
    assert np.abs(np.diff(demand[start - 1 :], axis=0)).mean() == pytest.approx(62.32, abs=0.01)
    for name in (name for name in SHIPPED if name.endswith("_traffic")):
        forecaster = Forecaster.load(MODELS / f"{name}.onnx")
        bound = forecaster.bind(ArrayFeed({"internet": demand}), start, start, stop=len(demand))
        answers = np.array([bound.at(sample) for sample in range(start, len(demand))])
        assert np.abs(answers - demand[start:]).mean() < 0.9 * 62.32


# Bad input


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for suffix in (".onnx", ".json"):
        shutil.copy(MODELS / f"bilstm_traffic{suffix}", tmp_path / f"mine{suffix}")
    return tmp_path / "mine.onnx"


def edit(model: Path, **changes: object) -> None:
    path = model.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def reseal(model: Path) -> None:
    edit(model, sha256=hashlib.sha256(model.read_bytes()).hexdigest())


def remove_model(model: Path) -> None:
    model.unlink()


def remove_card(model: Path) -> None:
    model.with_suffix(".json").unlink()


def truncate_card(model: Path) -> None:
    path = model.with_suffix(".json")
    path.write_text(path.read_text()[:100])


def misspell_card(model: Path) -> None:
    edit(model, horizn=1)


def change_model(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:-1] + b"x")


def truncate_model(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:1000])
    reseal(model)


def widen_card(model: Path) -> None:
    edit(model, features=["internet", "vpn"])


def claim_quantiles(model: Path) -> None:
    edit(model, quantiles=[0.5, 0.9])


def forget_the_median(model: Path) -> None:
    edit(model, quantiles=[0.1, 0.9])


def name_a_channel_twice(model: Path) -> None:
    card = json.loads(model.with_suffix(".json").read_text())
    edit(model, normalisation=card["normalisation"] | {"channels": ["level", "level"]})


def name_no_kpi(model: Path) -> None:
    edit(model, features=["internet", "vnp"])


WINDOWS = ("N", 10, 4)


def replace_model(data: bytes) -> Callable[[Path], None]:
    def damage(model: Path) -> None:
        model.write_bytes(data)
        reseal(model)

    return damage


def leave_weights_outside(model: Path) -> None:
    """Write a model that ONNX Runtime runs, and whose weights are in a second file."""
    nodes = [onnx_files.node("Flatten", ["x"], "f"), onnx_files.node("MatMul", ["f", "w"], "y")]
    weights = onnx_files.external("w", (40, 6), "weights.bin")
    (model.parent / "weights.bin").write_bytes(bytes(4 * 40 * 6))
    answers = onnx_files.tensor_type(("N", 6))
    replace_model(onnx_files.model(WINDOWS, nodes, answers, weights))(model)
    InferenceSession(str(model), providers=["CPUExecutionProvider"])


def answer_with(operator: str, answers: bytes, **attributes: int) -> Callable[[Path], None]:
    node = onnx_files.node(operator, ["x"], "y", **attributes)
    return replace_model(onnx_files.model(WINDOWS, [node], answers))


def card_line(key: str, text: str) -> Callable[[Path], None]:
    def damage(model: Path) -> None:
        path = model.with_suffix(".json")
        path.write_text(re.sub(rf'("{key}": )[^,\n]+', rf"\g<1>{text}", path.read_text()))

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (leave_weights_outside, r"mine\.onnx: keeps weights in another file, which its card does"),
        (
            answer_with("ReduceMean", onnx_files.tensor_type(()), keepdims=0),
            r"mine\.onnx: answers with a tensor of shape \[\], its card says 6; train it again",
        ),
        (
            answer_with("SequenceConstruct", onnx_files.sequence_type(WINDOWS)),
            r"mine\.onnx: answers with no tensor, its card says 6; train it again",
        ),
        (card_line("local", "1" * 400), r"mine\.json: normalisation\.local: "),
        (card_line("seed", "1" * 5000), r"mine\.json:\d+: holds a number of too many digits; res"),
        (remove_model, r"mine\.onnx: the model is missing; "),
        (remove_card, r"mine\.json: the card of mine\.onnx is missing; a model needs its card"),
        (truncate_card, r"mine\.json:\d+: is not JSON"),
        (misspell_card, r"mine\.json: horizn: unknown key; restore it"),
        (change_model, r"mine\.onnx: is not the file that its card describes: sha256 \w+\.\.\., "),
        (truncate_model, r"mine\.onnx: is no model that ONNX Runtime can read: "),
        (
            widen_card,
            r"mine\.onnx: takes windows of shape \[10, 4\], its card says \[10, 5\]; train",
        ),
        (claim_quantiles, r"mine\.onnx: answers with 6 values, its card says 12; train it again"),
        (forget_the_median, r"'quantiles' must ascend and have 0\.5 among them"),
        (name_a_channel_twice, r"normalisation: 'channels' names one twice"),
        (name_no_kpi, r"'vnp' in 'features' is no KPI; did you mean 'vpn'\?"),
    ],
)
def test_a_damaged_model_is_refused_in_one_line(
    copy: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(copy)
    with pytest.raises(InputError, match=message) as caught:
        Forecaster.load(copy)
    assert "\n" not in str(caught.value)
    assert str(copy.parent) in str(caught.value)


def test_a_kpi_that_the_trace_lacks_is_named() -> None:
    forecaster = Forecaster.load(MODELS / "bilstm.onnx")
    forecaster.require(KPIS)
    with pytest.raises(InputError, match="needs the KPIs 'sessions' and 'vpn'"):
        forecaster.require(["internet", "downstream"])


def test_a_history_shorter_than_the_window_is_refused(forecaster: Forecaster, kpis: Kpis) -> None:
    window = forecaster.card.window
    message = rf"at least {window} samples, the trace has {window - 1}"
    with pytest.raises(InputError, match=message):
        forecaster.bind(ArrayFeed(kpis), window - 1, window, stop=window + 10)
