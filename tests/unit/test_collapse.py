"""Demand that collapses and returns: what it comes back to, and whether to be ready for it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from twin.policy.collapse import Collapses

Floats = NDArray[np.float64]
NOTHING = -np.inf
AT_ONCE = np.zeros(1, dtype=np.int64)


def _after(demand: list[float] | Floats) -> Collapses:
    collapses = Collapses(1)
    for value in demand:
        collapses.learn(np.array([value], dtype=np.float64))
    return collapses


def _floor(collapses: Collapses, shortfall: float, forecast: float = 0.0, ahead: int = 0) -> float:
    (floor,) = collapses.floor(np.array([forecast]), np.array([shortfall]), AT_ONCE + ahead)
    return float(floor)


def test_what_a_link_carried_before_a_collapse_is_a_floor_until_it_is_back() -> None:
    usual = [100.0] * 20
    assert not _after(usual).any
    assert _floor(_after(usual), 1e9) == NOTHING
    assert _floor(_after([*usual, 0.0, 49.0]), 1e9) == 100
    assert _floor(_after([*usual, 50.0]), 1e9) == NOTHING
    assert not _after([*usual, 0.0, 0.0, 80.0]).any


def test_a_floor_pays_where_the_chance_of_a_return_is_worth_it() -> None:
    # Before anything is known, one in four returns after one sample.
    fallen = _after([*[100.0] * 20, 0.0])
    assert _floor(fallen, 401) == 100
    assert _floor(fallen, 399) == NOTHING
    # It costs only what is above the forecast.
    assert _floor(fallen, 201, forecast=50) == 100
    assert _floor(fallen, 199, forecast=50) == NOTHING
    # A decision that holds for two intervals has twice the chance.
    assert _floor(fallen, 201, ahead=1) == 100
    assert _floor(fallen, 1e9, ahead=13) == NOTHING


def test_the_chance_of_a_return_is_learned_for_each_age() -> None:
    # Collapses of exactly two samples: after the first none returns, after the second each does.
    often = _after([*[100.0] * 20, *([0.0, 0.0] + [100.0] * 10) * 30])
    often.learn(np.array([0.0]))
    assert _floor(often, 1_000) == NOTHING
    often.learn(np.array([0.0]))
    assert _floor(often, 105) == 100


def test_what_lasts_is_the_new_level() -> None:
    low = _after([*[100.0] * 20, *[10.0] * 511])
    assert low.any
    low.learn(np.array([10.0]))
    assert not low.any
    low.learn(np.array([4.0]))
    assert _floor(low, 1e9) == 10


@pytest.mark.parametrize("burst", [1, 4])
def test_the_end_of_a_short_burst_is_no_collapse(burst: int) -> None:
    assert not _after([*[100.0] * 20, *[1_000.0] * burst, 100.0]).any


def test_missing_samples_neither_begin_nor_end_a_collapse() -> None:
    gap = [np.nan] * 3
    assert not _after([*[100.0] * 20, *gap, 100.0]).any
    assert _floor(_after([*[100.0] * 20, 0.0, *gap]), 401) == 100


def test_links_are_apart() -> None:
    rng = np.random.default_rng(3)
    demand = 100 * rng.uniform(0.3, 1.0, (400, 5)) * (rng.uniform(size=(400, 5)) < 0.8)
    together = Collapses(5)
    for row in demand:
        together.learn(row)
    forecast, price, ahead = np.full(5, 1.0), np.full(5, 300.0), np.zeros(5, dtype=np.int64)
    alone = [_floor(_after(demand[:, link]), 300.0, 1.0) for link in range(5)]
    np.testing.assert_array_equal(together.floor(forecast, price, ahead), alone)
