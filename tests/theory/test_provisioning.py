"""From a request to what is in force, against what can be written down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Maker, policy_file, row

import twin
from twin.policy.commitment import within

STEPS = [100, 100, 130, 130, 90, 90, 90, 200, 200, 50]


def _run(make: Maker, tmp_path: Path, **link: object) -> twin.Result:
    """Replay a policy that asks for STEPS, one after the other."""
    body = f"return np.full(len(observation.links), float({STEPS}[observation.interval]))"
    policy_file(tmp_path, "steps", body)
    path = make(np.full(20, 80.0), ["steps"])
    blocks = {key: value for key, value in link.items() if key != "prices"}
    text = f"links: {{defaults: {blocks}}}\n".replace("'", "")
    if "prices" in link:
        text += f"prices: {link['prices']}\n".replace("'", "")
    path.write_text(path.read_text() + text)
    return twin.run(path)


def _allocated(result: twin.Result) -> list[float]:
    return result.intervals["allocated_mbps"].tolist()


def test_what_is_asked_for_is_in_force_at_once_by_default(make, tmp_path) -> None:
    assert _allocated(_run(make, tmp_path)) == STEPS


def test_allocations_keep_within_limits(make, tmp_path) -> None:
    found = _allocated(_run(make, tmp_path, min=95, max=150))
    assert found == [100, 100, 130, 130, 95, 95, 95, 150, 150, 95]


def test_allocations_are_whole_steps_rounded_up(make, tmp_path) -> None:
    found = _allocated(_run(make, tmp_path, step=50))
    assert found == [100, 100, 150, 150, 100, 100, 100, 200, 200, 50]
    assert _allocated(_run(make, tmp_path, step=60, max=150))[2:8] == [120, 120, 120, 120, 120, 120]


def test_a_lead_time_of_two_ticks_delays_by_two_intervals(make, tmp_path) -> None:
    found = _allocated(_run(make, tmp_path, lead_time="10min"))
    assert found == [100, 100, 100, 100, 130, 130, 90, 90, 90, 200]


def test_a_step_is_unserved_for_one_interval_and_the_lead_time(make) -> None:
    # Seen after one interval, ordered then, in force two ticks later: three intervals short of 60.
    demand = np.repeat([80.0, 140.0], [15, 5])
    path = make(demand, ["last_value"])
    path.write_text(path.read_text() + "links: {defaults: {lead_time: 10min}}\n")
    found = row(twin.run(path).summary, "last_value")
    assert found["sla_violation_minutes"] == 15
    assert found["violation_episodes"] == 1
    assert found["unmet_mbit"] == pytest.approx(3 * 60 * 300)
    assert found["over_provisioning_mean_mbps"] == 0


def test_a_lead_time_inside_an_interval_is_averaged_by_time(make, tmp_path) -> None:
    result = _run(make, tmp_path, lead_time="1min 40s")
    assert _allocated(result)[2] == pytest.approx(100 / 3 + 130 * 2 / 3)
    ninth = result.intervals.iloc[9]
    # 200 for 100 s, then 50 for 200 s, under a demand of 80.
    assert ninth["violation_s"] == 200
    assert ninth["unmet_mbps"] == pytest.approx(30 * 2 / 3)
    assert ninth["requested_mbps"] == 50


def test_a_cooldown_keeps_an_order_for_its_time(make, tmp_path) -> None:
    found = _allocated(_run(make, tmp_path, cooldown="15min"))
    assert found == [100, 100, 130, 130, 130, 90, 90, 90, 200, 200]


def test_small_changes_are_not_ordered(make, tmp_path) -> None:
    assert _allocated(_run(make, tmp_path, hysteresis_up="40%")) == [
        100, 100, 100, 100, 90, 90, 90, 200, 200, 50
    ]  # fmt: skip
    assert _allocated(_run(make, tmp_path, hysteresis_down="50%")) == [
        100, 100, 130, 130, 130, 130, 130, 200, 200, 50
    ]  # fmt: skip


def test_a_varied_lead_time_lies_between_its_bounds_and_repeats(make, tmp_path) -> None:
    lead = "{low: 1min, high: 4min}"
    first = _run(make, tmp_path, lead_time=lead)
    share = (130 - np.array(_allocated(first))[2]) / 30
    assert 60 / 300 <= share <= 240 / 300
    assert _allocated(first) == _allocated(_run(make, tmp_path, lead_time=lead))


def test_the_account_of_a_stepped_allocation(make, tmp_path) -> None:
    prices = {"capacity": 12, "violated_minute": 7, "unmet_gbit": 1000}
    found = row(_run(make, tmp_path, change_cost=3, prices=prices).summary, "steps", "link-1")
    assert found["allocation_changes"] == 4
    assert found["churn_mbps"] == 30 + 40 + 110 + 150
    assert found["violation_episodes"] == 1
    assert found["violation_longest_minutes"] == found["violation_mean_minutes"] == 5
    assert found["burn_rate"] == pytest.approx(0.1 / 0.01)
    assert found["error_budget_left_pct"] == pytest.approx(-900)
    assert found["cost_efficiency"] == pytest.approx(800 / sum(STEPS))
    assert found["p95_bill_mbps"] == 80
    assert found["unmet_pct"] == pytest.approx(100 * 30 / 800)
    cost = 12 * sum(STEPS) / 12 + 7 * 5 + 30 * 300 / 1000 * 1000 + 4 * 3
    assert found["cost"] == pytest.approx(cost)


def test_costs_are_empty_without_prices(make, tmp_path) -> None:
    assert np.isnan(row(_run(make, tmp_path).summary, "steps")["cost"])


def test_sums_over_links_are_those_of_the_fleet(make: Maker) -> None:
    demand = np.random.default_rng(1).gamma(5, 10, (200, 5))
    path = make(demand, ["last_value", "rolling_max"])
    text = "links: {defaults: {step: 7, lead_time: 7min, change_cost: 2}}\n"
    path.write_text(path.read_text() + text + "prices: {capacity: 1, unmet_gbit: 3}\n")
    result = twin.run(path)
    for _, rows in result.summary.groupby("policy"):
        pooled, links = rows[rows["link"] == "all"].iloc[0], rows[rows["link"] != "all"]
        for column in (
            "unmet_mbit", "sla_violation_minutes", "violation_episodes", "allocation_changes",
            "churn_mbps", "cost",
        ):  # fmt: skip
            assert pooled[column] == pytest.approx(links[column].sum(), rel=1e-9), column
        assert pooled["violation_longest_minutes"] == links["violation_longest_minutes"].max()
        assert pooled["allocated_mean_mbps"] == pytest.approx(links["allocated_mean_mbps"].mean())


def test_a_limit_of_whole_steps_is_reached_whatever_its_last_binary_digit() -> None:
    asked, limit, step = np.array([1.0]), np.array([0.3]), np.array([0.1])
    assert within(asked, np.zeros(1), limit, step) == pytest.approx(0.3)
