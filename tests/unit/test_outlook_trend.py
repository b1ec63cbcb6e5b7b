"""Growth that is fitted: how often its interval holds the truth, and what it withstands."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from twin.core.units import DAY_S
from twin.studies.outlook.trend import fit, harmonics_for

WEEK_S = 7 * DAY_S


def covered(weeks: int, correlation: float, links: int, seed: int) -> float:
    """Return the share of links whose growth lies in its 90 % interval."""
    rng = np.random.default_rng(seed)
    places = np.arange(weeks) - (weeks - 1)
    years = places * 7 / 365.25
    noise = rng.normal(size=(weeks, links))
    for week in range(1, weeks):
        noise[week] = correlation * noise[week - 1] + np.sqrt(1 - correlation**2) * noise[week]
    slopes = rng.uniform(-0.1, 0.5, links)
    values = 5 + slopes * years[:, None] + 0.05 * noise
    hits = 0
    for slope, trend in zip(slopes, fit(places, values, WEEK_S), strict=True):
        wide = stats.t.ppf(0.95, trend.freedom) * np.sqrt(trend.scale[1, 1])
        hits += abs(trend.coefficients[1] - slope) <= wide
    return hits / links


def test_nine_of_ten_intervals_hold_the_growth() -> None:
    shares = {
        (weeks, correlation): covered(weeks, correlation, 150, seed=weeks)
        for weeks in (30, 60, 110)
        for correlation in (0.0, 0.3, 0.5, 0.7)
    }
    assert 0.86 <= np.mean(list(shares.values())) <= 0.94, shares
    # Few weeks that are much like each other look more certain than they are, and others less.
    assert min(shares.values()) > 0.75, shares


def test_a_few_wild_weeks_hardly_move_it() -> None:
    rng = np.random.default_rng(2)
    places = np.arange(80) - 79
    values = 5 + 0.3 * places[:, None] * 7 / 365.25 + 0.02 * rng.normal(size=(80, 1))
    wild = values.copy()
    wild[[3, 5, 76]] += np.array([[2.0], [2.0], [-2.5]])
    (plain,), (robust,) = (fit(places, each, WEEK_S) for each in (values, wild))
    assert abs(robust.coefficients[1] - plain.coefficients[1]) < 0.03
    least_squares = np.polyfit(places * 7 / 365.25, wild[:, 0], 1)[0]
    assert abs(least_squares - 0.3) > 0.1


def test_weeks_may_be_missing() -> None:
    places = np.delete(np.arange(60) - 59, [5, 6, 30])
    values = 4 + 0.2 * places[:, None] * 7 / 365.25
    (trend,) = fit(places, values, WEEK_S)
    assert trend.coefficients[:2] == pytest.approx([4, 0.2])


def test_a_season_needs_a_year() -> None:
    assert [harmonics_for(weeks * 7, weeks) for weeks in (26, 51, 52, 78, 104, 300)] == [
        0, 0, 1, 2, 3, 3,
    ]  # fmt: skip
    # Of windows of eight weeks a year holds too few.
    assert harmonics_for(400, 7) == 0
