"""The account beyond the paper's metrics: what was unavoidable, and when violations happen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import Maker, row

import twin
from twin.account.metrics import measure

TICK = 300


def _minutes(result: twin.Result, policy: str, link: str = "all") -> tuple[float, float, float]:
    found = row(result.summary, policy, link)
    return (
        found["sla_violation_minutes"],
        found["unavoidable_violation_minutes"],
        found["onset_violation_minutes"],
    )


def test_demand_above_capacity_is_unavoidable_to_the_second(make: Maker) -> None:
    events = [
        {"kind": "link_failure", "links": ["b"], "start": "7min 10s", "duration": "20s"},
        {"kind": "capacity_change", "links": ["a"], "start": "12min", "capacity_mbps": 80,
         "duration": "4min"},
    ]  # fmt: skip
    policies = ["static_p95", {"name": "wide", "use": "last_value", "margin": 5.0}]
    result = twin.run(make(np.full((20, 2), 100.0), policies, links=["a", "b"], events=events))
    for name in ("static_p95", "wide"):
        assert _minutes(result, name, "a") == (4, 4, 0)
        assert _minutes(result, name, "b") == pytest.approx((1 / 3, 1 / 3, 0))
        assert _minutes(result, name) == pytest.approx((4 + 1 / 3, 4 + 1 / 3, 0))


def test_nothing_is_unavoidable_where_capacity_is_unlimited(make: Maker) -> None:
    surge = {"kind": "surge", "start": "7min", "duration": "20min", "factor": 9}
    result = twin.run(make(np.full(20, 100.0), ["static_p95"], events=[surge]))
    assert _minutes(result, "static_p95") == (20, 0, 3)


@pytest.mark.parametrize("target", [0, 1e-320])
def test_a_target_of_next_to_nothing_is_used_up_without_bound(make: Maker, target: float) -> None:
    path = make(np.linspace(1, 40, 40), ["static_p95"], sla={"target": target})
    found = row(twin.run(path).summary, "static_p95", "all")
    assert found["burn_rate"] == found["worst_burn_rate"] == np.inf


def test_an_onset_counts_from_the_event_on_and_once(make: Maker) -> None:
    # Violated all the time; two events begin in one interval, the first 200 s before its end.
    surge = {"kind": "surge", "start": "100s", "duration": "30min", "factor": 2}
    events = [surge, surge | {"start": "250s", "name": "second"}, surge | {"start": "15min"}]
    demand = np.repeat([50.0, 100.0], 10)
    result = twin.run(make(demand, ["static_p95"], events=events))
    assert _minutes(result, "static_p95") == pytest.approx((50, 0, (200 + 300) / 60))


def test_an_unknown_demand_is_no_onset(make: Maker) -> None:
    demand = np.full(200, 100.0)
    demand[100:114] = np.nan
    surge = {"kind": "surge", "start": "0s", "duration": "30min", "factor": 2}
    assert _minutes(twin.run(make(demand, events=[surge])), "static_p95") == (0, 0, 0)


# Hours of the day


def _violated(make: Maker, starts: str | None = None) -> twin.Result:
    """Replay 30 hours; demand is short of the level in two of them, a gap is in a third."""
    demand = np.full((720, 2), 100.0)
    demand[360:372], demand[360 + 288 : 360 + 294, 1] = 150, 150
    demand[400:420] = np.nan
    path = make(demand, ["static_mean2sigma", "static_p95"], links=["a", "b"])
    if starts is not None:
        data = yaml.safe_load(path.read_text())
        data["demand"]["starts"] = starts
        path.write_text(yaml.safe_dump(data))
    return twin.run(path)


def test_violations_by_hour_agree_with_the_intervals(make: Maker) -> None:
    result = _violated(make)
    table = result.intervals
    table["hour"] = (table["start_s"] // 3600 % 24).astype(int)
    known = table[table["demand_mbps"].notna()]
    for link, rows in (("a", known[known["link"] == "a"]), ("all", known)):
        grouped = rows.groupby(["policy", "hour"])
        found = result.hours[result.hours["link"] == link].set_index(["policy", "hour"])
        assert len(found) == 2 * 24
        expected = pd.DataFrame(
            {
                "intervals": grouped.size(),
                "violated_intervals": grouped["sla_violation"].sum(),
                "violation_minutes": grouped["violation_s"].sum() / 60,
                "unmet_mbit": grouped["unmet_mbps"].sum() * TICK,
            }
        )
        pd.testing.assert_frame_equal(found[list(expected)], expected, check_like=True, rtol=1e-12)


def test_hours_add_up_to_the_summary(make: Maker) -> None:
    result = _violated(make)
    sums = result.hours.groupby(["policy", "link"], sort=False).sum()
    rows = result.summary.set_index(["policy", "link"])
    assert sums.index.tolist() == rows.index.tolist()
    np.testing.assert_allclose(sums["violation_minutes"], rows["sla_violation_minutes"])
    np.testing.assert_allclose(sums["unmet_mbit"], rows["unmet_mbit"])
    assert (sums["intervals"] == rows["intervals"] - rows["missing_intervals"]).all()


def test_hours_are_those_of_the_clock_where_the_trace_has_one(make: Maker) -> None:
    since, of_day = _violated(make), _violated(make, "2024-05-01T09:30")

    def when(result: twin.Result) -> list[int]:
        hours = result.hours
        own = hours[(hours["policy"] == "static_p95") & (hours["link"] == "a")]
        return own["hour"][own["violated_intervals"] > 0].tolist()

    assert when(since) == [0]
    # The replay starts 30 hours later, at 15:30.
    assert when(of_day) == [15, 16]


def test_an_allocation_of_next_to_nothing_is_used_without_bound() -> None:
    measured = measure(np.array([50.0, 0.0]), np.full(2, 2.2e-309), None, 300.0)
    assert measured.utilization.tolist() == [np.inf, 0]
    assert measured.efficiency.tolist() == [1, 0]
    assert measured.violation_s.tolist() == [300, 0]
