"""The numbers in the report of a batch: means, ranking, verdict and effects of factors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from batch_data import GRID, POLICIES, batch_data, table, words
from scipy import stats

from twin.batches.report.effects import at_levels, measure_factors
from twin.batches.report.ranking_entries import rank_policies, surely_kept
from twin.batches.report.verdict import verdict
from twin.batches.statistics.estimate import estimate
from twin.batches.statistics.ranking import ranking


@pytest.mark.parametrize("metric", ["sla_violation_rate", "over_provisioning_pct"])
def test_a_mean_and_its_interval_are_students_over_replications(metric: str) -> None:
    runs = table(GRID, 5)
    ranked = ranking(runs, metric).set_index("policy")
    means = runs.pivot_table(index="replication", columns="policy", values=metric)
    for policy in POLICIES:
        values, apart = means[policy], means[policy] - means[POLICIES[0]]
        at = ranked.loc[policy]
        assert at["n"] == 5
        assert at["mean"] == pytest.approx(values.mean(), rel=1e-12)
        for width, sample in ((at["half_width"], values), (at["difference_half_width"], apart)):
            assert width == pytest.approx(stats.t.ppf(0.975, 4) * sample.sem(), rel=1e-9)
        assert at["difference"] == pytest.approx(apart.mean(), abs=1e-12)


def test_a_point_that_lacks_runs_counts_as_much_as_any_other() -> None:
    values = np.array([[1.0], [3.0], [100.0]])
    mean = estimate(values, np.array([0, 0, 1]), np.array([0, 1, 0])).mean
    assert mean[0] == (2 + 100) / 2


def test_points_that_lack_different_replications_are_compared_on_the_same_ground() -> None:
    # Each point has a level of its own; only the seeds' errors are left in the interval.
    points, replications = np.divmod(np.arange(40), 4)
    errors = np.array([-0.1, 0.1, 0.2, -0.2])
    values = (1000.0 * points + errors[replications])[:, None]
    kept = np.ones(40, dtype=bool)
    kept[[0, 5]] = False
    whole = estimate(values, points, replications)
    some = estimate(values[kept], points[kept], replications[kept])
    assert some.mean[0] == pytest.approx(whole.mean[0], abs=0.05)
    assert some.half_width[0] == pytest.approx(whole.half_width[0], rel=0.2)


def test_first_is_who_keeps_the_sla_at_most_points_with_least_waste() -> None:
    ranked = rank_policies(batch_data())
    assert [(s.name, s.rank, s.points) for s in ranked] == [
        ("adaptive", 1, 6), ("static_p95", 2, 6), ("lean", 3, 0)
    ]  # fmt: skip


def test_bounds_are_shown_last_and_never_ranked() -> None:
    batch = batch_data(bounds=["adaptive"])
    ranked = rank_policies(batch)
    assert [(s.name, s.rank) for s in ranked] == [
        ("static_p95", 1), ("lean", 2), ("adaptive", None)
    ]  # fmt: skip
    assert "bound, not ranked" in words(batch)
    assert verdict(batch, ranked)[0].startswith("Only static_p95 keeps the SLA")


def test_a_point_is_surely_kept_where_students_interval_is_within_the_sla() -> None:
    batch = batch_data(replications=6)
    runs = batch.runs[batch.runs["policy"] == "adaptive"]
    expected = [
        i
        for i, (_, point) in enumerate(runs.groupby(list(GRID), sort=False)["worst_burn_rate"])
        if stats.t.interval(0.95, 5, point.mean(), point.sem())[1] <= 1
    ]
    assert list(surely_kept(batch, 1)) == expected  # type: ignore[arg-type]


def test_the_verdict_says_whether_the_order_may_be_chance() -> None:
    batch = batch_data()
    sure = " ".join(verdict(batch, rank_policies(batch)))
    assert "the difference is larger than chance explains" in sure

    def alike(runs: pd.DataFrame) -> None:
        noise = np.random.default_rng(1).standard_normal(len(runs))
        runs["over_provisioning_pct"] = 50 + noise
        runs["sla_violation_rate"] = 0.001 * (1 + 0.1 * noise[::-1])
        runs["worst_burn_rate"] = runs["sla_violation_rate"] / 0.01

    batch = batch_data(change=alike)
    unsure = " ".join(verdict(batch, rank_policies(batch)))
    assert "the difference may be chance, its 95 % interval includes 0" in unsure
    assert "cannot be told apart by over-provisioning" in unsure
    assert "least over-provisioning" not in unsure
    assert "\N{ALMOST EQUAL TO}" in words(batch)


def test_effects_are_marginal_means_and_shares_of_the_variance_between_points() -> None:
    batch = batch_data()
    factors = {factor.key: factor for factor in measure_factors(batch)}
    runs, metric = batch.runs, "over_provisioning_pct"
    for key, values in GRID.items():
        factor = factors[key]
        assert factor.labels == tuple(f"{v:g}" if isinstance(v, float) else v for v in values)
        for i, policy in enumerate(POLICIES):
            own = runs[runs["policy"] == policy]
            means = own.groupby(key, sort=False)[metric].mean()
            shown = [at.mean[i] for at in at_levels(batch, factor, metric)]
            assert shown == pytest.approx(means.tolist(), rel=1e-12)
            assert factor.spread[1, i] == pytest.approx(means.max() - means.min(), rel=1e-9)
            points = own.groupby(list(GRID), sort=False)[metric].mean().reset_index()
            group = points.groupby(key)[metric].transform("mean")
            explained = ((group - points[metric].mean()) ** 2).sum() / (
                (points[metric] - points[metric].mean()) ** 2
            ).sum()
            assert factor.explained[1, i] == pytest.approx(explained, rel=1e-9)


def test_a_factor_of_many_numbers_is_taken_in_classes_and_correlated() -> None:
    rng = np.random.default_rng(2)
    drawn = {"links.defaults.capacity_mbps": list(rng.uniform(10, 90, 60))}

    def follow(runs: pd.DataFrame) -> None:
        runs["over_provisioning_pct"] = runs[next(iter(drawn))] ** 2

    batch = batch_data(drawn, 2, change=follow)
    (factor,) = measure_factors(batch)
    assert factor.classed
    assert np.bincount(factor.levels).tolist() == [10] * 6
    assert factor.correlation[1] == pytest.approx([1, 1, 1])
    assert (factor.explained[1] > 0.9).all()
    points = batch.at_points("sla_violation_rate")
    expected = stats.spearmanr(factor.numbers, points[:, 0]).statistic
    assert factor.correlation[0, 0] == pytest.approx(expected)
    assert "nothing to cross" in words(batch)


def test_what_has_no_effect_explains_next_to_nothing_even_in_classes() -> None:
    def noise(runs: pd.DataFrame) -> None:
        runs["over_provisioning_pct"] = np.random.default_rng(5).standard_normal(len(runs))

    (factor,) = measure_factors(
        batch_data({"a": list(np.random.default_rng(3).random(200))}, 1, change=noise)
    )
    assert factor.explained[1].max() < 0.06
