"""Seasons are found in the history, never assumed, and forecasts know no more than the past."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twin.core.arrays import Floats, Ints
from twin.demand.synthetic import generate
from twin.demand.varied import varied
from twin.forecast.card import Normalisation
from twin.forecast.season import periods
from twin.forecast.signals import Signals
from twin.forecast.windows import TraceWindows, forward_filled

BACKBONE = Path(__file__).parents[3] / "shared" / "data" / "uk_backbone_5min.csv.gz"


def changes(values: Floats) -> Floats:
    steps = np.diff(values, axis=0, prepend=values[:1])
    scale = np.abs(steps).mean(axis=0)
    return np.clip(np.divide(steps, scale, out=np.zeros_like(steps), where=scale > 0), -6, 6)


def found_in(values: Floats) -> Ints:
    """The seasons of links, [seasons, links]."""
    filled = forward_filled(values)
    return periods(filled, changes(filled)[1:])


def seasonal(period: float, samples: int, weekend: int = 0, seed: int = 0) -> Floats:
    """A season with noise, [samples, 1]; with `weekend`, each so many-th is half as high."""
    rng, time = np.random.default_rng(seed), np.arange(samples) / period
    wave = 2 + np.sin(2 * np.pi * time) + 0.4 * np.sin(4 * np.pi * time + 1)
    low = (time.astype(int) % weekend == weekend - 1) if weekend else np.zeros(samples, bool)
    values = 100 * wave * np.where(low, 0.5, 1) * (1 + 0.01 * rng.standard_normal(samples))
    return np.asarray(values[:, None])


def reference_changes(values: Floats, history: int) -> Floats:
    """The forecast of each change after the history, [samples, links]."""
    trace = TraceWindows({"internet": values}, ["internet"], 10, Normalisation(), history)
    blocks = []
    for first in range(history, len(values), 200):
        last = min(first + 200, len(values))
        trace.upto(first - 1)
        blocks.append(trace.upto(last - 1).change(first, last))
    return np.concatenate(blocks)


def usual(values: Floats, period: int, steps: int) -> Floats:
    """The level that is usual some steps after each sample, less that at the sample, [samples]."""
    signals = Signals(1, np.array([[period], [0]]), steps, len(values))
    signals.extend(values, [values * 0], np.ones(values.shape, dtype=bool))
    return signals.course(0, 0, len(values), [steps])[0, :, 0]


def ratio(values: Floats, history: int) -> float:
    """The error of the reference over that of the last value, after the history."""
    filled = forward_filled(values)
    last, now = filled[history - 1 : -1], filled[history:]
    known = ~np.isnan(values[history:])
    error = np.abs(last + reference_changes(values, history) - now)[known].mean()
    return float(error / np.abs(last - now)[known].mean())


# Which seasons there are


@pytest.mark.parametrize("period", [24, 96, 131, 288, 300])
def test_a_season_of_any_length_is_found(period: int) -> None:
    assert found_in(seasonal(period, 8 * period))[0, 0] == period


@pytest.mark.parametrize("period", [96, 200])
def test_a_week_is_found_beside_the_day(period: int) -> None:
    found = found_in(seasonal(period, 28 * period, weekend=7))
    assert found[:, 0].tolist() == [period, 7 * period]


@pytest.mark.parametrize("kind", ["noise", "walk", "constant", "short", "one season"])
def test_where_there_is_no_season_none_is_found(kind: str) -> None:
    noise = np.random.default_rng(1).standard_normal((4000, 4))
    values = {
        "noise": noise,
        "walk": noise.cumsum(axis=0),
        "constant": np.ones((4000, 4)),
        "short": noise[:10],
        "one season": seasonal(288, 400),
    }[kind]
    assert not found_in(values).any()


def test_a_default_facility_has_a_day() -> None:
    demand = forward_filled(generate(11, 2, 4000)["internet"])
    assert np.abs(found_in(demand)[0] - 288).max() <= 1


# What a season says


def test_a_course_is_how_the_level_went_on_at_that_place_before() -> None:
    cycle = 100 + np.arange(50.0) ** 2 / 100
    values = np.tile(cycle, 6)[:, None]
    course = usual(values, 50, 3)
    assert (course[:100] == 0).all()  # how large the season is takes two of them to see
    expected = np.roll(cycle, -3) - cycle
    np.testing.assert_allclose(course[100:], np.tile(expected, 4), atol=1e-9)


def test_a_season_that_shrinks_is_followed_in_one() -> None:
    cycle = 100 + 50 * np.sin(np.arange(50) * 2 * np.pi / 50)
    values = np.concatenate([np.tile(cycle, 6), np.tile(cycle / 2, 2)])[:, None]
    course = usual(values, 50, 5)
    expected = (np.roll(cycle, -5) - cycle) / 2
    # In one season the size is followed, before the usual level has been.
    np.testing.assert_allclose(course[-1], expected[-1], rtol=0.5)


def test_a_failed_collection_is_not_the_new_normal() -> None:
    rng = np.random.default_rng(4)
    cycle = 100 + 50 * np.sin(np.arange(50) * 2 * np.pi / 50)
    values = (np.tile(cycle, 8) * (1 + 0.01 * rng.standard_normal(400)))[:, None]
    zeros = values.copy()
    zeros[330:333] = 0
    apart = np.abs(usual(zeros, 50, 2) - usual(values, 50, 2))[345:]
    assert apart.max() < 12


def test_a_course_does_not_know_what_follows() -> None:
    values = 10 + np.random.default_rng(2).uniform(size=(400, 1))
    before = usual(values, 50, 4)
    values[300:] = 99
    after = usual(values, 50, 4)
    np.testing.assert_array_equal(before[:300], after[:300])
    assert not np.array_equal(before, after)


# What the reference makes of it


@pytest.mark.parametrize("period", [96, 131, 288])
def test_a_season_makes_the_reference_better(period: int) -> None:
    assert ratio(seasonal(period, 12 * period, seed=3), 10 * period) < 0.8


def test_a_link_that_jumps_is_not_forecast_worse_than_by_its_last_value() -> None:
    rng = np.random.default_rng(5)
    steps = (rng.uniform(size=(6000, 1)) < 0.02) * rng.normal(0, 100, (6000, 1))
    level = np.abs(steps.cumsum(axis=0)) + 50
    day = seasonal(288, 6000)
    walk = 1000 * np.exp(np.cumsum(0.01 * rng.standard_t(2.2, (6000, 1)), axis=0))
    shifted = day * np.exp(steps / 200).cumprod(axis=0)
    broken = np.concatenate([day[:4800], day[4800:][::-1]])
    asleep = day * (np.arange(6000)[:, None] // 150 % 3 > 0)
    for values in (level, walk, shifted, broken, asleep):
        assert ratio(values, 4800) <= 1.02


@pytest.mark.parametrize("history", [10, 11, 30, 100, 287, 600])
def test_a_short_history_is_not_forecast_worse_than_by_its_last_value(history: int) -> None:
    demand = generate(2, 1, history + 600)["internet"]
    assert ratio(demand, history) <= 1.02


def test_a_long_gap_does_no_harm() -> None:
    demand = generate(4, 1, 5000)["internet"].copy()
    demand[3000:3400] = demand[4200:4500] = np.nan
    assert ratio(demand, 4000) < 0.85


def test_unlike_links_gain_on_average_and_lose_nowhere_much() -> None:
    demand = varied(7, 40)["internet"]
    ratios = np.array([ratio(demand[:, i : i + 1], 1920) for i in range(40) if demand[:, i].any()])
    assert ratios.mean() < 0.9
    assert ratios.max() < 1.05


@pytest.mark.skipif(not BACKBONE.exists(), reason=f"{BACKBONE.name} is not there")
@pytest.mark.parametrize("per_day", [288, 200])
def test_on_real_traffic_the_reference_finds_day_and_week(per_day: int) -> None:
    demand = np.loadtxt(BACKBONE, delimiter=",", skiprows=1)[:, 1]
    total = np.concatenate([[0], demand.cumsum()])
    edges = np.arange(0, len(total) - 1, 288 / per_day)
    resampled = np.diff(np.interp(edges, np.arange(len(total)), total))[:, None]
    history = int(0.8 * len(resampled))
    found = found_in(resampled[:history])
    assert found[:, 0].tolist() == [per_day, 7 * per_day]
    assert ratio(resampled, history) <= 0.9


def test_forecasts_know_nothing_of_what_follows_them_across_fits() -> None:
    demand = generate(6, 2, 3000)["internet"]
    before = reference_changes(demand, 2000)
    after = reference_changes(np.concatenate([demand[:2700], 1e5 * np.ones((300, 2))]), 2000)
    np.testing.assert_array_equal(before[:701], after[:701])
    assert not np.array_equal(before, after)
