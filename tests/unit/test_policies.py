"""Policy files: found, loaded, checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Maker, policy_file, row

import twin
from twin import InputError, RunError
from twin.core import content
from twin.policy.load import load

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", content.shipped("policies"))
def test_every_shipped_policy_says_what_it_does(name: str) -> None:
    assert load(content.shipped("policies")[name]).summary.endswith(".")


@pytest.mark.parametrize("name", content.shipped("policies"))
def test_every_shipped_policy_allocates_on_any_links(name: str, make: Maker) -> None:
    demand = RNG.uniform(1, 9, (120, 5)) * np.array([1e-6, 1, 1e3, 0, 1e6])
    found = row(twin.run(make(demand, [name])).summary, name)
    assert np.isfinite(found["allocated_mean_mbps"])


def test_defaults_are_those_of_the_contract() -> None:
    made = {name: load(path).policy() for name, path in content.shipped("policies").items()}
    assert made["rolling_max"].window == 3600
    assert made["rolling_max"].margin == 0.1
    assert made["last_value"].margin == made["bilstm"].margin == 0


def test_rolling_max_is_the_highest_of_its_window_and_margin(make: Maker) -> None:
    demand = RNG.uniform(1, 9, 60)
    policy = {"use": "rolling_max", "window": "15min", "margin": "50%"}
    table = twin.run(make(demand, [policy])).intervals
    expected = [1.5 * demand[27 + k : 30 + k].max() for k in range(30)]
    np.testing.assert_allclose(table["requested_mbps"], expected)


def test_static_percentile_takes_a_percentile(make: Maker) -> None:
    demand = RNG.uniform(1, 9, 60)
    table = twin.run(make(demand, [{"name": "p40", "use": "static_percentile", "q": 40}])).intervals
    assert table["requested_mbps"][0] == pytest.approx(np.percentile(demand[:30], 40))


def test_a_policy_beside_the_scenario_is_found_by_name(make: Maker, tmp_path: Path) -> None:
    policy_file(tmp_path, "mine", "return np.full(1, 5.0)")
    assert row(twin.run(make(np.full(20, 3.0), ["mine"])).summary, "mine")["mae"] == 2


def test_a_policy_in_the_policies_folder_beside_it_too(make: Maker, tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    policy_file(tmp_path / "policies", "mine", "return np.full(1, 6.0)")
    assert row(twin.run(make(np.full(20, 3.0), ["mine"])).summary, "mine")["mae"] == 3


def test_the_working_directory_is_never_searched(make, tmp_path, monkeypatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    policy_file(elsewhere, "stray", "return np.full(1, 6.0)")
    monkeypatch.chdir(elsewhere)
    with pytest.raises(InputError, match="no policy 'stray'"):
        twin.run(make(np.full(20, 3.0), ["stray"]))
    path = make(np.full(20, 3.0))
    assert row(twin.run(path, policies=["./stray.py"]).summary, "stray")["mae"] == 3


def test_a_users_file_with_a_shipped_name_needs_its_path(make: Maker, tmp_path: Path) -> None:
    policy_file(tmp_path, "static_p95", "return np.full(1, 5.0)")
    with pytest.raises(InputError, match=r"both a shipped policy and your file static_p95\.py"):
        twin.run(make(np.full(20, 3.0), ["static_p95"]))
    summary = twin.run(make(np.full(20, 3.0), ["./static_p95.py"])).summary
    assert row(summary, "static_p95")["mae"] == 2


def test_picks_are_the_scenarios_own_first_then_shipped(make: Maker) -> None:
    path = make(RNG.uniform(1, 9, 60), [{"name": "static_p95", "use": "static_percentile", "q": 0}])
    summary = twin.run(path, policies=["static_p95", "static_mean2sigma"]).summary
    assert row(summary, "static_p95")["sla_violation_rate"] > 0.9
    assert row(summary, "static_mean2sigma")["sla_violation_rate"] < 0.4


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return np.full(2, np.nan)", "asked for nan Mbit/s on link link-1"),
        ("return np.array([1.0, -1.0])", "asked for -1.0 Mbit/s on link link-2"),
        ("return np.array([1.0, np.inf])", "asked for inf Mbit/s on link link-2"),
        ("return np.ones(3)", r"answered an array of shape \(3,\), not \(2,\)"),
        ("return 1.0", r"answered an array of shape \(\), not \(2,\)"),
        ("return None", "answered nothing, not one number for each link"),
        ("return ['a', 'b']", "answered texts, not one number for each link"),
        ("return 1 / 0", r"ZeroDivisionError: division by zero \(.*bad\.py:11\)"),
    ],
)
def test_a_bad_answer_stops_the_run_with_policy_link_and_tick(
    make: Maker, tmp_path: Path, body: str, message: str
) -> None:
    policy_file(tmp_path, "bad", f"if observation.interval < 3:\n    return np.ones(2)\n{body}")
    with pytest.raises(RunError, match=rf"policy bad: tick 3 \(15min\): .*{message}"):
        twin.run(make(np.full((20, 2), 3.0), ["bad"]))


def test_the_same_code_in_two_folders_is_two_policies(make: Maker, tmp_path: Path) -> None:
    body = "from pathlib import Path\nlevel = Path(__file__).with_name('level').read_text()\n"
    body += "return np.full(1, float(level))"
    for name, level in (("a", 100), ("b", 900)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "level").write_text(str(level))
        policy_file(tmp_path / name, "same", body)
    path = make(np.full(20, 3.0), [{"name": n, "use": f"./{n}/same.py"} for n in ("a", "b")])
    result = twin.run(path)
    assert row(result.summary, "a")["allocated_mean_mbps"] == 100
    assert row(result.summary, "b")["allocated_mean_mbps"] == 900


def test_a_text_parameter_with_a_slash_stays_what_it_is(make: Maker, tmp_path: Path) -> None:
    policy_file(tmp_path, "labelled", "return np.full(1, 5.0)")
    text = (tmp_path / "labelled.py").read_text()
    declared = '"""A test\'s own."""\n\n    unit: str = "Mbit/s"'
    (tmp_path / "labelled.py").write_text(text.replace('"""A test\'s own."""', declared))
    resolved = twin.run(make(np.full(20, 3.0), ["labelled"])).resolved_scenario()
    assert "unit: Mbit/s\n" in resolved
