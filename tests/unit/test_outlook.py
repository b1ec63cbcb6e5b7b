"""When links run out, beside closed forms; and what the command writes."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from outlooks import STARTS, days_to, hours, look, scenario, weekly

import twin
from twin.cli.main import call
from twin.core.calendar import CalendarSpan
from twin.core.units import DAY_S, YEAR_S
from twin.studies.outlook.crossing import days_until, reached, time_above
from twin.studies.outlook.spec import OutlookSpec
from twin.studies.outlook.study import outlook
from twin.studies.outlook.tables import link_table, spend_table, upgrade_table

END = STARTS + timedelta(weeks=8)


def the_day(days: float) -> str:
    return (END + timedelta(days=days)).date().isoformat()


def test_compound_growth_reaches_target_and_capacity_on_the_day() -> None:
    row = link_table(look(500 * weekly(hours(8)), "30%/year", "36mo")).iloc[0]
    assert row["busy_mbps"] == pytest.approx(500)
    assert row["growth_per_year"] == row["growth_low"] == row["growth_high"] == pytest.approx(0.3)
    target, full = days_to(1.6, 1.3), days_to(2.0, 1.3)
    assert row["reaches_target_days"] == pytest.approx(target, abs=1e-4)
    assert row["reaches_target"] == the_day(target)
    assert row["reaches_capacity"] == the_day(full)
    # Without noise the busy value is known, and so is the day.
    assert row["reaches_target_early"] == row["reaches_target_late"] == row["reaches_target"]


def test_linear_growth_reaches_target_and_capacity_on_the_day() -> None:
    row = link_table(look(500 * weekly(hours(8)), "200 Mbit/s/year", "36mo")).iloc[0]
    year = YEAR_S / DAY_S
    assert row["reaches_target_days"] == pytest.approx(1.5 * year, abs=1e-4)
    assert row["reaches_capacity"] == the_day(2.5 * year)
    assert row["growth_per_year"] == pytest.approx(0.4)


def test_what_is_reached_after_the_horizon_is_not_told() -> None:
    row = link_table(look(500 * weekly(hours(8)), "30%/year", "12mo")).iloc[0]
    assert row["reaches_target"] == row["reaches_capacity"] == ""
    assert row["utilization_at_end"] == pytest.approx(0.5 * 1.3 ** (366 / 365.25), rel=1e-3)


def test_a_month_is_one_of_the_calendar_where_there_are_dates() -> None:
    demand = 500 * weekly(hours(8))
    dated, undated = (look(demand, "1%/year", "1mo", dated=dated) for dated in (True, False))
    assert END.date().isoformat() == "2024-02-26"
    assert dated.horizon_s == 29 * DAY_S
    assert undated.horizon_s == YEAR_S / 12


def test_without_dates_times_count_from_the_end_of_the_trace() -> None:
    row = link_table(look(500 * weekly(hours(8)), "30%/year", "36mo", dated=False)).iloc[0]
    assert row["reaches_target"] == f"in {math.floor(days_to(1.6, 1.3))} days"


def test_fitted_compound_growth_goes_on() -> None:
    times = hours(60)
    demand = 400 * weekly(times) * 1.25 ** (times / YEAR_S)
    study = look(demand, ahead="48mo")
    row = link_table(study).iloc[0]
    assert row["growth_source"] == "fitted"
    assert row["growth_per_year"] == pytest.approx(0.25, abs=1e-6)
    # The busy value of the window that ends then: all grows alike, so also that of the last.
    expected = days_to(800 / row["busy_mbps"], 1.25)
    assert row["reaches_target_days"] == pytest.approx(expected, abs=0.01)


def test_a_season_of_the_year_is_no_growth_and_decides_the_day() -> None:
    def demand(times: Any) -> Any:
        season = np.exp(0.15 * np.sin(2 * np.pi * times / YEAR_S))
        return 520 * weekly(times) * season * 1.2 ** (times / YEAR_S)

    study = look(demand(hours(130)), ahead="24mo", links={"defaults": {"capacity_mbps": 1250}})
    row = link_table(study).iloc[0]
    assert row["growth_per_year"] == pytest.approx(0.2, abs=0.002)
    # By brute force: the busy value of the week that ends on each day to come.
    whole = demand(hours(300))
    ends = np.arange(130 * 7, 290 * 7) * 24
    busy = [np.percentile(whole[end - 168 : end], 95) for end in ends]
    first = int(np.argmax(np.array(busy) >= 1000))
    assert abs(row["reaches_target_days"] - first) <= 1
    # Without the season it would be another month.
    plain = days_to(1000 / 520, 1.2) - 130 * 7
    assert abs(plain - first) > 25


def test_linear_growth_can_be_fitted_as_such() -> None:
    times = hours(60)
    demand = weekly(times) * (400 + 100 * times / YEAR_S)
    study = outlook(scenario(demand), OutlookSpec(curve="linear", ahead=CalendarSpan.of("48mo")))
    row = link_table(study).iloc[0]
    level = 400 + 100 * 60 * 7 / 365.25
    expected = (800 - level) / 100 * 365.25
    # The busiest hours of a week are its last but two days.
    assert row["reaches_target_days"] == pytest.approx(expected, abs=5)
    assert row["growth_per_year"] == pytest.approx(100 / level, rel=0.01)


def test_37_days_cannot_say(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    spec = {
        "demand": {"facilities": 2},
        "links": {"defaults": {"capacity_mbps": 1000}},
        "policies": ["static_p95"],
    }
    path.write_text(yaml.safe_dump(spec))
    assert call(["outlook", str(path), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(
        "When links run out cannot be told: 5 weeks with a busy value cannot say how it grows: 26 "
        "are needed (link-1, link-2).\nState 'demand.growth', such as 30%/year, or use --growth.\n"
    )
    table = pd.read_csv(tmp_path / "out" / "outlook.csv")
    assert table["growth_per_year"].isna().all()
    assert table["reaches_target"].isna().all()
    assert table["busy_mbps"].notna().all()


UPGRADE = {"at": "80%", "of": "p95", "over": "7d", "step": "1Gbit/s", "price": 40000}


def upgraded(growth: str, **keys: Any) -> Any:
    links = {"defaults": {"capacity_mbps": 1000, "upgrade": UPGRADE | keys}}
    return look(500 * weekly(hours(8)), growth, "60mo", links=links)


def test_an_upgrade_is_ordered_at_its_threshold_and_there_a_lead_time_later() -> None:
    study = upgraded("30%/year", lead_time="12w")
    orders = upgrade_table(study)
    first, second = days_to(1.6, 1.3), days_to(3.2, 1.3)
    assert second > 365.25 * 4
    assert orders["ordered_days"].tolist() == pytest.approx([first, *[second] * (len(orders) - 1)])
    assert orders["effective_days"][0] == pytest.approx(first + 84)
    assert orders["effective"][0] == the_day(first + 84)
    assert orders["capacity_after_mbps"][0] == 2000
    assert (orders["days_short"] == 0).all()
    spend = spend_table(study)
    assert spend["cost"].sum() == 40000 * len(orders)
    year, quarter = the_day(first)[:4], (int(the_day(first)[5:7]) + 2) // 3
    assert spend.loc[spend["quarter"] == f"{year}Q{quarter}", "orders"].item() == 1


def test_a_lead_time_that_is_too_long_leaves_the_link_short() -> None:
    study = upgraded("30%/year", lead_time="78w")
    orders = upgrade_table(study)
    target, full = days_to(1.6, 1.3), days_to(2.0, 1.3)
    assert orders["days_short"][0] == pytest.approx(target + 78 * 7 - full, abs=1e-3)
    row = link_table(study).iloc[0]
    assert row["days_short"] == pytest.approx(orders["days_short"].sum(), abs=1e-3)
    assert row["upgrades"] == len(orders)


def test_a_link_far_beyond_its_target_orders_several_steps_at_once() -> None:
    links = {"defaults": {"capacity_mbps": 100, "upgrade": UPGRADE | {"step": 100}}}
    orders = upgrade_table(look(500 * weekly(hours(8)), "1%/year", "1mo", links=links))
    assert orders[["steps", "cost", "ordered_days"]].to_numpy().tolist() == [[6, 240000, 0]]


def test_an_upgrade_may_go_by_another_statistic() -> None:
    demand = 500 * weekly(hours(8))
    links = {"defaults": {"capacity_mbps": 1000, "upgrade": UPGRADE | {"of": "max"}}}
    orders = upgrade_table(look(demand, "30%/year", "24mo", links=links))
    assert orders["ordered_days"][0] == pytest.approx(days_to(800 / demand.max(), 1.3), abs=1e-3)


def test_a_step_that_is_too_small_is_refused() -> None:
    with pytest.raises(twin.InputError, match="would be ordered more than 1000 times"):
        upgraded("3000%/year", step="1kbit/s", at="100%")


def test_growth_by_link() -> None:
    demand = np.repeat(500 * weekly(hours(8))[:, None], 3, axis=1)
    growth = {"link-2": "100 Mbit/s/year", "link-3": "5%/month"}
    study = look(demand, demand={"growth": growth})
    rows = link_table(study)
    assert rows["growth_source"].tolist() == ["", "stated", "stated"]
    assert rows["growth_per_year"].tolist()[1:] == pytest.approx([0.2, 1.05**12 - 1])
    assert rows["reason"][0].startswith("8 weeks with a busy value cannot say")
    with pytest.raises(twin.InputError, match=r"demand.growth.lnk-2: there is no 'lnk-2'; did you"):
        look(demand, demand={"growth": {"lnk-2": "1%/year"}})


def test_an_idle_link_gains_an_amount_too() -> None:
    study = look(np.zeros(8 * 168), "400 Mbit/s/year", "36mo")
    assert link_table(study)["reaches_target_days"][0] == pytest.approx(2 * 365.25)
    assert link_table(look(np.zeros(8 * 168), "30%/year"))["reaches_target"][0] == ""


def test_growth_beyond_all_bounds_ends_nowhere() -> None:
    study = look(500 * weekly(hours(8)), "200%/month", "90y")
    assert link_table(study)["reaches_capacity_days"][0] < 25


def test_noise_gives_an_interval_around_the_day() -> None:
    rng = np.random.default_rng(3)
    times = hours(8)
    noise = np.exp(np.repeat(rng.normal(0, 0.03, 8), 168))
    row = link_table(look(500 * weekly(times) * noise, "30%/year", "36mo")).iloc[0]
    assert row["reaches_target_early"] < row["reaches_target"] < row["reaches_target_late"]


def test_what_cannot_be_looked_ahead_on_is_refused() -> None:
    demand = 500 * weekly(hours(8))
    with pytest.raises(twin.InputError, match="no link has a capacity to run out of"):
        look(demand, "1%/year", links={})
    with pytest.raises(twin.InputError, match="--over: 63d is longer than the trace"):
        outlook(scenario(demand), OutlookSpec(over_s=63 * DAY_S))


def test_the_command_writes_tables_page_and_manifest(tmp_path: Path) -> None:
    demand = 500 * weekly(hours(8))
    times = pd.date_range("2026-01-05", periods=len(demand), freq="h")
    pd.DataFrame({"time": times, "internet": demand}).to_csv(tmp_path / "t.csv", index=False)
    upgrade = UPGRADE | {"lead_time": "78w"}
    spec = {
        "tick": "1h",
        "demand": {"source": "csv", "path": "t.csv", "growth": "30%/year"},
        "links": {"defaults": {"capacity_mbps": 1000, "upgrade": upgrade}},
        "policies": ["static_p95"],
    }
    path, out = tmp_path / "mine.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(spec))
    assert call(["outlook", str(path), "--for", "3y", "--out", str(out)]) == 0
    table = pd.read_csv(out / "outlook.csv")
    assert list(table)[:11] == [
        "link", "capacity_mbps", "busy_mbps", "utilization", "growth_per_year", "growth_low",
        "growth_high", "reaches_target", "reaches_capacity", "upgrades", "cost",
    ]  # fmt: skip
    assert table["reaches_target"][0] == "2027-12-16"
    assert list(pd.read_csv(out / "spend.csv")) == ["quarter", "orders", "steps", "cost"]
    facts = json.loads((out / "manifest.json").read_text())
    assert facts["study"] == "an outlook"
    assert sorted(facts["files"]) == [
        "outlook.csv", "report.html", "scenario.yaml", "spend.csv", "upgrades.csv",
    ]  # fmt: skip
    page = (out / "report.html").read_text()
    assert "2027-12-16" in page
    assert 'class="gantt"' in page
    assert "http" not in page.replace("http-equiv", "")
    assert call(["outlook", str(path), "--out", str(out)]) == 2
    first = (out / "outlook.csv").read_bytes()
    assert call(["outlook", str(path), "--for", "3y", "--out", str(out), "--force"]) == 0
    assert (out / "outlook.csv").read_bytes() == first


def test_curves_are_crossed_and_exceeded_where_they_should() -> None:
    times = days_until(2.5 * DAY_S) / DAY_S
    assert times.tolist() == [0, 1, 2, 2.5]
    values = np.array([0.0, 2.0, 0.0, 4.0])
    assert reached(times, values, 1.0) == 0.5
    assert reached(times, values, 1.0, start=0.75) == 0.75
    assert reached(times, values, 1.0, start=1.75) == pytest.approx(2.125)
    assert math.isnan(reached(times, values, 5.0))
    assert time_above(times, values, 1.0, 0.0, 2.5) == pytest.approx(1.0 + 0.375)
    assert time_above(times, values, 1.0, 1.0, 2.0) == pytest.approx(0.5)
