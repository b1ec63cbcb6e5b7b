"""Paths of demand: what they keep of past errors, and how often they hold what comes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import twin
from twin import InputError
from twin.core.arrays import Floats
from twin.demand.gaps import ArrayFeed
from twin.live.demand_paths import DemandPaths, ranked
from twin.live.path_forecasts import PastOrigins, PathForecasts, renewed


def _paths(errors: Floats, forecast: Floats, alone: float = 1e6) -> DemandPaths:
    past = np.full(errors.shape, 100.0)
    return DemandPaths(forecast, past + errors, past, alone, 2)


def test_paths_keep_correlation_in_time_and_between_flows() -> None:
    rng = np.random.default_rng(1)
    common = rng.normal(size=(400, 1, 1)).repeat(12, axis=1)
    errors = np.concatenate([common, 0.8 * common + 0.6 * rng.normal(size=(400, 12, 1))], axis=2)
    drawn = _paths(errors, np.full((12, 2), 200.0)).draw(400, 3)
    off = drawn - 200
    assert off.mean() == pytest.approx(errors.mean(), abs=0.01)
    assert np.corrcoef(off[:, 0, 0], off[:, 11, 0])[0, 1] == pytest.approx(1, abs=1e-6)
    assert np.corrcoef(off[:, 3, 0], off[:, 3, 1])[0, 1] == pytest.approx(0.8, abs=0.06)


def test_a_path_is_what_came_moved_by_what_the_forecasts_differ_by() -> None:
    errors = np.arange(24.0).reshape(2, 12, 1)
    drawn = _paths(errors, np.full((12, 1), 150.0)).draw(2, 0)
    np.testing.assert_allclose(
        np.sort(drawn.sum(axis=(1, 2))), (150 + errors).sum(axis=(1, 2)), rtol=1e-3
    )
    assert (_paths(errors - 500, np.full((12, 1), 1.0)).draw(4, 0) >= 0).all()


def test_paths_are_moved_as_far_as_forecasts_have_told() -> None:
    rng = np.random.default_rng(4)
    levels = rng.uniform(0, 100, (80, 1, 1)).repeat(12, axis=1)
    # One flow comes as is forecast, one twice as far off, one whatever is forecast.
    came = np.concatenate([levels, 2 * levels, rng.uniform(0, 100, (80, 12, 1))], axis=2) + 300
    forecasts = np.repeat(levels, 3, axis=2) + 300
    drawn = DemandPaths(np.full((12, 3), 500.0), came, forecasts, 1e6, 2).draw(80, 1)
    np.testing.assert_allclose(drawn[..., 0], 500, rtol=1e-3)
    # No farther than forecasts differ.
    assert drawn[..., 1].mean() == pytest.approx(500 + levels.mean(), rel=1e-3)
    assert drawn[..., 2].mean() == pytest.approx(came[..., 2].mean(), rel=0.05)
    assert drawn[..., 2].max() < 430


def test_a_short_past_stretches_paths() -> None:
    rng = np.random.default_rng(2)
    errors = rng.normal(size=(200, 1, 1)).repeat(12, axis=1)
    long, short = (
        _paths(errors, np.full((12, 1), 200.0), alone).draw(200, 1).std() for alone in (1e6, 6.0)
    )
    # Student with 5 degrees of freedom has a variance of 5 / 3, times 7 / 6.
    assert long == pytest.approx(errors.std(), rel=0.01)
    assert short / long == pytest.approx(np.sqrt(5 / 3 * 7 / 6), rel=0.15)


def test_the_same_seed_draws_the_same_paths() -> None:
    paths = _paths(np.random.default_rng(0).normal(size=(60, 6, 3)), np.full((6, 3), 50.0))
    assert (paths.draw(20, 5) == paths.draw(20, 5)).all()
    assert (paths.draw(20, 5) != paths.draw(20, 6)).any()


@given(st.integers(2, 60), st.floats(0.01, 0.99))
def test_ranks_are_those_of_one_more(n: int, level: float) -> None:
    value = float(ranked(np.arange(1.0, n + 1), level))
    assert value == pytest.approx(min(max(level * (n + 1), 1), n))


def test_infinite_values_stay_infinite() -> None:
    assert ranked(np.array([1.0, np.inf, np.inf]), 0.9) == np.inf


def test_a_past_that_is_too_short_is_refused() -> None:
    feed = ArrayFeed({"internet": np.ones((40, 1))})
    model = twin.Scenario.load("baseline").forecaster("ridge_traffic")
    with pytest.raises(InputError, match="what-if: needs more of the past than 3h 20min"):
        DemandPaths.of(feed, "internet", model, 40, 24, 300)


def test_what_is_older_than_six_weeks_is_not_read() -> None:
    rng = np.random.default_rng(5)
    hours = 24 * 50
    demand = 100 + 20 * np.sin(np.arange(hours) / 24 * 2 * np.pi) + rng.normal(size=hours)
    other = demand.copy()
    other[: 24 * 8] = 7
    model = twin.Scenario.load("baseline").forecaster("ridge_traffic")
    one, two = (
        DemandPaths.of(ArrayFeed({"internet": each[:, None]}), "internet", model, hours, 12, 3600)
        for each in (demand, other)
    )
    np.testing.assert_array_equal(one.draw(10, 1), two.draw(10, 1))
    assert np.abs(one.forecast[:, 0] - demand[-24:-12]).mean() < 5


def test_what_is_usual_stands_in_for_a_model() -> None:
    hours = np.arange(24 * 20)
    day = 100 + 30 * np.sin(hours / 24 * 2 * np.pi)
    rng = np.random.default_rng(1)
    demand = np.stack([day, 2 * day], axis=1) + rng.normal(size=(len(hours), 2))
    feed = ArrayFeed({"internet": demand})
    paths = DemandPaths.of(feed, "internet", None, len(hours), 12, 3600)
    # The day begins again, and errors are those of the mean of one sample and of a few days.
    assert np.abs(paths.forecast - demand[:12]).max() < 6
    low, high = (ranked(paths.draw(50, 1), level) for level in (0.05, 0.95))
    assert ((low < day[:12, None] * [1, 2]) & (day[:12, None] * [1, 2] < high)).mean() > 0.6
    assert (high - low).mean() < 10


def test_forecasts_that_are_kept_are_those_that_are_made_anew() -> None:
    rng = np.random.default_rng(2)
    hours = np.arange(40 * 24)
    demand = (100 + 50 * np.sin(hours / 24 * 2 * np.pi))[:, None] + rng.normal(
        0, 5, (len(hours), 2)
    )
    model = twin.Scenario.load("baseline").forecaster("ridge_traffic")
    kept = PathForecasts(model, 6, 3600)
    # Hours on end, then more than a day: the origins are other ones.
    for now in (700, 701, 704, 760):
        feed = ArrayFeed({"internet": demand[:now]})
        again = DemandPaths.of(feed, "internet", model, now, 6, 3600, kept)
        anew = DemandPaths.of(feed, "internet", model, now, 6, 3600)
        np.testing.assert_array_equal(again.forecast, anew.forecast)
        np.testing.assert_array_equal(again.draw(9, 1), anew.draw(9, 1))


def test_origins_stay_until_all_is_forecast_again() -> None:
    for start in (300, 6_000):
        places = [PastOrigins.of(now, 12, 24, 120, 300) for now in range(start, start + 600)]
        changed = [here != before for before, here in pairwise(places)]
        assert changed == [renewed(start + 1 + i, 300) for i in range(599)]
        assert 2 <= sum(changed) <= 32
