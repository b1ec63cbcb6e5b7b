"""Results that theory gives, whatever the code."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import Maker, policy_file, row

import twin


def test_constant_demand_is_provisioned_exactly_by_every_static_policy(make: Maker) -> None:
    policies = ["static_mean2sigma", "static_p95", "last_value"]
    summary = twin.run(make(np.full(200, 40.0), policies)).summary
    for name in policies:
        found = row(summary, name)
        assert found["efficiency_mean"] == found["utilization_mean"] == 1
        assert found["wastage_mean"] == found["unmet_mbit"] == found["mae"] == 0
        assert found["allocated_mean_mbps"] == 40


def test_gaussian_demand_violates_mean_plus_two_sigma_in_one_tail(make: Maker) -> None:
    demand = np.random.default_rng(1).normal(1000, 50, (40_000, 4))
    summary = twin.run(make(demand, ["static_mean2sigma", "static_p95"])).summary
    # Standard errors with 80,000 intervals: 0.0005 and 0.0008, and as much from the fit.
    assert row(summary, "static_mean2sigma")["sla_violation_rate"] == pytest.approx(
        0.02275, abs=0.0025
    )
    assert row(summary, "static_p95")["sla_violation_rate"] == pytest.approx(0.05, abs=0.004)


def test_half_of_a_symmetric_walk_exceeds_the_last_value(make: Maker) -> None:
    steps = np.random.default_rng(2).normal(0, 1, 40_000)
    summary = twin.run(make(10_000 + np.cumsum(steps), ["last_value"])).summary
    found = row(summary, "last_value")
    assert found["sla_violation_rate"] == pytest.approx(0.5, abs=0.015)
    assert found["mae"] == pytest.approx(np.sqrt(2 / np.pi), rel=0.02)
    assert found["rmse"] == pytest.approx(1, rel=0.02)


def test_a_square_surge_inside_an_interval_violates_for_its_own_seconds(make: Maker) -> None:
    surge = {"kind": "surge", "start": "7min 20s", "duration": "90s", "factor": 3}
    result = twin.run(make(np.full(20, 100.0), ["static_p95"], events=[surge]))
    second = result.intervals.iloc[1]
    share = 90 / 300
    assert second["demand_mbps"] == pytest.approx(100 * (1 - share) + 300 * share, rel=1e-12)
    assert second["violation_s"] == pytest.approx(90, rel=1e-12)
    assert second["unmet_mbps"] == pytest.approx(200 * share, rel=1e-12)
    assert second["efficiency"] == pytest.approx(1, rel=1e-12)
    assert second["utilization"] == pytest.approx(1 * (1 - share) + 3 * share, rel=1e-12)
    assert result.intervals["violation_s"].sum() == pytest.approx(90)
    assert row(result.summary, "static_p95")["sla_violation_rate"] == 1 / 10
    assert row(result.summary, "static_p95")["sla_violation_minutes"] == pytest.approx(1.5)
    assert row(result.summary, "static_p95")["unmet_mbit"] == pytest.approx(200 * 90)


def test_a_ramp_counts_with_its_mean_over_the_piece(make: Maker) -> None:
    surge = {"kind": "surge", "start": "5min", "duration": "20min", "factor": 2, "ramp": "5min"}
    result = twin.run(make(np.full(20, 100.0), ["static_p95"], events=[surge]))
    demand = result.intervals["demand_mbps"].to_numpy()
    np.testing.assert_allclose(demand[:7], [100, 150, 200, 200, 150, 100, 100], rtol=1e-12)


def test_a_triangle_of_two_ramps_has_half_the_area_of_its_box(make: Maker) -> None:
    surge = {"kind": "surge", "start": "100s", "duration": "1000s", "add_mbps": 60, "ramp": "500s"}
    result = twin.run(make(np.full(20, 100.0), ["static_p95"], events=[surge]))
    excess = (result.intervals["demand_mbps"] - 100).sum() * 300
    assert excess == pytest.approx(60 * 1000 / 2, rel=1e-12)


def test_overlapping_ramps_multiply_at_every_instant(make: Maker) -> None:
    # Two factors that rise from 1 to 2 and from 1 to 3 over the same 300 s: the mean of
    # (1 + u)(1 + 2 u) over [0, 1] is 1 + 3/2 + 2/3.
    both = {"kind": "surge", "start": "0s", "duration": "40min", "ramp": "5min"}
    events = [both | {"name": "a", "factor": 2}, both | {"name": "b", "factor": 3}]
    result = twin.run(make(np.full(20, 100.0), ["static_p95"], events=events))
    assert result.intervals["demand_mbps"][0] == pytest.approx(100 * (1 + 3 / 2 + 2 / 3), rel=1e-12)
    assert result.intervals["demand_mbps"][1] == pytest.approx(600, rel=1e-12)


def test_demand_is_floored_at_zero_at_every_instant_of_a_ramp(make: Maker) -> None:
    # 100 - 400 u over [0, 1] is above 0 for u < 1/4 only: mean 100 / 8.
    surge = {"kind": "surge", "start": "0s", "duration": "30min", "add_mbps": -400, "ramp": "5min"}
    result = twin.run(make(np.full(20, 100.0), ["static_p95"], events=[surge]))
    demand = result.intervals["demand_mbps"]
    assert demand[0] == pytest.approx(12.5, rel=1e-12)
    assert demand[1] == 0
    assert demand[5] == pytest.approx(12.5, rel=1e-12)


def test_a_surge_of_factor_one_changes_nothing(make: Maker) -> None:
    demand = np.random.default_rng(3).uniform(10, 100, (300, 3))
    policies = ["static_p95", "rolling_max"]
    plain = twin.run(make(demand, policies)).summary
    surge = {"kind": "surge", "start": "1min 10s", "duration": "3h 7s", "factor": 1, "ramp": "9min"}
    surged = twin.run(make(demand, policies, events=[surge])).summary
    pd.testing.assert_frame_equal(plain, surged, rtol=1e-12)


def test_permuting_links_permutes_rows_and_changes_nothing_else(make: Maker) -> None:
    demand = np.random.default_rng(4).uniform(10, 100, (300, 4))
    names, order = ["a", "b", "c", "d"], [2, 0, 3, 1]
    first = twin.run(make(demand, ["static_mean2sigma", "rolling_max"], links=names)).summary
    renamed = [names[i] for i in order]
    other = twin.run(
        make(demand[:, order], ["static_mean2sigma", "rolling_max"], links=renamed)
    ).summary
    pd.testing.assert_frame_equal(first, other, rtol=1e-12)


def test_another_unit_scales_megabits_and_leaves_ratios_alone(make: Maker) -> None:
    demand = np.random.default_rng(5).uniform(10, 100, (300, 2))
    policies = ["static_mean2sigma", "rolling_max", "last_value"]
    mega = twin.run(make(demand, policies)).summary
    kilo = twin.run(make(demand, policies, unit="kbit/s")).summary
    for column in mega.columns[2:]:
        scale = 1e-3 if column in _IN_MBPS else 1
        np.testing.assert_allclose(kilo[column], mega[column] * scale, rtol=1e-9, err_msg=column)


_IN_MBPS = {
    "mae", "rmse", "over_provisioning_mean_mbps", "unmet_mbit", "allocated_mean_mbps",
    "churn_mbps", "p95_bill_mbps",
}  # fmt: skip


def test_a_failed_link_serves_nothing_and_keeps_its_allocation(make: Maker) -> None:
    failure = {"kind": "link_failure", "links": ["link-2"], "start": "5min", "duration": "10min"}
    result = twin.run(make(np.full((20, 2), 100.0), ["static_p95"], events=[failure]))
    table = result.intervals.set_index(["link", "interval"])
    down = table.loc["link-2"].iloc[1:3]
    assert (down["served_mbps"] == 0).all()
    assert (down["unmet_mbps"] == 100).all()
    assert (down["allocated_mbps"] == 100).all()
    assert (down["over_provisioning_mbps"] == 0).all()
    assert (down["capacity_mbps"] == 0).all()
    assert table["unmet_mbps"].sum() == 200
    assert np.isinf(table.loc[("link-2", 3), "capacity_mbps"])


def test_capacity_limits_allocation_and_service(make: Maker, tmp_path) -> None:
    policy_file(tmp_path, "ask150", "return np.full(len(observation.links), 150.0)")
    path = make(
        np.full((20, 2), 100.0),
        ["ask150"],
        links=["a", "b"],
        events=[
            {"kind": "capacity_change", "links": ["a"], "start": "7min 30s", "capacity_mbps": 60},
            {"kind": "capacity_change", "links": ["a"], "start": "20min", "duration": "5min",
             "factor": 0.5},
        ],
    )  # fmt: skip
    text = path.read_text() + "links: {defaults: {capacity_mbps: 120}}\n"
    path.write_text(text)
    table = twin.run(path).intervals.set_index(["link", "interval"])
    a = table.loc["a"]
    assert a["requested_mbps"].eq(150).all()
    np.testing.assert_allclose(a["allocated_mbps"][:6], [120, 90, 60, 60, 30, 60])
    np.testing.assert_allclose(a["served_mbps"][:6], [100, 80, 60, 60, 30, 60])
    np.testing.assert_allclose(a["violation_s"][:6], [0, 150, 300, 300, 300, 300])
    assert table.loc["b"]["allocated_mbps"].eq(120).all()


def test_no_allocation_is_efficient_and_infinitely_utilized(make: Maker, tmp_path) -> None:
    policy_file(tmp_path, "nothing", "return np.zeros(len(observation.links))")
    demand = np.full((20, 2), 100.0)
    demand[:, 1] = 0
    summary = twin.run(make(demand, ["nothing"], links=["busy", "idle"])).summary
    busy, idle = row(summary, "nothing", "busy"), row(summary, "nothing", "idle")
    assert busy["efficiency_mean"] == idle["efficiency_mean"] == 1
    assert busy["wastage_mean"] == idle["wastage_mean"] == 0
    assert busy["infinite_utilization_intervals"] == 10
    assert np.isnan(busy["utilization_mean"])
    assert idle["infinite_utilization_intervals"] == 0
    assert idle["utilization_mean"] == 0
    assert np.isnan(idle["over_provisioning_pct"])
    assert busy["sla_violation_rate"] == 1
    assert idle["sla_violation_rate"] == 0
