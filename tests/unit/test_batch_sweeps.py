"""Sweeps: which runs a batch holds, and who they are."""

from __future__ import annotations

import json
import shutil
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import policy_file
from sweeps import POLICY, ROOT, Sweep

import twin
from twin.batches.plan.plan import Plan
from twin.batches.plan.planner import plan
from twin.cli.main import call
from twin.core.errors import InputError
from twin.scenario.given import Overrides
from twin.scenario.load import Scenario


def test_a_row_for_each_point_replication_and_policy_in_this_order(sweep: Sweep) -> None:
    path = sweep(replications=2, grid={"events.0.factor": [1.2, 2.0], "sla.target": ["1%", 0.5]})
    runs = twin.batch(path).runs
    rows = [
        (factor, target, replication, policy)
        for factor in (1.2, 2.0)
        for target in ("1%", "0.5")
        for replication in (0, 1)
        for policy in ("static_p95", "last_value", "logged")
    ]
    keys = ["events.0.factor", "sla.target", "replication", "policy"]
    assert list(runs[keys].itertuples(index=False, name=None)) == rows
    assert list(runs.columns[:8]) == [
        "run_id", "events.0.factor", "sla.target", "replication", "seed", "policy", "status",
        "error",
    ]  # fmt: skip
    assert set(runs["status"]) == {"done"}
    assert runs["run_id"].nunique() == 8


def test_a_replication_has_the_same_seed_at_every_point_and_the_first_the_scenarios(
    sweep: Sweep,
) -> None:
    runs = twin.batch(sweep(replications=3)).runs
    seeds = runs.groupby("replication")["seed"].unique()
    assert all(len(found) == 1 for found in seeds)
    assert seeds[0] == [7]
    assert runs["seed"].nunique() == 3


def test_a_row_is_what_run_gives_with_its_seed_and_keys(sweep: Sweep) -> None:
    path = sweep(replications=2, grid={"events.0.factor": [1.2, 2.5], "sla.target": ["0.5%"]})
    runs = twin.batch(path).runs
    for (factor, target, seed), rows in runs.groupby(["events.0.factor", "sla.target", "seed"]):
        again = twin.run(
            path.parent / "small.yaml",
            overrides=[f"events.0.factor={factor}", f"sla.target={target}"],
            seed=int(seed),
        ).summary
        pooled = again[again["link"] == "all"].reset_index(drop=True)
        metrics = list(pooled.columns[2:])
        pd.testing.assert_frame_equal(rows[metrics].reset_index(drop=True), pooled[metrics])


def test_a_latin_hypercube_has_one_sample_in_each_stratum(sweep: Sweep) -> None:
    keys = {"events.0.factor": {"low": 1.0, "high": 2.0}, "demand.facilities": {"values": [1, 2]}}
    runs = twin.batch(sweep(grid={}, latin_hypercube={"samples": 8, "keys": keys})).runs
    drawn = runs.groupby("run_id").first()
    strata = np.floor((drawn["events.0.factor"] - 1) * 8).astype(int)
    assert sorted(strata) == list(range(8))
    assert (drawn["demand.facilities"] == 1).sum() == 4


def test_random_points_go_with_every_value_of_the_grid(sweep: Sweep) -> None:
    keys = {
        "events.0.duration": {"low": "30min", "high": "2h"},
        "sla.target": {"low": "0.1%", "high": "10%", "scale": "log"},
    }
    path = sweep(random={"samples": 5, "seed": 3, "keys": keys}, policies=["static_p95"])
    runs = twin.batch(path).runs
    assert len(runs) == 10
    one, other = (rows["sla.target"].to_list() for _, rows in runs.groupby("events.0.factor"))
    assert one == other
    assert runs["sla.target"].between(0.001, 0.1).all()
    seconds = runs["events.0.duration"].map(twin.seconds)
    assert seconds.between(1800, 7200).all()
    assert twin.batch(path).runs.equals(runs)


def test_listed_points_leave_keys_as_they_are(sweep: Sweep) -> None:
    points = [{"events.0.factor": 3.0}, {"sla.target": "5%"}]
    runs = twin.batch(sweep(grid={}, points=points, policies=["last_value"])).runs
    assert runs["events.0.factor"].fillna(-1).to_list() == [3.0, -1]
    assert runs["sla.target"].fillna("").to_list() == ["", "5%"]
    burn = runs["burn_rate"] * runs["sla_violation_rate"].pow(-1)
    assert burn.to_list() == pytest.approx([100, 20])


def test_drawn_numbers_stay_in_their_range_and_apart(sweep: Sweep) -> None:
    keys = {"links.defaults.capacity_mbps": {"low": 1_000_001.0, "high": 1_000_004.0}}
    drawn = {"samples": 40, "keys": keys}
    runs = twin.batch(sweep(grid={}, random=drawn, policies=["static_p95"])).runs
    assert runs["links.defaults.capacity_mbps"].between(1_000_001, 1_000_004).all()
    assert runs["links.defaults.capacity_mbps"].nunique() == 40


def test_values_that_no_table_column_holds_alike_are_told_apart(sweep: Sweep) -> None:
    limits = [10**23, 2000]
    runs = twin.batch(sweep(grid={"links.defaults.capacity_mbps": limits})).runs
    assert list(runs["links.defaults.capacity_mbps"].unique()) == [1e23, 2000.0]
    points = [{"sla.target": "2%", "prices": None}, {"prices": {"capacity": 1}}]
    runs = twin.batch(sweep(grid={}, points=points, policies=["static_p95"])).runs
    assert list(runs["prices"]) == ["null", "{capacity: 1}"]
    assert list(runs["sla.target"].fillna("")) == ["2%", ""]


def test_policies_keep_their_names_at_every_point(sweep: Sweep) -> None:
    with pytest.raises(twin.InputError) as refused:
        twin.batch(sweep(grid={"policies.0": ["static_p95", "rolling_max"]}))
    assert "grid.policies.0.1: changes the policies, from 'static_p95', 'last_value'" in str(
        refused.value
    )
    runs = twin.batch(sweep(grid={"policies.2.use": ["static_p95", "rolling_max"]})).runs
    assert list(runs["policy"].unique()) == ["static_p95", "last_value", "logged"]


def test_a_policy_beside_the_sweep_is_found_by_name(sweep: Sweep, tmp_path: Path) -> None:
    sweep()
    (beside := tmp_path / "beside").mkdir()
    for name in ("steady", "static_p95", "rolling_max"):
        policy_file(beside, name, "return np.full(len(observation.links), 500.0)")

    def planned(*policies: str) -> Plan:
        asked = {"scenario": "../small.yaml", "policies": list(policies)}
        (beside / "sweep.yaml").write_text(yaml.safe_dump(asked))
        return plan(beside / "sweep.yaml")

    # The scenario's own come first: one is written there, the other lies beside it.
    own = planned("static_p95", "logged", "steady")
    assert own.policies == ("static_p95", "logged", "steady")
    folders = [choice.members[0].source.path.parent for choice in own.scenario.policies]
    assert folders == [ROOT / "policies", tmp_path, beside]
    with pytest.raises(InputError, match="rolling_max"):
        planned("rolling_max")


def test_the_id_follows_what_decides_the_result_and_nothing_else(sweep: Sweep) -> None:
    path = sweep()
    before = twin.batch(path).runs["run_id"].unique()
    folder = path.parent
    scenario = yaml.safe_load((folder / "small.yaml").read_text())
    (folder / "small.yaml").write_text(yaml.safe_dump(scenario | {"name": "other"}) + "# said\n")
    assert (twin.batch(path).runs["run_id"].unique() == before).all()
    (folder / "logged.py").write_text(POLICY + "# edited\n")
    edited = twin.batch(path).runs["run_id"].unique()
    assert not set(edited) & set(before)


def test_a_trace_and_a_model_count_by_their_content(make, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    demand = rng.uniform(50, 100, (900, 1))
    path = make(demand, policies=[{"use": "forecast", "model": "./mine.onnx"}])
    for end in (".onnx", ".json"):
        shutil.copy(
            twin.core.content.shipped_folder("models") / f"ridge_traffic{end}",
            tmp_path / f"mine{end}",
        )
    sweep = {"scenario": str(path), "grid": {"sla.target": [0.01, 0.02]}}
    first = twin.batch(sweep).runs
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in ("scenario.yaml", "trace.parquet", "mine.onnx", "mine.json"):
        shutil.copy(tmp_path / file, elsewhere / file)
    moved = twin.batch(sweep | {"scenario": str(elsewhere / "scenario.yaml")}).runs
    assert moved.equals(first)
    make(demand + 1, policies=[{"use": "forecast", "model": "./mine.onnx"}])
    assert not set(twin.batch(sweep).runs["run_id"]) & set(first["run_id"])


def test_a_sweep_may_be_a_dict() -> None:
    sweep = {"scenario": "surge", "policies": ["static_p95"], "set": {"demand.length": "12d"}}
    with pytest.raises(twin.InputError, match=r"grid\.sla\.target\.1: must be at most 1, not 2"):
        twin.batch(sweep | {"grid": {"sla.target": [0.1, 2]}})
    assert len(twin.batch(sweep).runs) == 1


def test_the_schema_of_sweeps_takes_a_sweep_and_refuses_a_scenario(capsys) -> None:
    import jsonschema

    assert call(["schema", "--sweep"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.validate({"scenario": "surge", "grid": {"sla.target": ["1%", 0.1]}}, schema)
    keys = {"sla.target": {"low": "1%", "high": "2%", "scale": "log"}}
    drawn = {"samples": 9, "keys": keys}
    until = {"metric": "mae", "half_width": 1.5}
    jsonschema.validate({"scenario": "surge", "random": drawn, "until": until}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"policies": ["static_p95"]}, schema)


def test_a_grid_that_is_too_large_is_refused_before_it_is_made(sweep: Sweep) -> None:
    values = [k / 4000 for k in range(1, 4000)]
    path = sweep(grid={"sla.target": values, "events.0.factor": values})
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="15992001 runs are more than the 1000000"):
            plan(path)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_a_large_grid_is_planned_in_seconds_and_small_memory(sweep: Sweep) -> None:
    shares = [k / 1000 for k in range(1, 501)]
    path = sweep(grid={"events.0.factor": list(range(1, 41)), "sla.target": shares})
    since = time.process_time()
    planned = plan(path)
    assert time.process_time() - since < 10
    assert planned.size == 20_000
    assert len(set(planned.ids())) == 20_000
    last = planned.at(planned.points[-1]).spec
    assert (last.events[0].factor, last.sla.target) == (40, 0.5)


def test_what_stands_apart_is_checked_at_every_point(sweep: Sweep) -> None:
    path = sweep(
        grid={"events.0.factor": [1, 2], "sla.target": [0.1, 2, "a"], "sla.period": ["0s"]}
    )
    with pytest.raises(InputError) as caught:
        plan(path)
    said = [str(problem).partition(": ")[2] for problem in caught.value.problems]
    assert said == [
        "grid.sla.period.0: must be longer than 0s",
        "grid.sla.target.1: must be at most 1, not 2",
        "grid.sla.target.2: 'a' is not a share; write it like '1%' or 0.01",
    ]


def test_a_point_is_the_scenario_with_its_values_whatever_they_are_checked_by(
    sweep: Sweep,
) -> None:
    grid = {
        "events.0.factor": [1.2, 2.0],
        "links.defaults.capacity_mbps": [500, 900],
        "demand.length": ["4d", "5d"],
        "sla.target": ["1%"],
    }
    path = sweep(grid=grid)
    planned = plan(path)
    assert planned.size == 8
    for point in planned.points:
        texts = [f"{key}={value}" for key, value in point.keys.items()]
        alone = Scenario.load(path.parent / "small.yaml", Overrides(tuple(texts)))
        policies = planned.at(point).spec.policies
        assert planned.at(point).spec == alone.spec.model_copy(update={"policies": policies})


def test_values_that_are_right_only_together_make_a_point(sweep: Sweep) -> None:
    keys = [{"replay.duration": "30h", "events.0.start": "28h"}, {"events.0.factor": 3}]
    path = sweep(grid={}, points=keys, set={"demand.length": "12d"})
    starts = [plan(path).at(point).spec.events[0].start for point in plan(path).points]
    assert starts == [28 * 3600, 2 * 3600]
    with pytest.raises(InputError, match=r"events\.0\.start: is after the end of the replay, 12h"):
        plan(sweep(grid={}, points=[{"events.0.start": "28h"}]))


def test_a_log_scale_may_span_all_numbers(sweep: Sweep) -> None:
    keys = {"sla.target": {"low": 1e-300, "high": 1, "scale": "log"}}
    keys |= {"prices.capacity": {"low": 1e-300, "high": 1e300, "scale": "log"}}
    planned = plan(sweep(grid={}, random={"samples": 50, "keys": keys}))
    capacity = np.log10([point.keys["prices.capacity"] for point in planned.points])
    assert -300 <= capacity.min() < -150
    assert 150 < capacity.max() <= 300
