"""Busy values, beside NumPy on one window at a time."""

from __future__ import annotations

import numpy as np
import pytest

from twin.core.units import DAY_S
from twin.demand.busy import BusyStatistic

TICK_S, WEEK_S = 3600, 7 * DAY_S


@pytest.fixture
def demand() -> np.ndarray:
    return np.random.default_rng(1).gamma(2, 50, (24 * 7 * 3 + 11, 2))


@pytest.mark.parametrize("name", ["p95", "p99.5", "max", "mean"])
def test_windows_are_counted_back_from_the_end(name: str, demand: np.ndarray) -> None:
    values = BusyStatistic.of(name).windows(demand, WEEK_S, TICK_S)
    assert values.shape == (2, 3)
    for k in range(3):
        window = demand[11 + 168 * k : 11 + 168 * (k + 1)]
        level = 100.0 if name == "max" else float(name.removeprefix("p").replace("mean", "0"))
        expected = window.mean(axis=0) if name == "mean" else np.percentile(window, level, axis=0)
        np.testing.assert_allclose(values[:, k], expected)


def test_the_busy_hour_is_that_of_each_day(demand: np.ndarray) -> None:
    half = np.repeat(demand, 2, axis=0)
    values = BusyStatistic.of("busy_hour").windows(half, WEEK_S, TICK_S // 2)
    days = demand[11:, 0].reshape(3, 7, 24).max(axis=2).mean(axis=1)
    np.testing.assert_allclose(values[0], days)


def test_a_window_that_is_mostly_unknown_has_no_value(demand: np.ndarray) -> None:
    demand[-30:, 0] = np.nan
    demand[:100, 1] = np.nan
    for name in ("p95", "mean", "busy_hour"):
        values = BusyStatistic.of(name).windows(demand, WEEK_S, TICK_S)
        # 30 of 168 samples are less than a quarter; 89 are more.
        assert np.isfinite(values[0]).all()
        assert np.isnan(values[1]).tolist() == [True, False, False]
    known = demand[-168:-30, 0]
    values = BusyStatistic.of("p95").windows(demand, WEEK_S, TICK_S)
    assert values[0, -1] == pytest.approx(np.percentile(known, 95))


def test_what_is_no_statistic_is_refused() -> None:
    for wrong in ("p", "p101", "95", "median", 95):
        with pytest.raises(ValueError, match="is written 'p95', 'max', 'mean' or 'busy_hour'"):
            BusyStatistic.of(wrong)
    with pytest.raises(ValueError, match="must be a whole number of ticks"):
        BusyStatistic.of("p95").windows(np.ones((10, 1)), 5000, TICK_S)
    with pytest.raises(ValueError, match="whole number of days, and the tick up to 1h"):
        BusyStatistic.of("busy_hour").windows(np.ones((10, 1)), 3600, TICK_S)
