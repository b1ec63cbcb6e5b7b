"""The account closes: intervals, links and fleet agree, with everything on at once."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Maker
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import twin

pytestmark = pytest.mark.long

TICK = 300
REPLAYED, LINKS = 40, 3
POLICIES = ["static_p95", "last_value", "rolling_max"]
PRICES = {"capacity": 12, "violated_minute": 7, "unmet_gbit": 30}

_start = st.integers(0, (REPLAYED - 1) * TICK)
_surge = st.fixed_dictionaries(
    {
        "kind": st.just("surge"),
        "links": st.sampled_from(["all", ["link-1"], ["link-2", "link-3"]]),
        "start": _start,
        "duration": st.integers(600, 5000),
        "ramp": st.sampled_from([0, 97, 300]),
        "factor": st.floats(0, 3),
        "add_mbps": st.floats(-50, 50),
    }
)
_failure = st.fixed_dictionaries(
    {
        "kind": st.just("link_failure"),
        "links": st.sampled_from(["all", ["link-1"], ["link-3"]]),
        "start": _start,
        "duration": st.integers(1, 3000),
    }
)
_change = st.fixed_dictionaries(
    {
        "kind": st.just("capacity_change"),
        "links": st.sampled_from([["link-1"], ["link-2"]]),
        "start": _start,
        "duration": st.integers(1, 3000),
        "factor": st.floats(0.2, 2),
    }
)
_orders = st.fixed_dictionaries(
    {
        "capacity_mbps": st.sampled_from([80.0, 150.0]),
        "step": st.sampled_from([1.0, 7.0]),
        "lead_time": st.sampled_from(["0s", "10min", "430s", {"low": "1min", "high": "9min"}]),
        "cooldown": st.sampled_from(["0s", "15min"]),
        "change_cost": st.sampled_from([0.0, 2.5]),
    }
)


def _agree(found: float, expected: float) -> None:
    assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9), (found, expected)


@pytest.fixture
def run(make: Maker):
    """Replay random demand with a gap of `gap` samples on the first link."""

    def replay(seed: int, gap: int, orders: dict[str, object], events: list[object]) -> twin.Result:
        demand = np.random.default_rng(seed).uniform(0, 100, (2 * REPLAYED, LINKS))
        demand[REPLAYED + 9 : REPLAYED + 9 + gap, 0] = np.nan
        path = make(demand, POLICIES, events=events)
        data = yaml.safe_load(path.read_text())
        data |= {"links": {"defaults": orders}, "prices": PRICES}
        path.write_text(yaml.safe_dump(data))
        return twin.run(path)

    return replay


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 1000),
    gap=st.sampled_from([0, 3, 14, 20]),
    orders=_orders,
    surge=_surge,
    failure=_failure,
    change=_change,
)
def test_intervals_links_and_fleet_agree(run, seed, gap, orders, surge, failure, change) -> None:
    times = ("start", "duration", "ramp")
    events = [
        {key: f"{value}s" if key in times else value for key, value in event.items()}
        for event in (surge, failure, change)
    ]
    result = run(seed, gap, orders, events)
    table = result.intervals
    known = table[table["demand_mbps"].notna()]
    np.testing.assert_allclose(
        known["served_mbps"] + known["unmet_mbps"], known["demand_mbps"], rtol=1e-9, atol=1e-9
    )
    assert (known["served_mbps"] <= known["allocated_mbps"] + 1e-9).all()
    assert (known["served_mbps"] <= known["capacity_mbps"] + 1e-9).all()
    for policy, rows in result.summary.groupby("policy", sort=False):
        links, fleet = rows[rows["link"] != "all"], rows[rows["link"] == "all"].iloc[0]
        own = known[known["policy"] == policy]
        for link in links.to_dict("records"):
            _closes(own[own["link"] == link["link"]], link, orders["change_cost"])
        _closes(own, fleet.to_dict(), orders["change_cost"])
        for column in (
            "intervals", "missing_intervals", "sla_violation_minutes", "unmet_mbit", "cost",
            "churn_mbps", "allocation_changes", "violation_episodes", "p95_bill_mbps",
            "unavoidable_violation_minutes", "onset_violation_minutes",
        ):  # fmt: skip
            _agree(fleet[column], links[column].sum())
        hours = result.hours[(result.hours["policy"] == policy) & (result.hours["link"] == "all")]
        _agree(hours["violation_minutes"].sum(), fleet["sla_violation_minutes"])
        _agree(hours["unmet_mbit"].sum(), fleet["unmet_mbit"])


def _closes(rows: pd.DataFrame, total: dict[str, float], change_cost: float) -> None:
    """Hold one row of the summary against its intervals."""
    sums = rows[["demand_mbps", "allocated_mbps", "served_mbps", "unmet_mbps"]].sum()
    known = total["intervals"] - total["missing_intervals"]
    assert known == len(rows)
    _agree(sums["served_mbps"] + sums["unmet_mbps"], sums["demand_mbps"])
    _agree(total["allocated_mean_mbps"] * known, sums["allocated_mbps"])
    _agree(total["unmet_mbit"], sums["unmet_mbps"] * TICK)
    _agree(total["over_provisioning_mean_mbps"] * known, rows["over_provisioning_mbps"].sum())
    _agree(total["sla_violation_minutes"], rows["violation_s"].sum() / 60)
    _agree(total["sla_violation_rate"] * known, rows["sla_violation"].sum())
    if sums["demand_mbps"]:
        _agree(total["unmet_pct"], 100 * sums["unmet_mbps"] / sums["demand_mbps"])
    _agree(total["cost_efficiency"] * sums["allocated_mbps"], sums["demand_mbps"])
    helpless = total["unavoidable_violation_minutes"] + total["onset_violation_minutes"]
    assert helpless <= total["sla_violation_minutes"] + 1e-9
    cost = (
        PRICES["capacity"] * sums["allocated_mbps"] * TICK / 3600
        + PRICES["violated_minute"] * rows["violation_s"].sum() / 60
        + PRICES["unmet_gbit"] * sums["unmet_mbps"] * TICK / 1000
        + change_cost * total["allocation_changes"]
    )
    _agree(total["cost"], cost)
