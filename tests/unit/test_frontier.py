"""The frontier: every policy at every value of its knob, and who is dominated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Maker, policy_file, sealed

import twin
from twin import InputError, Scenario
from twin.cli.frontier import frontier_scenario
from twin.cli.main import call
from twin.core import content
from twin.policy.load import load
from twin.report.run.recommended import recommendation
from twin.scenario.choices import Member
from twin.scenario.given import Overrides
from twin.studies.frontier.knobs import turned
from twin.studies.frontier.sweep import Frontier, sweep

RNG = np.random.default_rng(3)
DEMAND = 100 * np.exp(np.cumsum(0.02 * RNG.standard_normal((600, 2)), axis=0))


def swept(path: Path, points: int = 5) -> Frontier:
    return sweep(Scenario.load(path), points)


KNOBS = {
    "static_percentile": "q", "rolling_max": "margin", "last_value": "margin", "bilstm": "margin",
    "seasonal_max": "margin", "percentile_decay": "margin", "conformal": "target",
    "quantile": "target", "blend": "target", "cost_aware": "shortfall_price", "oracle": "margin",
    "forecast": "margin", "static_p95": "", "static_mean2sigma": "",
}  # fmt: skip


@pytest.mark.parametrize("name", KNOBS)
def test_every_shipped_policy_has_the_knob_that_one_expects(name: str) -> None:
    knob, settings = turned(Member(load(content.shipped("policies")[name]), {}), 6)
    assert knob == KNOBS[name]
    assert len(settings) >= 6 or not knob


def test_what_the_scenario_states_is_one_of_the_settings(make: Maker) -> None:
    points = swept(make(DEMAND, [{"use": "rolling_max", "margin": 0.123}])).replayed
    values = points["value"][points["policy"] == "rolling_max"].tolist()
    assert 0.123 in values
    assert values == sorted(values)


def test_a_users_policy_turns_its_target_margin_q_or_percentile(
    make: Maker, tmp_path: Path
) -> None:
    body = "return observation.last_known_mbps * (1 + self.percentile / 100)"
    path = policy_file(tmp_path, "mine", body)
    declared = '"""A test\'s own."""\n\n    percentile: float = 80.0'
    path.write_text(path.read_text().replace('"""A test\'s own."""', declared))
    points = swept(make(DEMAND, ["mine"])).points
    assert set(points["knob"][points["policy"] == "mine"]) == {"percentile"}


def test_turning_the_knob_trades_violations_for_over_provisioning(make: Maker) -> None:
    points = swept(make(DEMAND, ["last_value"]), 7).replayed
    rows = points[points["policy"] == "last_value"]
    assert rows["sla_violation_rate"].is_monotonic_decreasing
    assert rows["over_provisioning_pct"].is_monotonic_increasing


def test_a_policy_without_a_knob_and_a_schedule_are_one_point_each(make: Maker) -> None:
    schedule = [{"from": "0h", "use": "static_p95"}, {"from": "1h", "use": "last_value"}]
    points = swept(make(DEMAND, ["static_p95", {"name": "s", "schedule": schedule}])).replayed
    assert points["policy"].tolist()[:2] == ["static_p95", "s"]
    assert points["value"].isna()[:2].all()


def test_the_oracle_joins_as_the_bound_and_dominates_nobody(make: Maker) -> None:
    frontier = swept(make(DEMAND, ["last_value"]))
    oracle = frontier.points[frontier.points["policy"] == "oracle"]
    assert oracle["bound"].all()
    assert oracle["sla_violation_rate"].eq(0).all()
    assert not frontier.points["dominated"].any()
    assert frontier.dominated_by("last_value") == []


def test_it_joins_once(make: Maker) -> None:
    frontier = swept(make(DEMAND, ["last_value", {"name": "bound", "use": "oracle"}]))
    assert frontier.policies == ["last_value", "bound"]


def test_a_policy_that_is_always_worse_is_dominated(make: Maker) -> None:
    worse = {"name": "worse", "use": "rolling_max", "window": "4h"}
    better = {"name": "better", "use": "conformal", "model": "persistence"}
    frontier = swept(make(DEMAND, [worse, better, "last_value"]), 9)
    assert "last_value" in frontier.dominated_by("worse")
    assert frontier.dominated_by("better") == []


def test_policies_that_are_equal_do_not_dominate_each_other(make: Maker) -> None:
    twins = [{"name": name, "use": "last_value"} for name in ("a", "b")]
    frontier = swept(make(DEMAND, twins))
    assert frontier.dominated_by("a") == frontier.dominated_by("b") == []


def test_a_hair_less_waste_does_not_dominate(make: Maker) -> None:
    close = [{"name": n, "use": "static_percentile", "q": q} for n, q in (("a", 99), ("b", 99.1))]
    frontier = swept(make(np.full(60, 3.0) + 1e-4 * np.arange(60), close), 2)
    assert frontier.dominated_by("a") == frontier.dominated_by("b") == []


def test_the_history_points_are_a_replay_of_its_end_as_a_trace_of_its_own(make: Maker) -> None:
    prices = {"capacity": 0.01, "unmet_gbit": 3.0}
    policies = ["conformal", "static_p95"]
    events = [{"kind": "surge", "start": "1h", "duration": "5h", "factor": 1.5}]
    frontier = swept(make(DEMAND, policies, events=events, prices=prices), 3)
    points = frontier.points[frontier.points["part"] == "history"]
    assert set(points["intervals"]) == {75}
    # The history's 300 samples alone, 225 to fit on, 75 to replay, and no event.
    alone = Scenario.load(make(DEMAND[:300], policies, train=0.75, prices=prices))
    for value in points["value"][points["policy"] == "conformal"]:
        again = twin.run(alone, policies=["conformal"], overrides={"policies.0": {
            "use": "conformal", "target": value}}).summary  # fmt: skip
        (own,) = points[points["value"] == value].query("policy == 'conformal'").to_dict("records")
        (whole,) = again[again["link"] == "all"].to_dict("records")
        for column in ("sla_violation_rate", "over_provisioning_pct", "unmet_mbit", "cost"):
            assert own[column] == pytest.approx(whole[column], rel=1e-12), column
        kept = (again[again["link"] != "all"]["sla_violation_rate"] <= 0.01).sum()
        assert (own["links_within_sla"], own["links_missing_sla"]) == (kept, 2 - kept)


def test_what_comes_after_the_history_changes_nothing_of_what_is_chosen(make: Maker) -> None:
    # A gap over the end of the history is not known there.
    first, second = DEMAND.copy(), DEMAND.copy()
    second[300:] = 5 * second[300:][::-1]
    first[298:304], second[298:304] = np.nan, np.nan
    tables = [
        swept(make(demand, ["last_value", "conformal"]), 4).points for demand in (first, second)
    ]
    past = [table[table["part"] == "history"] for table in tables]
    pd.testing.assert_frame_equal(*past)
    assert past[0]["recommended"].any()
    replayed = [table[table["part"] == "replay"] for table in tables]
    assert replayed[0]["recommended"].tolist() == replayed[1]["recommended"].tolist()
    assert replayed[0]["unmet_mbit"].tolist() != replayed[1]["unmet_mbit"].tolist()


def test_what_is_recommended_keeps_the_sla_on_every_link_of_the_history_at_the_least_waste(
    make: Maker,
) -> None:
    frontier = swept(make(DEMAND, ["last_value", "static_mean2sigma"], sla={"target": "5%"}), 9)
    points = frontier.points
    for policy, rows in points[points["part"] == "history"].groupby("policy"):
        kept = rows[rows["links_missing_sla"] == 0]
        chosen = rows[rows["recommended"]]
        if policy == "oracle" or kept.empty:
            assert chosen.empty
            continue
        assert chosen["over_provisioning_pct"].tolist() == [kept["over_provisioning_pct"].min()]
        replayed = points[points["recommended"] & (points["part"] == "replay")]
        same = replayed[replayed["policy"] == policy]
        assert same["value"].to_numpy() == pytest.approx(chosen["value"].to_numpy(), nan_ok=True)
    assert points[points["policy"] == "last_value"]["recommended"].sum() == 2


def test_where_there_are_prices_the_least_cost_decides(make: Maker) -> None:
    # Changes of an allocation cost so much that the most wasteful policy is the cheapest.
    wave = (
        100
        + 20 * np.sin(np.arange(600) / 9)[:, None]
        + np.random.default_rng(5).uniform(0, 5, (600, 2))
    )
    steady = {"name": "steady", "use": "static_percentile", "q": 99.9}
    blocks = {"prices": {"capacity": 1e-6}, "sla": {"target": "60%"}}
    path = make(wave, ["last_value", steady], **blocks)
    changes = Overrides(("links.defaults.change_cost=1000000",))
    text = recommendation(sweep(Scenario.load(path, changes), 3).points, 300)
    assert "Recommended: steady with q" in text
    assert "at the least cost, " in text
    plain = swept(make(wave, ["last_value", steady], sla={"target": "60%"}), 3)
    assert "Recommended: last_value with margin" in recommendation(plain.points, 300)


def test_a_recommendation_that_fails_in_the_replay_is_said_to(
    make: Maker, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    flat = np.full((400, 2), 100.0) + np.arange(400)[:, None] % 7
    flat[200:, 1] *= 3
    path = str(make(flat, [{"use": "static_percentile", "q": 99}]))
    frontier_scenario(path, None, 3, "25%", [], tmp_path / "out", force=False)
    printed = capsys.readouterr().out
    assert "Recommended: static_percentile with q" in printed
    assert "On the last 4h 10min of the history it kept the SLA on every link" in printed
    assert "and failed the SLA on 1 of 2 links." in printed


def test_where_nothing_keeps_the_sla_nothing_is_recommended(
    make: Maker, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = str(make(np.arange(1.0, 201.0), ["static_p95"]))
    frontier_scenario(path, None, 3, "25%", [], tmp_path / "out", force=False)
    printed = capsys.readouterr().out
    assert "Nothing is recommended: on the last 2h 5min of the history" in printed
    assert "fixed *" in printed
    assert not pd.read_csv(tmp_path / "out" / "frontier.csv")["recommended"].any()


@pytest.mark.parametrize("words", [["frontier"], ["run", "--frontier"]])
def test_a_history_that_cannot_be_divided_is_refused_before_anything_runs(
    make: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    path = make([1.0, 2.0, 3.0, 4.0], ["static_p95"])
    assert call([*words, str(path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        f"{path}: the history, 2 samples, cannot be divided: its last 25% holds no sample; "
        "a frontier needs a longer history, see 'demand.train'\n"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("share", "message"),
    [
        ("0%", "--validation: must lie between 0 and 100 %, not 0%\n"),
        ("100%", "--validation: must lie between 0 and 100 %, not 100%\n"),
        ("many", "--validation: 'many' is not a share; write it like '1%' or 0.01\n"),
    ],
)
def test_a_validation_part_that_cannot_be_is_refused(
    make: Maker, capsys: pytest.CaptureFixture[str], share: str, message: str
) -> None:
    assert call(["frontier", str(make(DEMAND)), "--validation", share]) == 2
    assert capsys.readouterr().err == message


def test_the_command_prints_a_table_and_writes_a_folder(
    make: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    path = str(make(DEMAND, ["last_value", "static_p95"]))
    frontier_scenario(path, None, 4, "25%", ["sla.target=5%"], out, force=False)
    printed = capsys.readouterr().out
    assert "SLA target 5 % of intervals" in printed
    assert "(the bound)" in printed
    table = pd.read_csv(out / "frontier.csv")
    assert table.columns.tolist() == [
        "policy", "knob", "value", "sla_violation_rate", "over_provisioning_pct",
        "sla_violation_minutes", "unmet_mbit", "bound", "dominated", "links_within_sla",
        "links_missing_sla", "cost", "part", "intervals", "recommended",
    ]  # fmt: skip
    assert (out / "figures" / "frontier.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(InputError, match="holds another run"):
        frontier_scenario(path, None, 4, "25%", [], out, force=False)


def test_the_same_numbers_draw_the_same_picture(make: Maker, tmp_path: Path) -> None:
    path = str(make(DEMAND, ["last_value"]))
    for name in ("a", "b"):
        frontier_scenario(path, None, 3, "25%", [], tmp_path / name, force=False)
    a, b = ((tmp_path / name / "figures" / "frontier.png").read_bytes() for name in "ab")
    assert a == b


def test_a_demand_of_nothing_is_drawn_too(make: Maker, tmp_path: Path) -> None:
    path = str(make(np.zeros(60), ["last_value"]))
    frontier_scenario(path, None, 3, "25%", [], tmp_path / "out", force=False)
    assert (tmp_path / "out" / "figures" / "frontier.png").is_file()


def test_the_command_line_takes_policies_and_points(make: Maker, tmp_path: Path) -> None:
    asked = ["frontier", str(make(DEMAND)), "--policies", "last_value, rolling_max"]
    assert call([*asked, "--points", "3", "--out", str(tmp_path / "out")]) == 0
    table = pd.read_csv(tmp_path / "out" / "frontier.csv")
    assert set(table["policy"]) == {"last_value", "rolling_max", "oracle"}
    assert call([*asked, "--out", str(tmp_path / "out")]) == 2


def test_a_run_holds_its_frontier_where_it_was_asked_for(make: Maker, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = ["run", str(make(DEMAND, ["last_value", "static_p95"])), "--out", str(out)]
    assert call([*asked, "--frontier"]) == 0
    text = (out / "report.html").read_text()
    assert "What each policy&#x27;s knob buys" in text
    assert "oracle, margin 0: 0 % violated" in text
    assert "oracle, margin 0: 0 % violated, 0 % over on the history" in text
    assert "of the history it kept the SLA on every link" in text
    points = pd.read_csv(out / "frontier.csv")
    # The run's own setting is among those of the frontier.
    own = pd.read_csv(out / "summary.csv").set_index(["policy", "link"]).loc[("last_value", "all")]
    assert own["over_provisioning_pct"] in points["over_provisioning_pct"].tolist()
    files = {"frontier.csv", "figures/frontier.png"}
    assert files <= set(json.loads((out / "manifest.json").read_text())["files"])

    (out / "report.html").unlink()
    assert call(["report", str(out)]) == 0
    assert (out / "report.html").read_text() == text

    assert call([*asked, "--force"]) == 0
    assert not any((out / name).exists() for name in files)
    assert "knob buys" not in (out / "report.html").read_text()


def test_a_damaged_frontier_is_told_in_one_line(
    make: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call(["run", str(make(DEMAND, ["static_p95"])), "--out", str(out), "--no-report"]) == 0
    (out / "frontier.csv").write_text("policy,knob\n")
    sealed(out)
    capsys.readouterr()
    assert call(["report", str(out)]) == 2
    assert capsys.readouterr().err == (
        f"{out}/frontier.csv: cannot be read: has no column 'value'\n"
    )


def test_nothing_to_provision_has_a_frontier_too(make: Maker, tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = make(np.zeros((60, 2)), ["last_value", "static_p95"], sla={"target": 0.0001})
    assert call(["run", str(path), "--out", str(out), "--frontier"]) == 0
    assert "nan" not in (out / "report.html").read_text().split("knob buys")[1].split("</svg>")[0]
