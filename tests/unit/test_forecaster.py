"""The forecaster sees the past only, answers the same in any block, and serves any link."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from forecasters import HISTORY, MODELS, Kpis, forecasts
from numpy.typing import NDArray

import twin.forecast.feeding as feeding
import twin.forecast.forecaster as module
from twin.core.errors import InputError
from twin.demand.gaps import ArrayFeed
from twin.demand.kpis import KPIS
from twin.demand.varied import varied
from twin.forecast.card import Normalisation
from twin.forecast.forecaster import Forecaster, evaluate
from twin.forecast.windows import TraceWindows, forward_filled

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
    monkeypatch.setattr(feeding, "_WINDOWS_AT_ONCE", 1)
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
    # Until it ends; what is usual is not learnt from a gap, but it is from values that stay.
    there = forecasts(forecaster, filled, 600, 640)
    np.testing.assert_allclose(answers[:26], there[:26], rtol=1e-6)
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


def test_a_network_is_run_on_every_link_whatever_it_is_worth(
    kpis: Kpis, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecaster, plain = (Forecaster.load(MODELS / f"{name}.onnx") for name in ("compact", "ridge"))
    monkeypatch.setattr(module, "evaluate", lambda _, inputs: np.full((len(inputs), 6), 5.0))
    bound = forecaster.bind(ArrayFeed(kpis), HISTORY, 600, stop=640)
    worse = np.array([bound.at(sample) for sample in range(600, 640)])
    assert bound.evaluated == 40 * 3
    monkeypatch.undo()
    assert (worse > forecasts(plain, kpis, 600, 640)).all()


# Horizons


@pytest.mark.parametrize("ahead", [1, 5, 48, 300])
def test_a_forecast_ahead_knows_nothing_after_the_sample(
    forecaster: Forecaster, kpis: Kpis, ahead: int
) -> None:
    def answers() -> NDArray[np.float64]:
        bound = forecaster.bind(ArrayFeed(kpis), HISTORY, 600, stop=640)
        return np.array([bound.at(sample, ahead) for sample in range(600, 640)])

    before = answers()
    assert np.isfinite(before).all()
    for values in kpis.values():
        values[620:] = 1e6
    after = answers()
    np.testing.assert_array_equal(before[:21], after[:21])
    assert not np.array_equal(before[21:], after[21:])


def test_a_path_is_the_forecast_of_each_horizon_whenever_it_is_asked(
    forecaster: Forecaster, kpis: Kpis
) -> None:
    bound, late = (forecaster.bind(ArrayFeed(kpis), HISTORY, 600, stop=640) for _ in range(2))
    for sample in range(600, 630, 7):
        path = late.path(sample, 2, 12)
        np.testing.assert_array_equal(
            path, np.array([bound.at(sample, ahead) for ahead in range(2, 14)])
        )


def test_more_than_a_week_ahead_is_refused(forecaster: Forecaster, kpis: Kpis) -> None:
    bound = forecaster.bind(ArrayFeed(kpis), HISTORY, 600, stop=640)
    with pytest.raises(InputError, match=r"ahead: is 2017, not 0 to 2016 intervals"):
        bound.at(600, 2017)


# Windows


def test_the_linear_reference_learns_how_a_link_goes_on() -> None:
    rng = np.random.default_rng(0)
    alternating = 100 + rng.normal(size=(3000, 1))
    windows = TraceWindows({"internet": alternating}, ["internet"], 10, Normalisation(), 2000)
    blocks = []
    for first in range(2000, 3000, 100):
        windows.upto(first - 1)
        blocks.append(windows.upto(first + 99).reference(first, first + 100))
    error = np.abs(np.concatenate(blocks) - alternating[2000:]).mean()
    assert error < 0.8 * np.abs(np.diff(alternating, axis=0)).mean()


def test_forecasts_that_nobody_asks_for_any_more_are_forgotten() -> None:
    rng = np.random.default_rng(0)
    demand = {"internet": 100 + rng.normal(size=(3000, 2))}
    whole, short = (TraceWindows(demand, ["internet"], 10, Normalisation(), 2000) for _ in range(2))
    fitted = short.windows._reference._fitted[0]
    for first in range(2000, 2600):
        windows = short.upto(first)
        windows.forget(first)
        expected = whole.upto(first).reference(first, first + 1)
        np.testing.assert_array_equal(windows.reference(first, first + 1), expected)
        # What is in force, and what has just been fitted.
        assert len(fitted.fits) <= 2
    with pytest.raises(IndexError, match="are forgotten"):
        short.windows._reference.changes(2000, 2001)


def test_without_the_linear_reference_windows_end_in_zero(kpis: Kpis) -> None:
    how = Normalisation(reference="last", clip=1e9)
    windows = TraceWindows(kpis, KPIS, 10, how, HISTORY)
    block = windows.upto(601).batch(600, 602)
    assert block.inputs.shape == (2, 3, 10, 4)
    assert (block.inputs[:, :, -1] == 0).all()
    last = windows.upto(601).reference(600, 602)
    value = last + block.scale * block.inputs[:, :, 0, 0]
    np.testing.assert_allclose(value, windows.upto(601).values(590, 592), rtol=1e-6)


@pytest.mark.parametrize("how", [Normalisation(), Normalisation(channels=("season", "level"))])
def test_windows_some_steps_apart_are_those_of_the_whole(kpis: Kpis, how: Normalisation) -> None:
    windows = TraceWindows(kpis, KPIS, 10, how, HISTORY)
    windows = windows.upto(696)
    whole, apart = windows.batch(600, 697), windows.batch(600, 697, 7)
    for name in ("inputs", "scale"):
        np.testing.assert_array_equal(getattr(apart, name), getattr(whole, name)[::7])
