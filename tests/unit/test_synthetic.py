"""The generated trace looks like the paper's, on every seed, and like nothing it should not."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from twin.demand.kpis import KPIS
from twin.demand.synthetic import generate

HISTORY = int(0.8 * 10_738)

# MAE, RMSE, mean over-provisioning; median, lower and upper quartile of efficiency.
PUBLISHED = {
    "mean + 2 sigma": (457, 489, 457, 0.474, 0.23, 0.597),
    "P95": (355, 395, 355, 0.543, 0.263, 0.683),
}


def filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    index, known = np.arange(len(values)), ~np.isnan(values)
    return np.interp(index, index[known], values[known])


def measured(seed: int) -> NDArray[np.float64]:
    demand = filled(generate(seed, 1)["internet"][:, 0])
    history, replay = demand[:HISTORY], demand[HISTORY:]
    rows = []
    for capacity in (history.mean() + 2 * history.std(), np.percentile(history, 95)):
        error = capacity - replay
        lower, median, upper = np.percentile(np.minimum(replay / capacity, 1), [25, 50, 75])
        over = np.maximum(error, 0).mean()
        row = (np.abs(error).mean(), np.sqrt((error**2).mean()), over, median, lower, upper)
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("seed", [1, 7])
def test_both_baselines_land_within_three_percent_of_the_papers_rows(seed: int) -> None:
    np.testing.assert_allclose(measured(seed), list(PUBLISHED.values()), rtol=0.03)


def test_the_mean_over_twenty_seeds_lands_within_one_percent_of_the_papers_rows() -> None:
    mean = np.mean([measured(seed) for seed in range(20)], axis=0)
    np.testing.assert_allclose(mean, list(PUBLISHED.values()), rtol=0.01)


def test_a_facility_is_the_same_however_many_there_are() -> None:
    few, many = generate(3, facilities=2), generate(3, facilities=5)
    for name in KPIS:
        np.testing.assert_array_equal(few[name], many[name][:, :2])


def test_a_seed_always_gives_the_same_trace_and_another_seed_another() -> None:
    one, again, other = (generate(seed, 2, 500)["internet"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_facilities_differ_from_each_other() -> None:
    levels = np.nanmean(generate(1, facilities=6)["internet"], axis=0)
    assert len(set(levels.round())) == 6


def test_values_are_on_the_scale_and_never_negative() -> None:
    for values in generate(1, facilities=20).values():
        assert np.nanmin(values) >= 0
        assert np.nanmax(values) < 1500


def test_gaps_are_rare_common_to_all_kpis_and_mostly_short() -> None:
    kpis = generate(5, facilities=200)
    missing = np.isnan(kpis["internet"])
    for values in kpis.values():
        np.testing.assert_array_equal(np.isnan(values), missing)
    edges = np.diff(missing.astype(int), axis=0)
    first, last = np.argwhere(edges.T == 1), np.argwhere(edges.T == -1)
    assert not missing[0].any()
    assert 0.0005 < missing.mean() < 0.01
    if len(first) == len(last):
        lengths = last[:, 1] - first[:, 1]
        assert 0.02 < (lengths > 12).mean() < 0.2


def test_noise_alternates_and_grows_with_the_hour() -> None:
    demand = filled(generate(1, 1)["internet"][:, 0])
    smooth = np.convolve(demand, np.ones(7) / 7, "same")
    noise = ((demand - smooth) / smooth)[10:-10]
    assert np.corrcoef(noise[1:], noise[:-1])[0, 1] < -0.2
    hour = (np.arange(len(demand)) / 12 % 24)[10:-10]
    night, afternoon = (
        np.median(np.abs(noise[(hour > a) & (hour < b)])) for a, b in ((1, 4), (13, 18))
    )
    assert afternoon > 1.5 * night
    assert 9 < np.abs(np.diff(demand)).mean() < 11.5


def test_office_kpis_rest_at_the_weekend() -> None:
    vpn = filled(generate(1, 1)["vpn"][:, 0])[: 28 * 288].reshape(4, 7, 288).mean(axis=(0, 2))
    assert vpn[5:].max() < 0.5 * vpn[:5].min()


@pytest.mark.parametrize(("samples", "step_s"), [(1, 300), (2, 3600), (100, 60), (40, 86_400)])
def test_any_length_and_step_can_be_made(samples: int, step_s: int) -> None:
    kpis = generate(1, 2, samples, step_s)
    assert all(values.shape == (samples, 2) for values in kpis.values())


def test_the_default_trace_is_made_in_a_moment() -> None:
    began = time.perf_counter()
    generate(1)
    assert time.perf_counter() - began < 1.5
