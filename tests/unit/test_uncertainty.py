"""Intervals of one replay: shares of violations that cluster, and paired differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import Maker, row
from scipy import stats

import twin
from twin.account.budget import allowed, budget_use, by_period
from twin.account.ranking import Ranking
from twin.account.uncertainty import (
    STRETCHES,
    MeasuredRows,
    StretchSums,
    difference,
    share_interval,
    stretches,
)
from twin.results.verdict import verdict_lines


def clustered(rng: np.random.Generator, share: float, length: float, shape: tuple[int, int]):
    """Return a chain of two states: in the long run `share` of it in clusters of mean `length`."""
    leave, enter = 1 / length, share / (1 - share) / length
    state = rng.random(shape[0]) < share
    chain = np.empty(shape, dtype=bool)
    for i in range(shape[1]):
        draw = rng.random(shape[0])
        state = np.where(state, draw >= leave, draw < enter)
        chain[:, i] = state
    return chain


def by_stretch(values: np.ndarray) -> np.ndarray:
    return np.add.reduceat(values, stretches(values.shape[1]), axis=1, dtype=float)


@pytest.mark.parametrize(("share", "length"), [(0.02, 1.0), (0.02, 3.0), (0.1, 12.0)])
def test_nineteen_of_twenty_intervals_hold_the_share_though_violations_cluster(
    share: float, length: float
) -> None:
    hits = clustered(np.random.default_rng(5), share, length, (2_000, 2_000))
    low, high = share_interval(by_stretch(hits), by_stretch(np.ones_like(hits)))
    covered = ((low <= share) & (high >= share)).mean()
    assert covered >= 0.93
    if length > 1:
        # What independent intervals would have said, for comparison.
        count = hits.sum(axis=1)
        naive_low = stats.beta.ppf(0.025, np.maximum(count, 1e-9), 2_000 - count + 1)
        naive_high = stats.beta.ppf(0.975, count + 1, 2_000 - count)
        assert ((naive_low <= share) & (naive_high >= share)).mean() < covered - 0.1


def test_without_clusters_the_interval_is_clopper_and_pearsons() -> None:
    # The same number in every stretch: less spread than independent intervals have.
    hits, known = np.full((1, STRETCHES), 1.0), np.full((1, STRETCHES), 100.0)
    low, high = share_interval(hits, known)
    exact = stats.binomtest(STRETCHES, 100 * STRETCHES).proportion_ci(0.95, "exact")
    assert (low[0], high[0]) == pytest.approx((exact.low, exact.high), rel=1e-9)
    low, high = share_interval(0 * hits, known)
    assert (low[0], high[0]) == pytest.approx((0, 1 - 0.025 ** (1 / 2_000)), rel=1e-9)
    low, high = share_interval(known, known)
    assert (low[0], high[0]) == pytest.approx((0.025 ** (1 / 2_000), 1), rel=1e-9)
    assert np.isnan(share_interval(0 * hits, 0 * known)).all()


def test_one_cluster_counts_as_one_violation_of_fewer_intervals() -> None:
    hits = np.zeros((1, STRETCHES))
    hits[0, 3] = 30
    low, high = share_interval(hits, np.full((1, STRETCHES), 100.0))
    spread, _ = share_interval(np.full((1, STRETCHES), 1.5), np.full((1, STRETCHES), 100.0))
    assert low[0] < 0.002 < spread[0]
    assert high[0] > 0.05


def test_a_difference_is_students_over_stretches_of_equal_length() -> None:
    apart = np.random.default_rng(2).normal(3, 10, STRETCHES)
    found = difference(apart, np.full(STRETCHES, 50.0))
    width = stats.t.ppf(0.975, STRETCHES - 1) * stats.sem(apart) / 50
    assert found.mean == pytest.approx(apart.mean() / 50)
    assert found.half_width == pytest.approx(width, rel=1e-9)


def test_a_difference_without_effect_is_taken_for_chance_nineteen_times_of_twenty() -> None:
    rng = np.random.default_rng(8)
    noise = rng.standard_normal((3_000, 2_000))
    for i in range(1, 2_000):
        noise[:, i] += 0.9 * noise[:, i - 1]  # remembers some ten intervals
    apart = by_stretch(noise)
    known = np.full(STRETCHES, 100.0)
    sure = np.mean([difference(each, known).sure for each in apart])
    assert 0.03 < sure < 0.08


def test_too_short_a_replay_tells_no_difference() -> None:
    assert not difference(np.array([5.0]), np.array([10.0])).sure
    assert not difference(np.array([]), np.array([])).sure
    assert len(stretches(3)) == 3


def test_a_budget_is_the_floor_of_what_is_known_in_each_period() -> None:
    assert allowed(0.29, np.array([100.0, 99.0, 3.0])).tolist() == [29, 28, 0]
    violated = np.zeros((2, 25), dtype=bool)
    violated[0, [0, 1, 12]] = True
    violated[1, 24] = True
    known = np.ones_like(violated)
    known[0, 2:7] = False
    use = budget_use(by_period(violated, 10), by_period(known, 10), 0.3)
    assert use.used.tolist() == [2, 1]
    assert use.allowed.tolist() == [1, 1]  # of 5 known, and of the 5 that the end leaves
    assert use.kept.tolist() == [False, True]
    assert use.burn == pytest.approx([0.4 / 0.3, 0.2 / 0.3])
    assert use.tightest == 0


def test_a_target_held_on_average_of_links_is_not_held(make: Maker) -> None:
    demand = np.full((400, 4), 10.0)
    demand[250:254, 0] = 20.0
    result = twin.run(make(demand, ["static_p95"], sla={"target": "1%"}))
    pooled = row(result.summary, "static_p95")
    assert pooled["sla_violation_rate"] == pytest.approx(0.005)
    assert (pooled["sla_used_intervals"], pooled["sla_allowed_intervals"]) == (4, 2)
    assert pooled["worst_burn_rate"] == pytest.approx(2)
    terms, verdict = verdict_lines(result)
    assert terms == "SLA: at most 2 of 200 intervals of each link (1 %)"
    assert verdict == (
        "No policy keeps it on every link; closest is static_p95: 3 of 4 links, the worst with 4 "
        "violated intervals where 2 are allowed"
    )


def test_a_target_held_over_the_replay_may_be_missed_in_a_period(make: Maker) -> None:
    demand = np.full(800, 10.0)
    demand[450:453] = 20.0
    for period, used in (("1d", (3, 2)), (None, (3, 4))):
        sla = {"target": "1%"} | ({"period": period} if period else {})
        found = row(twin.run(make(demand, sla=sla)).summary, "static_p95", "link-1")
        assert (found["sla_used_intervals"], found["sla_allowed_intervals"]) == used
        assert (found["worst_burn_rate"] > 1) == (period is not None)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (
            "0.4%",
            "at most 0 of 200 intervals of each link (0.4 %): one violated interval breaks it",
        ),
        ("0.5%", "at most 1 of 200 intervals of each link (0.5 %): a second one breaks it"),
    ],
)
def test_the_terminal_says_where_one_interval_decides(make: Maker, target: str, told: str) -> None:
    result = twin.run(make(np.full(400, 10.0), sla={"target": target}))
    assert verdict_lines(result)[0] == f"SLA: {told}"


def test_the_same_policy_twice_cannot_be_told_apart(make: Maker) -> None:
    demand = 100 + np.random.default_rng(3).standard_normal((800, 2)).cumsum(axis=0)
    names = ["slim", "same", "wide"]
    policies = [
        {"name": name, "use": "rolling_max", "margin": margin}
        for name, margin in zip(names, (0.3, 0.3, 0.6), strict=True)
    ]
    result = twin.run(make(demand, policies))
    line = verdict_lines(result)[1]
    assert line.startswith("Kept on every link; first are slim and same, over-provisioning")
    assert "same +0 \N{PLUS-MINUS SIGN} 0 points" in line
    line = verdict_lines(twin.run(make(demand, policies[1:])))[1]
    assert line.startswith("Kept on every link; first is same, over-provisioning")
    table = result.intervals.pivot_table(
        index="interval", columns="policy", values="over_provisioning_mbps", aggfunc="sum"
    )
    apart = ranking(result).difference("wide", "slim")
    total = result.intervals.query("policy == 'slim'")["demand_mbps"].sum()
    assert apart.mean == pytest.approx(100 * (table["wide"] - table["slim"]).sum() / total)


def ranking(result: twin.Result) -> Ranking:
    return Ranking(result.account.sums, result.settlement, result.recording.tick_s)


def test_stretches_add_up_to_the_summarys_cost(make: Maker) -> None:
    demand = 100 * np.random.default_rng(4).lognormal(0, 0.3, (300, 3))
    demand[200:230, 1] = np.nan
    path = make(
        demand, ["last_value", "static_p95"],
        links=["a", "b", "c"], prices={"capacity": 2, "violated_minute": 3, "unmet_gbit": 5},
    )  # fmt: skip
    result = twin.run(path, overrides={"links.defaults.change_cost": 7})
    cost = result.summary.query("link == 'all'").set_index("policy")["cost"]
    apart = ranking(result).difference("last_value", "static_p95")
    assert apart.mean == pytest.approx(cost["last_value"] - cost["static_p95"], rel=1e-9)
    assert apart.half_width > 0


def test_a_thousand_links_take_a_moment() -> None:
    from time import perf_counter

    rng = np.random.default_rng(1)
    demand = rng.random((1_000, 2_000))
    rows = MeasuredRows(demand, demand, demand, demand, np.zeros_like(demand))
    sums, begin = StretchSums(priced=False), perf_counter()
    for first in range(0, 1_000, 8):
        sums.add(MeasuredRows(*(each[first : first + 8] for each in rows)))
    share_interval(*sums.by_link)
    assert perf_counter() - begin < 5


def test_the_summary_has_an_interval_around_every_share(make: Maker) -> None:
    demand = 100 * np.random.default_rng(6).lognormal(0, 0.3, (600, 2))
    summary: pd.DataFrame = twin.run(make(demand, ["static_p95", "last_value"])).summary
    share = summary["sla_violation_rate"]
    assert (summary["sla_violation_rate_low"] < share).all()
    assert (share < summary["sla_violation_rate_high"]).all()
