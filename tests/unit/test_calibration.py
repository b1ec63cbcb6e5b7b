"""Calibrated quantiles, against simulated truth whose quantiles are known in closed form."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from twin import InputError
from twin.policy.calibration import Calibration

pytestmark = pytest.mark.long

LEVELS = (0.9, 0.95, 0.99)
Z = np.array([NormalDist().inv_cdf(level) for level in LEVELS])


def calibration(
    columns: int, ahead: int = 0, levels: tuple[float, ...] = LEVELS, season: int = 0
) -> Calibration:
    return Calibration(np.full(columns, season), np.full(columns, ahead), levels, 0)


def rolled(
    made: Calibration, forecast: np.ndarray, demand: np.ndarray, first: int = 0
) -> np.ndarray:
    """Return the quantiles before each sample, [samples, columns, levels]; forecast[i] is of
    sample i + ahead."""
    answers = []
    for i in range(first, len(demand)):
        answers.append(made.quantiles(forecast[i]))
        made.learn(demand[i])
    return np.array(answers)


def missed(quantiles: np.ndarray, demand: np.ndarray, ahead: int, after: int) -> np.ndarray:
    """Return the share of samples above each quantile, over the nominal one, [levels]."""
    made = quantiles[after : len(demand) - ahead]
    truth = demand[after + ahead :][:, :, None]
    return (truth > made).mean(axis=(0, 1)) / (1 - np.array(LEVELS))


def test_quantiles_of_normal_errors_are_those_of_the_normal_distribution() -> None:
    rng = np.random.default_rng(0)
    levels = (0.01, 0.1, 0.5, 0.9, 0.99)
    demand = 1_000 + 50 * rng.normal(size=(8_000, 4))
    made = rolled(calibration(4, levels=levels), np.full((8_000, 4), 1_000.0), demand)
    expected = np.array([50 * NormalDist().inv_cdf(level) for level in levels])
    # A scale that is estimated from few errors makes rare quantiles wider, on average.
    apart = made[4_000:].mean(axis=(0, 1)) - 1_000
    assert apart[1:4] == pytest.approx(expected[1:4], abs=4)
    assert (np.abs(apart) <= 1.12 * np.abs(expected) + 4).all()
    assert (np.abs(apart)[[0, 4]] >= np.abs(expected)[[0, 4]]).all()


@pytest.mark.parametrize("ahead", [0, 1, 3, 12])
def test_coverage_is_what_the_level_says_however_late_the_outcome_is_known(ahead: int) -> None:
    rng = np.random.default_rng(1)
    walk = 10_000 + rng.normal(size=(12_000, 4)).cumsum(axis=0)
    last = np.concatenate([walk[:1], walk[:-1]])
    made = rolled(calibration(4, ahead), last, walk)
    assert missed(made, walk, ahead, after=4_000) == pytest.approx(1, abs=0.2)


def test_quantiles_widen_as_the_errors_of_a_walk_do() -> None:
    rng = np.random.default_rng(2)
    walk = 10_000 + rng.normal(size=(6_000, 16)).cumsum(axis=0)
    last = np.concatenate([walk[:1], walk[:-1]])
    for ahead in (0, 3, 15):
        apart = rolled(calibration(16, ahead), last, walk)[4_000:] - last[4_000:, :, None]
        # The error of h = ahead + 1 steps has the standard deviation sqrt(h).
        wide = apart.mean(axis=(0, 1)) / np.sqrt(ahead + 1)
        # A scale that follows a few errors which overlap makes them wider than they need be.
        assert (wide >= 0.95 * Z).all()
        assert (wide <= np.array([1.25, 1.25, 1.35]) * Z).all()


def test_coverage_is_held_where_the_spread_follows_the_season_and_jumps() -> None:
    rng = np.random.default_rng(3)
    place = np.arange(12_000)[:, None]
    spread = 20 * (1.2 + np.sin(2 * np.pi * place / 288)) * np.where(place > 8_000, 3, 1)
    demand = 1_000 + spread * rng.normal(size=(12_000, 4))
    made = rolled(calibration(4, season=288), np.full((12_000, 4), 1_000.0), demand)
    assert missed(made, demand, 0, after=3_000) == pytest.approx(1, abs=0.2)
    # It is wide where errors are large.
    apart = (made[4_000:8_000, :, 0] - 1_000).mean(axis=1)
    assert np.corrcoef(apart, spread[4_000:8_000, 0])[0, 1] > 0.9


def test_a_forecast_that_is_always_too_high_gets_quantiles_below_it() -> None:
    rng = np.random.default_rng(4)
    demand = 1_000 + 10 * rng.normal(size=(8_000, 2))
    made = rolled(calibration(2), np.full((8_000, 2), 1_030.0), demand)
    assert missed(made, demand, 0, after=3_000) == pytest.approx(1, abs=0.2)
    assert (made[4_000:, :, 1] < 1_030).all()


def test_rare_levels_recover_from_errors_of_another_size() -> None:
    rng = np.random.default_rng(5)
    # Heavier tails from the middle on: the scale alone does not follow.
    noise = np.where(
        np.arange(16_000)[:, None] < 8_000,
        rng.normal(size=(16_000, 4)),
        rng.standard_t(2.5, size=(16_000, 4)),
    )
    demand = 1_000 + 10 * noise
    made = rolled(calibration(4), np.full((16_000, 4), 1_000.0), demand)
    assert missed(made, demand, 0, after=8_000) == pytest.approx(1, abs=0.2)


def test_quantiles_rise_with_the_level_and_come_in_the_order_asked_for() -> None:
    rng = np.random.default_rng(6)
    demand = np.abs(100 + rng.standard_t(2, size=(1_500, 3)).cumsum(axis=0))
    forecast = np.concatenate([demand[:1], demand[:-1]])
    levels = (0.99, 0.02, 0.5, 0.9, 0.5)
    made = rolled(calibration(3, 5, levels), forecast, demand)
    rising = made[..., [1, 2, 3, 0]]
    assert (np.diff(rising, axis=-1) >= 0).all()
    assert (made >= 0).all()
    np.testing.assert_array_equal(made[..., 2], made[..., 4])


@pytest.mark.parametrize("ahead", [0, 7])
def test_what_comes_later_changes_no_quantile(ahead: int) -> None:
    rng = np.random.default_rng(7)
    demand = 100 + rng.normal(size=(1_000, 2))
    changed = demand.copy()
    changed[600:] = 500
    forecast = np.full((1_000, 2), 100.0)
    one, other = (rolled(calibration(2, ahead), forecast, each) for each in (demand, changed))
    np.testing.assert_array_equal(one[:601], other[:601])
    assert (one[601:] != other[601:]).any()


def test_columns_know_nothing_of_each_other() -> None:
    rng = np.random.default_rng(8)
    demand = 100 + rng.normal(size=(800, 3)).cumsum(axis=0)
    forecast = np.concatenate([demand[:1], demand[:-1]])
    season, ahead = np.array([0, 24, 288]), np.array([0, 5, 30])
    together = rolled(Calibration(season, ahead, LEVELS, 0), forecast, demand)
    for i in range(3):
        made = Calibration(season[[i]], ahead[[i]], LEVELS, 0)
        alone = rolled(made, forecast[:, [i]], demand[:, [i]])
        np.testing.assert_array_equal(alone[:, 0], together[:, i])


def test_gaps_and_links_of_which_nothing_is_known_teach_nothing() -> None:
    rng = np.random.default_rng(9)
    demand = 100 + rng.normal(size=(900, 2))
    forecast = np.full((900, 2), 100.0)
    demand[:500, 0] = forecast[:500, 0] = np.nan
    demand[600:650, 1] = np.nan
    made = rolled(calibration(2), forecast, demand)
    assert np.isnan(made[:500, 0]).all()
    # Nothing was learnt yet: the forecast itself.
    assert (made[500, 0] == 100).all()
    assert np.isfinite(made[500:]).all()
    # The largest of 300 errors is some 2.7 sigma off, the quantiles at most twice as far.
    assert (made[600:] < 110).all()


def test_a_demand_that_never_changes_has_quantiles_at_itself() -> None:
    demand = np.full((400, 1), 5.0)
    assert (rolled(calibration(1), demand, demand) == 5).all()


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ((0.9, 1.0), "levels: 1 is not between 0 and 1"),
        ((-0.1,), "levels: -0.1 is not between 0 and 1"),
        ((float("nan"),), "levels: nan is not between 0 and 1"),
    ],
)
def test_a_level_that_is_no_share_is_refused(levels: tuple[float, ...], message: str) -> None:
    with pytest.raises(InputError) as error:
        calibration(1, levels=levels)
    assert str(error.value) == message
