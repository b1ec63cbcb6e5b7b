"""What policies know of provisioning that takes time, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Maker, policy_file, row
from typer.testing import CliRunner

import twin
from twin.cli.main import app
from twin.forecast.horizon import within_reach
from twin.policy.commitment import Commitment

SEASON = 96


def growing(samples: int = 2_400) -> np.ndarray:
    """A season whose slopes are steep, with noise: what was seen is soon too little."""
    time, rng = np.arange(samples), np.random.default_rng(5)
    shape = 1 + 0.8 * np.sin(2 * np.pi * time / SEASON)
    return 100 * shape * np.exp(0.05 * rng.standard_normal(samples))


@pytest.mark.parametrize("policy", ["seasonal_max", "percentile_decay"])
@pytest.mark.parametrize("links", ["lead_time: 2h", "cooldown: 2h", "lead_time: 30min, step: 10"])
def test_rules_that_look_back_keep_the_sla_where_decisions_take_time(
    make: Maker, policy: str, links: str
) -> None:
    path = make(growing(), [policy])
    path.write_text(path.read_text() + f"links: {{defaults: {{{links}}}}}\n")
    found = row(twin.run(path).summary, policy)
    assert found["sla_violation_rate"] <= 0.01


def test_the_margin_of_a_rule_is_its_own_where_capacity_changes_at_once(make: Maker) -> None:
    demand = growing()
    summary = twin.run(
        make(demand, [{"name": name, "use": "seasonal_max", "margin": margin}
                      for name, margin in (("a", 0.1), ("b", 0.2))])
    ).summary  # fmt: skip
    ratio = row(summary, "b")["allocated_mean_mbps"] / row(summary, "a")["allocated_mean_mbps"]
    assert ratio == pytest.approx(1.2 / 1.1)


def test_a_policy_sees_the_orders_under_way_and_the_terms_of_orders(
    make: Maker, tmp_path: Path
) -> None:
    body = """
        terms = observation.commitment
        seen = [[o.at_s, *o.links.tolist(), *o.mbps.tolist()] for o in terms.under_way]
        with open(LOG, "a") as log:
            log.write(json.dumps(seen) + "\\n")
        known = terms.step_mbps[0], terms.lowest_mbps[0], terms.highest_mbps[0]
        assert known == (10, 20, 500) and terms.hysteresis_down[0] == 0.5
        return np.full(len(observation.links), 100.0 + 20 * observation.interval)
    """
    log = tmp_path / "log"
    policy_file(tmp_path, "watcher", body.replace("LOG", repr(str(log))))
    file = tmp_path / "watcher.py"
    file.write_text("import json\n" + file.read_text())
    path = make(np.full(20, 80.0), ["watcher"])
    terms = "lead_time: 10min, step: 10, min: 20, max: 500, hysteresis_down: 50%"
    path.write_text(path.read_text() + f"links: {{defaults: {{{terms}}}}}\n")
    twin.run(path)
    seen = [json.loads(line) for line in log.read_text().splitlines()]
    # The decision of tick k, for 100 + 20 k, takes effect 10 minutes later.
    assert seen[0] == seen[1] == []
    assert seen[2] == [[900, 0, 120.0]]
    assert seen[5] == [[1500, 0, 160.0], [1800, 0, 180.0]]


def test_what_a_request_leads_to_follows_limits_steps_and_hysteresis() -> None:
    terms = Commitment.at_once(5)._replace(
        ordered_mbps=np.full(5, 100.0), hysteresis_up=np.full(5, 0.1),
        hysteresis_down=np.full(5, 0.2), step_mbps=np.full(5, 8.0),
        lowest_mbps=np.full(5, 10.0), highest_mbps=np.full(5, 300.0),
    )  # fmt: skip
    granted = terms.granted(np.array([104.0, 111.0, 85.0, 3.0, 1_000.0]))
    assert granted.tolist() == [100.0, 112.0, 100.0, 16.0, 296.0]


def test_a_lead_time_as_long_as_the_replay_is_said_everywhere(make: Maker, tmp_path: Path) -> None:
    path = make(growing(400), ["rolling_max"])
    path.write_text(path.read_text() + "links: {defaults: {lead_time: 3d}}\n")
    said = "a lead time of 3d on 1 link is as long as the replay"
    assert said in CliRunner().invoke(app, ["validate", str(path)]).stdout
    ran = CliRunner().invoke(app, ["run", str(path), "--out", str(tmp_path / "out")])
    assert f"Warning: {said}" in ran.stdout
    assert said in json.loads((tmp_path / "out/manifest.json").read_text())["warnings"][0]
    assert said[1:] in (tmp_path / "out/report.html").read_text()


def test_a_lead_time_shorter_than_the_replay_is_not_warned_of(make: Maker) -> None:
    path = make(growing(400), ["rolling_max"])
    path.write_text(path.read_text() + "links: {defaults: {lead_time: 1h}}\n")
    assert twin.Scenario.load(path).warnings == ()


def test_beyond_a_week_the_same_place_in_the_last_week_is_forecast(
    make: Maker, tmp_path: Path
) -> None:
    body = """
        near = observation.forecast_path("ridge_traffic", 3)
        assert (observation.forecast("ridge_traffic", 2_017) == near[1]).all()
        assert (observation.forecast_path("ridge_traffic", 2, 2_017) == near[1:]).all()
        return near[0]
    """
    policy_file(tmp_path, "far", body)
    twin.run(make(growing(600), ["far"]))


def test_a_history_shorter_than_the_lead_time_is_said(make: Maker) -> None:
    path = make(growing(1_000), ["conformal"])
    path.write_text(path.read_text() + "links: {defaults: {lead_time: 3d}}\n")
    with pytest.raises(twin.RunError, match="a history of 500 samples is no longer than what"):
        twin.run(path)


def test_beyond_a_week_the_last_week_stands_in() -> None:
    ahead = within_reach(np.array([0, 2_016, 2_017, 4_032, 4_033]))
    assert ahead.tolist() == [0, 2_016, 1, 2_016, 1]
