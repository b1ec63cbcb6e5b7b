"""What happens in which order, and what a policy may know."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Maker, policy_file, row

import twin
from twin import RunError
from twin.results.table import print_table

RNG = np.random.default_rng(0)


def _spy(folder: Path, name: str = "spy") -> None:
    """A policy that keeps what it saw in a list of its module."""
    # A file is loaded once for its content: each spy differs, and so has a list of its own.
    (folder / f"{name}.py").write_text(
        f"# {name}\nfrom twin import Policy\n\nseen = []\n\n\nclass Spy(Policy):\n"
        '    """Keeps what it sees."""\n\n'
        "    def fit(self, history):\n"
        "        seen.append(('fit', history.demand_mbps.shape, history.sla_target))\n\n"
        "    def allocate(self, observation):\n"
        "        seen.append((observation.interval, observation.demand_mbps.shape[0],\n"
        "                     observation.demand_mbps[-1].tolist(), observation.down.tolist()))\n"
        "        return observation.last_known_mbps\n"
    )


def _seen(result: twin.Result) -> list[tuple[object, ...]]:
    policy = result.scenario.policies[0].members[0].source.policy
    return sys.modules[policy.__module__].seen  # type: ignore[no-any-return]


def test_every_tick_is_decided_once_on_what_has_closed(make: Maker, tmp_path: Path) -> None:
    _spy(tmp_path)
    demand = np.arange(1.0, 21.0)
    seen = _seen(twin.run(make(demand, ["spy"], sla={"target": "2%"})))
    assert seen[0] == ("fit", (10, 1), 0.02)
    assert seen[1:] == [(k, 10 + k, [demand[9 + k]], [False]) for k in range(10)]


def test_the_skipped_part_is_shown_and_never_fitted_on(make: Maker, tmp_path: Path) -> None:
    _spy(tmp_path, "spy_skip")
    path = make(np.arange(1.0, 21.0), ["spy_skip"], replay={"start": "20min", "duration": "15min"})
    seen = _seen(twin.run(path))
    assert seen[0][1] == (10, 1)
    assert [entry[:2] for entry in seen[1:]] == [(0, 14), (1, 15), (2, 16)]


def test_a_surge_is_observed_from_its_first_closed_interval_on(make: Maker, tmp_path: Path) -> None:
    _spy(tmp_path, "spy_surge")
    surge = {"kind": "surge", "start": "10min", "duration": "10min", "factor": 2}
    seen = _seen(twin.run(make(np.full(20, 10.0), ["spy_surge"], events=[surge])))
    assert [entry[2] for entry in seen[1:]] == [[10.0]] * 3 + [[20.0]] * 2 + [[10.0]] * 5


def test_events_that_end_or_start_at_a_tick_precede_the_decision(
    make: Maker, tmp_path: Path
) -> None:
    _spy(tmp_path, "spy_down")
    failures = [
        {"kind": "link_failure", "links": ["link-1"], "start": "5min", "duration": "10min"},
        {"kind": "link_failure", "links": ["link-1"], "start": "15min", "duration": "150s"},
    ]
    result = twin.run(make(np.full(20, 10.0), ["spy_down"], events=failures))
    down = [entry[3][0] for entry in _seen(result)[1:]]
    assert down == [False, True, True, True, False, False, False, False, False, False]
    assert result.intervals["violation_s"].tolist()[:5] == [0, 300, 300, 150, 0]
    assert result.events[["time_s", "phase"]].to_numpy().tolist() == [
        [300.0, "start"],
        [900.0, "end"],
        [900.0, "start"],
        [1050.0, "end"],
    ]


def test_a_changed_future_changes_no_decision(make: Maker) -> None:
    policies = ["static_p95", "last_value", "rolling_max", "bilstm"]
    demand = RNG.uniform(50, 100, (200, 3))
    decided = {}
    for name, future in (("as is", 1.0), ("tripled", 3.0)):
        changed = demand.copy()
        changed[140:] *= future
        table = twin.run(make(changed, policies)).intervals
        decided[name] = table[table["interval"] <= 40]["requested_mbps"].to_numpy()
    np.testing.assert_array_equal(decided["as is"], decided["tripled"])


def test_observations_cannot_be_changed(make: Maker, tmp_path: Path) -> None:
    policy_file(tmp_path, "vandal", "observation.demand_mbps[-1] = 0\nreturn np.ones(1)")
    with pytest.raises(RunError, match="read-only"):
        twin.run(make(np.full(20, 10.0), ["vandal"]))


def test_reusing_an_array_between_ticks_does_not_rewrite_the_record(
    make: Maker, tmp_path: Path
) -> None:
    policy_file(
        tmp_path,
        "reuser",
        "self.answer = getattr(self, 'answer', np.zeros(1))\nself.answer += 1\nreturn self.answer",
    )
    table = twin.run(make(np.full(20, 10.0), ["reuser"])).intervals
    assert table["requested_mbps"].tolist() == list(range(1, 11))


def test_a_policy_that_changes_late_keeps_its_constant_past(make: Maker, tmp_path: Path) -> None:
    policy_file(tmp_path, "late", "return np.full(1, 7.0 if observation.interval < 6 else 9.0)")
    table = twin.run(make(np.full(20, 10.0), ["late"])).intervals
    assert table["requested_mbps"].tolist() == [7.0] * 6 + [9.0] * 4


def test_every_policy_meets_the_same_demand(make: Maker) -> None:
    surge = {"kind": "surge", "start": "7min", "duration": "33min", "factor": 2, "ramp": "3min"}
    policies = ["static_p95", "last_value", "rolling_max"]
    table = twin.run(make(RNG.uniform(1, 9, (60, 2)), policies, events=[surge])).intervals
    by_policy = [group["demand_mbps"].to_numpy() for _, group in table.groupby("policy")]
    assert by_policy[0].tobytes() == by_policy[1].tobytes() == by_policy[2].tobytes()


def test_all_members_of_a_schedule_observe_from_the_start(make: Maker, tmp_path: Path) -> None:
    policy_file(
        tmp_path,
        "counter",
        "self.calls = getattr(self, 'calls', 0) + 1\nreturn np.full(1, float(self.calls))",
    )
    schedule = [
        {"from": "0h", "use": "last_value"},
        {"from": "25min", "use": "counter"},
        {"from": "40min", "use": "last_value", "margin": "100%"},
    ]
    path = make(np.full(20, 10.0), [{"name": "handover", "schedule": schedule}])
    table = twin.run(path).intervals
    assert table["requested_mbps"].tolist() == [10] * 5 + [6, 7, 8] + [20] * 2


def test_missing_intervals_are_observed_as_nan_and_counted_apart(make: Maker, tmp_path) -> None:
    demand = np.full((100, 2), 10.0)
    demand[60:80, 1] = np.nan
    result = twin.run(make(demand, ["last_value", "rolling_max", "bilstm"]))
    for name in ("last_value", "rolling_max", "bilstm"):
        gap = row(result.summary, name, "link-2")
        assert (gap["intervals"], gap["missing_intervals"]) == (50, 20)
        assert np.isfinite(gap["sla_violation_rate"])
        assert np.isfinite(gap["allocated_mean_mbps"])
    assert row(result.summary, "last_value")["missing_intervals"] == 20
    table = result.intervals
    lost = table[table["demand_mbps"].isna()]
    assert len(lost) == 3 * 20
    assert lost["served_mbps"].isna().all()
    assert not lost["sla_violation"].any()


def test_two_policies_that_ask_for_one_model_share_its_forecasts(make: Maker, monkeypatch) -> None:
    from twin.forecast.forecaster import Forecaster

    bound = []
    join = Forecaster.join
    monkeypatch.setattr(Forecaster, "join", lambda *a, **k: bound.append(1) or join(*a, **k))
    policies = ["bilstm", {"name": "with_margin", "use": "bilstm", "margin": "10%"}]
    table = twin.run(make(RNG.uniform(50, 100, 100), policies)).intervals
    assert bound == [1]
    plain, wider = (group["requested_mbps"].to_numpy() for _, group in table.groupby("policy"))
    np.testing.assert_allclose(wider, plain * 1.1)


def test_progress_reaches_the_last_intervals(make: Maker) -> None:
    told: list[tuple[int, int]] = []
    twin.run(make(np.full(200, 10.0)), progress=lambda done, total: told.append((done, total)))
    assert told[0] == (16, 100)
    assert told[-1] == (96, 100)


def test_a_run_from_a_loaded_scenario_is_the_same(make: Maker) -> None:
    path = make(RNG.uniform(1, 9, 100), ["static_p95", "rolling_max"])
    scenario = twin.Scenario.load(path)
    pd.testing.assert_frame_equal(twin.run(scenario).summary, twin.run(path).summary)
    picked = twin.run(scenario, policies=["last_value"], seed=9)
    assert picked.summary["policy"].unique().tolist() == ["last_value"]
    assert picked.scenario.spec.seed == 9


def test_no_policy_can_change_what_another_observes(make: Maker, tmp_path: Path) -> None:
    for body in ("observation.down[:] = True", "observation.last_known_mbps[:] = 0"):
        policy_file(tmp_path, "vandal", f"{body}\nreturn np.ones(1)")
        with pytest.raises(RunError, match="read-only"):
            twin.run(make(np.full(20, 10.0), ["vandal"]))
        sys.modules.pop("vandal", None)


def test_seconds_of_violation_are_exact(make: Maker) -> None:
    surge = {"kind": "surge", "start": "37s", "duration": "211s", "factor": 2}
    down = {"kind": "link_failure", "start": "401s", "duration": "5min"}
    table = twin.run(make(np.full(20, 10.0), ["static_p95"], events=[surge, down])).intervals
    assert table["violation_s"].tolist()[:4] == [211, 199, 101, 0]
    assert (table["allocated_mbps"] <= table["requested_mbps"]).all()


RAMP = {"kind": "surge", "links": ["link-1"], "start": "5min", "duration": "10min"} | {
    "factor": 2,
    "ramp": "5min",
}
ELSEWHERE = {
    "a failure": {"kind": "link_failure", "links": ["link-2"], "start": "8min", "duration": "30s"},
    "a surge": {"kind": "surge", "links": ["link-2"], "start": "7min", "duration": "30s"}
    | {"factor": 1},
}


@pytest.mark.parametrize("what", ELSEWHERE)
def test_what_happens_on_another_link_divides_no_ramp(
    make: Maker, tmp_path: Path, what: str
) -> None:
    policy_file(tmp_path, "fixed", "return np.full(2, 155.0)")
    demand = np.full((20, 2), 100.0)

    def first_link(*events: dict[str, object]) -> pd.DataFrame:
        table = twin.run(make(demand, ["fixed"], events=list(events))).intervals
        return table[table["link"] == "link-1"].reset_index(drop=True)

    alone = first_link(RAMP)
    # A mean of 150 while it rises, from 100 to 200.
    assert alone["efficiency"].iloc[1] == pytest.approx(150 / 155)
    pd.testing.assert_frame_equal(first_link(RAMP, ELSEWHERE[what]), alone, rtol=1e-12)


def test_when_another_policy_is_served_divides_no_ramp(make: Maker, tmp_path: Path) -> None:
    policy_file(tmp_path, "fixed", "return np.full(2, 155.0)")
    policy_file(tmp_path, "moving", "return np.full(2, 150.0 + observation.interval)")
    path = make(np.full((20, 2), 100.0), ["fixed", "moving"], events=[RAMP])
    path.write_text(path.read_text() + "links: {defaults: {lead_time: 2min}}\n")
    both = twin.run(path).intervals.query("policy == 'fixed'").reset_index(drop=True)
    alone = twin.run(path, policies=["fixed"]).intervals.reset_index(drop=True)
    pd.testing.assert_frame_equal(both, alone, rtol=1e-12)


def test_what_divides_a_ramp_on_its_own_link_counts(make: Maker, tmp_path: Path) -> None:
    policy_file(tmp_path, "fixed", "return np.full(2, 155.0)")
    down = {"kind": "link_failure", "links": ["link-1"], "start": "9min", "duration": "30s"}
    table = twin.run(make(np.full((20, 2), 100.0), ["fixed"], events=[RAMP, down])).intervals
    # Cut at the failure the ramp's end, from 190 to 200, is short by itself.
    assert table[table["link"] == "link-1"]["violation_s"].iloc[1] == 60


def test_a_link_of_which_nothing_is_known_has_no_score_and_stops_nothing(
    make: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    demand = np.full((40, 2), 100.0)
    demand[15:, 1] = np.nan
    result = twin.run(make(demand, ["last_value", "static_p95"]))
    unknown = row(result.summary, "last_value", "link-2")
    assert unknown["missing_intervals"] == 20
    assert np.isnan(unknown["mae"])
    assert np.isnan(unknown["sla_violation_rate"])
    assert row(result.summary, "last_value", "link-1")["mae"] == 0
    print_table(result)
    assert "2 of 2" in capsys.readouterr().out


def test_the_coming_interval_is_shown_to_a_bound_alone(make: Maker, tmp_path: Path) -> None:
    policy_file(tmp_path, "peeks", "return observation.coming_mbps")
    with pytest.raises(RunError, match="coming_mbps is the future, for a bound alone"):
        twin.run(make(np.arange(1.0, 21.0), ["peeks"]))
    schedule = [{"from": "0s", "use": "last_value"}, {"from": "25min", "use": "oracle"}]
    table = twin.run(make(np.arange(1.0, 21.0), [{"name": "both", "schedule": schedule}])).intervals
    assert table["requested_mbps"].tolist() == [10, 11, 12, 13, 14, 16, 17, 18, 19, 20]
