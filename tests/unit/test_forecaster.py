"""The forecaster sees the past only, answers the same in any block, and serves any link."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from made_traces import made, mase
from numpy.typing import NDArray

import twin.forecast.forecaster as module
from twin.core.errors import InputError
from twin.demand.gaps import ArrayFeed
from twin.demand.kpis import KPIS
from twin.demand.synthetic import generate
from twin.demand.varied import varied
from twin.forecast.card import Normalisation
from twin.forecast.forecaster import Forecaster, evaluate
from twin.forecast.windows import TraceWindows, forward_filled

MODELS = Path(__file__).parents[2] / "models"
BACKBONE = Path(__file__).parents[3] / "shared" / "data" / "uk_backbone_5min.csv.gz"
PAPERS = ("bilstm", "bilstm_traffic")
SMALL = ("compact", "compact_traffic", "quantile", "quantile_traffic")
SHIPPED = (*PAPERS, *SMALL, "ridge", "ridge_traffic", "trees", "trees_traffic")
HISTORY = 600

Kpis = dict[str, NDArray[np.float64]]


@pytest.fixture(params=SHIPPED)
def forecaster(request: pytest.FixtureRequest) -> Forecaster:
    return Forecaster.load(MODELS / f"{request.param}.onnx")


@pytest.fixture
def kpis() -> Kpis:
    return generate(3, facilities=3, samples=800)


def forecasts(forecaster: Forecaster, kpis: Kpis, start: int, stop: int) -> NDArray[np.float64]:
    bound = forecaster.bind(ArrayFeed(kpis), HISTORY, start, stop=stop)
    return np.array([bound.at(sample) for sample in range(start, stop)])


# What is shipped


@pytest.mark.parametrize("name", PAPERS)
def test_a_shipped_model_is_the_papers_network_in_three_fused_nodes(name: str) -> None:
    card = Forecaster.load(MODELS / f"{name}.onnx").card
    assert card.name == name
    assert (card.window, card.horizon, card.lstm_nodes) == (10, 1, 3)
    assert card.opset <= 18
    if name == "bilstm":
        assert card.features == KPIS
        assert card.parameters == 705_665
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
    assert scores["compact"] <= 1.001 * scores["bilstm"]
    assert scores["trees"] <= 1.001 * scores["ridge"]
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


# Time


def test_nothing_after_a_sample_changes_its_forecast(forecaster: Forecaster, kpis: Kpis) -> None:
    before = forecasts(forecaster, kpis, 600, 640)
    for values in kpis.values():
        values[620:] = 1e6
    after = forecasts(forecaster, kpis, 600, 640)
    np.testing.assert_array_equal(before[:21], after[:21])
    assert not np.array_equal(before[21:], after[21:])


def test_a_forecast_does_not_depend_on_blocks_and_chunks(
    forecaster: Forecaster, kpis: Kpis, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = forecasts(forecaster, kpis, 600, 700)
    monkeypatch.setattr(module, "_BLOCK", 1)
    np.testing.assert_array_equal(whole, forecasts(forecaster, kpis, 600, 700))
    monkeypatch.setattr(module, "CHUNK", 1)
    single = forecasts(forecaster, kpis, 650, 660)
    np.testing.assert_array_equal(whole[50:60], single)


def test_a_forecast_does_not_depend_on_the_number_of_threads(kpis: Kpis) -> None:
    one, two = (Forecaster.load(MODELS / "bilstm.onnx", threads) for threads in (1, 2))
    np.testing.assert_array_equal(forecasts(one, kpis, 600, 650), forecasts(two, kpis, 600, 650))


def test_blocks_are_run_in_calls_of_exactly_64_windows() -> None:
    class Session:
        sizes: ClassVar[list[int]] = []

        def get_inputs(self) -> list[Session]:
            self.name = "window"
            return [self]

        def run(self, _: None, feed: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
            self.sizes.append(len(feed["window"]))
            return [feed["window"][:, -1, :1]]

    inputs = np.arange(140, dtype=np.float32).reshape(140, 1, 1)
    np.testing.assert_array_equal(evaluate(Session(), inputs), np.arange(140))
    assert Session.sizes == [64, 64, 12]


def test_samples_out_of_what_was_bound_are_refused(forecaster: Forecaster, kpis: Kpis) -> None:
    bound = forecaster.bind(ArrayFeed(kpis), HISTORY, 600, stop=610)
    for sample in (599, 610):
        with pytest.raises(IndexError, match=rf"sample {sample} is not in \[600, 610\)"):
            bound.at(sample)


def test_forecasts_cannot_be_written_to(forecaster: Forecaster, kpis: Kpis) -> None:
    bound = forecaster.bind(ArrayFeed(kpis), HISTORY, 600, stop=610)
    with pytest.raises(ValueError, match="read-only"):
        bound.quantiles_at(600)[0] = 0
    assert bound.quantiles_at(600).base is None


# Links


@pytest.mark.parametrize("factor", [1e-6, 1e7])
def test_scaling_a_trace_scales_its_forecasts(
    forecaster: Forecaster, kpis: Kpis, factor: float
) -> None:
    scaled = {name: values * factor for name, values in kpis.items()}
    np.testing.assert_allclose(
        forecasts(forecaster, scaled, 600, 700),
        forecasts(forecaster, kpis, 600, 700) * factor,
        rtol=1e-5,
    )


def test_links_do_not_touch_each_other(forecaster: Forecaster, kpis: Kpis) -> None:
    turned = {name: np.ascontiguousarray(values[:, ::-1]) for name, values in kpis.items()}
    alone = {name: np.ascontiguousarray(values[:, 1:2]) for name, values in kpis.items()}
    together = forecasts(forecaster, kpis, 600, 650)
    np.testing.assert_array_equal(forecasts(forecaster, turned, 600, 650), together[:, ::-1])
    np.testing.assert_array_equal(forecasts(forecaster, alone, 600, 650), together[:, 1:2])


@pytest.mark.parametrize("level", [0.0, 1.0, 5e10])
def test_a_constant_link_is_forecast_to_stay(forecaster: Forecaster, level: float) -> None:
    kpis = {name: np.full((700, 2), level) for name in KPIS}
    np.testing.assert_allclose(forecasts(forecaster, kpis, 600, 650), level, rtol=1e-6)


def test_a_link_that_wakes_up_after_the_history_gets_sane_forecasts(
    forecaster: Forecaster,
) -> None:
    kpis = {name: np.zeros((700, 1)) for name in KPIS}
    for values in kpis.values():
        values[610:] = 1e9 * (1 + 0.1 * np.sin(np.arange(90) / 5))[:, None]
    answers = forecasts(forecaster, kpis, 600, 700)
    assert np.isfinite(answers).all()
    np.testing.assert_allclose(answers[30:], kpis["internet"][630:], rtol=0.1)


def test_forecasts_are_finite_and_never_negative_on_all_kinds_of_links(
    forecaster: Forecaster,
) -> None:
    answers = forecasts(forecaster, varied(5, 40, 700), 600, 700)
    assert np.isfinite(answers).all()
    assert (answers >= 0).all()


def test_a_gap_counts_as_the_last_known_value(forecaster: Forecaster, kpis: Kpis) -> None:
    filled = {name: values.copy() for name, values in kpis.items()}
    for name, values in kpis.items():
        values[605:625] = np.nan
        filled[name] = forward_filled(values)
    answers = forecasts(forecaster, kpis, 600, 640)
    np.testing.assert_array_equal(answers, forecasts(forecaster, filled, 600, 640))
    assert np.isfinite(answers).all()


def test_a_link_of_which_nothing_is_known_yet_has_no_forecast(
    forecaster: Forecaster, kpis: Kpis
) -> None:
    for values in kpis.values():
        values[:610, 0] = np.nan
    answers = forecasts(forecaster, kpis, 600, 640)
    assert np.isnan(answers[:11, 0]).all()
    assert np.isfinite(answers[11:, 0]).all()
    assert np.isfinite(answers[:, 1:]).all()


@pytest.mark.parametrize("kind", ["jumps", "walk", "alternating jumps"])
def test_on_links_unlike_any_trained_on_a_model_is_not_worse_than_the_last_value(
    forecaster: Forecaster, kind: str
) -> None:
    rng = np.random.default_rng(5)
    jumps = ((rng.uniform(size=(3000, 4)) < 0.02) * rng.normal(0, 100, (3000, 4))).cumsum(axis=0)
    demand = {
        "jumps": np.abs(jumps) + rng.normal(50, 1, (3000, 4)),
        "walk": 1000 * np.exp(np.cumsum(0.01 * rng.standard_t(2.2, (3000, 4)), axis=0)),
        "alternating jumps": 500 + 100 * np.sign(jumps) + rng.normal(0, 1, (3000, 4)),
    }[kind]
    kpis = dict.fromkeys(KPIS, np.maximum(demand, 0))
    bound = forecaster.bind(ArrayFeed(kpis), 2000, 2000, stop=3000)
    answers = np.array([bound.at(sample) for sample in range(2000, 3000)])
    error = np.abs(answers - kpis["internet"][2000:]).mean()
    assert error <= 1.02 * np.abs(np.diff(kpis["internet"][1999:], axis=0)).mean()


def test_a_link_that_the_network_forecasts_worse_than_its_reference_gets_the_reference(
    kpis: Kpis, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecaster, plain = (Forecaster.load(MODELS / f"{name}.onnx") for name in ("compact", "ridge"))
    monkeypatch.setattr(module, "evaluate", lambda _, inputs: np.full(len(inputs), 5.0))
    worse = forecasts(forecaster, kpis, 600, 640)
    monkeypatch.undo()
    np.testing.assert_array_equal(worse, forecasts(plain, kpis, 600, 640))


# Windows


def test_the_linear_reference_learns_how_a_link_goes_on() -> None:
    rng = np.random.default_rng(0)
    alternating = 100 + rng.normal(size=(3000, 1))
    windows = TraceWindows({"internet": alternating}, ["internet"], 10, Normalisation(), 2000)
    blocks = [windows.upto(i + 99).batch(i, i + 100) for i in range(2000, 3000, 100)]
    error = np.abs(np.concatenate([b.reference for b in blocks]) - alternating[2000:]).mean()
    assert error < 0.8 * np.abs(np.diff(alternating, axis=0)).mean()


def test_without_the_linear_reference_windows_end_in_zero(kpis: Kpis) -> None:
    how = Normalisation(reference="last", clip=1e9)
    windows = TraceWindows(kpis, KPIS, 10, how, HISTORY)
    block = windows.upto(601).batch(600, 602)
    assert block.inputs.shape == (2, 3, 10, 4)
    assert (block.inputs[:, :, -1] == 0).all()
    value = block.reference + block.scale * block.inputs[:, :, 0, 0]
    np.testing.assert_allclose(value, windows.upto(601).values(590, 592), rtol=1e-6)


@pytest.mark.parametrize("how", [Normalisation(), Normalisation(channels=("season", "level"))])
def test_windows_some_steps_apart_are_those_of_the_whole(kpis: Kpis, how: Normalisation) -> None:
    windows = TraceWindows(kpis, KPIS, 10, how, HISTORY)
    windows = windows.upto(696)
    whole, apart = windows.batch(600, 697), windows.batch(600, 697, 7)
    for name in ("inputs", "reference", "scale"):
        np.testing.assert_array_equal(getattr(apart, name), getattr(whole, name)[::7])


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


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove_model, r"mine\.onnx: the model is missing; "),
        (remove_card, r"mine\.json: the card of mine\.onnx is missing; a model needs its card"),
        (truncate_card, r"mine\.json:\d+: is not JSON"),
        (misspell_card, r"mine\.json: horizn: unknown key; restore it"),
        (change_model, r"mine\.onnx: is not the file that its card describes: sha256 \w+\.\.\., "),
        (truncate_model, r"mine\.onnx: is no model that ONNX Runtime can read: "),
        (
            widen_card,
            r"mine\.onnx: takes windows of shape \[10, 1\], its card says \[10, 2\]; train",
        ),
        (claim_quantiles, r"mine\.onnx: answers with 1 values, its card says 2; train it again"),
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
