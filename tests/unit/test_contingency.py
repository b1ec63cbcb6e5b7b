"""Every failure at every tick, beside a calculation of one failure and one tick at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import twin
from twin.cli.main import call
from twin.scenario.load import Scenario
from twin.studies.contingency import study as study_module
from twin.studies.contingency import vectorised
from twin.studies.contingency.failures import pair_failures, single_failures
from twin.studies.contingency.study import (
    Contingencies,
    ContingencyAnalysis,
    contingencies,
)

SITES = "abcdef"
EDGES = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"), ("a", "c"), ("d", "e"), ("e", "f"),
         ("f", "c")]  # fmt: skip
TICKS = 100


@pytest.fixture(params=["shortest_path", "ecmp"])
def scenario(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    rng = np.random.default_rng(8)
    rows = [
        {"time": 300 * i, "src": a, "dst": b, "demand": rng.gamma(2, 10)}
        for i in range(TICKS)
        for a in SITES
        for b in SITES
        if a != b
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "tm.csv", index=False)
    links = [{"a": a, "b": b, "capacity_mbps": 400} for a, b in EDGES]
    spec = {
        "demand": {"source": "matrix", "path": "tm.csv"},
        "topology": {"links": links},
        "routing": request.param,
        "risk_groups": {"duct": ["a>b", "b>a", "c>d"]},
        "policies": ["static_p95", "rolling_max"],
    }
    path = tmp_path / "net.yaml"
    path.write_text(yaml.safe_dump(spec))
    return path


def slowly(study: Contingencies, policy: str) -> pd.DataFrame:
    """Return a row for each failure of one policy: flows one by one, over each of their paths."""
    result = study.result
    routing: Any = result.scenario.routing
    names, flows = routing.links, result.recording.flow_demand
    table = result.intervals.query(f"policy == '{policy}'")
    limits = table.pivot_table(index="interval", columns="link", values="allocated_mbps")
    assert flows is not None
    allocated = limits[list(names)].to_numpy()
    rows = []
    for failure in study.failures.query(f"policy == '{policy}'")["failure"]:
        down = np.zeros(len(names), dtype=bool)
        for part in [] if failure == "none" else failure.split("+"):
            group = result.scenario.spec.risk_groups.get(part, ())
            down |= [name == part or name in group or part in name.split(">") for name in names]
        paths = routing.paths(down)
        on = np.zeros((len(names), len(paths.flow)))
        for path in range(len(paths.flow)):
            on[paths.of(path), path] = 1.0
        loads = flows[:, paths.flow] * paths.share @ on.T
        unserved = violated = 0.0
        worst = (0.0, "", 0)
        for tick in range(len(flows)):
            served = np.minimum(allocated[tick] / np.maximum(loads[tick], 1e-12), 1.0)
            violated += 5.0 * (loads[tick] > allocated[tick] * (1 + 1e-12)).sum()
            for path in range(len(paths.flow)):
                least = min(served[link] for link in np.flatnonzero(on[:, path]))
                amount = flows[tick, paths.flow[path]] * paths.share[path]
                unserved += 300 * amount * (1 - least)
            ratio = loads[tick] / allocated[tick]
            if ratio.max() > worst[0]:
                worst = (float(ratio.max()), names[ratio.argmax()], 300 * tick)
        routed = np.isin(np.arange(flows.shape[1]), paths.flow)
        unrouted = 300 * flows[:, ~routed].sum()
        rows.append((failure, unrouted, unserved, violated, *worst))
    return pd.DataFrame(rows, columns=["failure", "unrouted_mbit", "unserved_mbit",
        "violation_minutes", "worst_utilization", "worst_link", "worst_start_s"])  # fmt: skip


def test_failures_are_those_of_a_slow_calculation(scenario: Path) -> None:
    study = contingencies(Scenario.load(scenario))
    names = study.failures.query("policy == 'static_p95'")["failure"].tolist()
    assert names[:2] == ["none", "a>b+b>a"]
    assert len(names) == 1 + len(EDGES) + len(SITES) + 1
    for policy in ("static_p95", "rolling_max"):
        rows = study.failures.query(f"policy == '{policy}'").reset_index(drop=True)
        expected = slowly(study, policy)
        pd.testing.assert_frame_equal(rows[list(expected)], expected, check_dtype=False, rtol=1e-9)


def test_the_worst_case_of_a_link_names_failure_and_time(scenario: Path) -> None:
    study = contingencies(Scenario.load(scenario))
    cases, failures = study.worst_cases, study.failures
    assert len(cases) == 2 * 2 * len(EDGES)
    top = cases.sort_values("worst_utilization").groupby("policy").tail(1)
    for row in top.to_dict("records"):
        of_policy = failures.query(f"policy == '{row['policy']}'")
        worst = of_policy.sort_values("worst_utilization").iloc[-1]
        assert row["worst_failure"] == worst["failure"]
        assert row["worst_start_s"] == worst["worst_start_s"]
        assert row["worst_utilization"] == worst["worst_utilization"]
    minutes = cases.groupby("policy")["violation_minutes"].sum()
    pd.testing.assert_series_equal(minutes, failures.groupby("policy")["violation_minutes"].sum())


def test_pairs_and_samples(scenario: Path) -> None:
    checked = Scenario.load(scenario)
    pairs = contingencies(checked, order=2)
    names = set(pairs.failures["failure"])
    single = len(EDGES) + len(SITES) + 1
    assert len(names) == 1 + single + len(EDGES) * (len(EDGES) - 1) // 2
    assert "a>b+b>a+b>c+c>b" in names
    some, again = (contingencies(checked, order=2, sample=7) for _ in range(2))
    assert len(some.failures) == 2 * 8
    pd.testing.assert_frame_equal(some.failures, again.failures)


def test_the_command_writes_tables_and_says_where_no_link_is_short(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call(["contingency", str(scenario), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "15 failures at each of 20 intervals, 16 links" in said
    assert "static_p95: no link is short under " in said
    failures, cases = (pd.read_csv(out / f"{name}.csv") for name in ("failures", "worst_cases"))
    assert list(failures)[:9] == [
        "policy", "failure", "unrouted_mbit", "unserved_mbit", "violation_minutes",
        "links_violated", "worst_link", "worst_utilization", "worst_start_s",
    ]  # fmt: skip
    assert list(cases) == ["policy", "link", "worst_utilization", "worst_failure", "worst_start_s",
                           "capacity_utilization", "violation_minutes"]  # fmt: skip
    facts = json.loads((out / "manifest.json").read_text())
    assert facts["contingencies"] == 15
    assert facts["topology"]["links"] == facts["trace"]["links"] == 16
    assert facts["trace"]["flows"] == 30
    assert call(["contingency", str(scenario), "--out", str(out)]) == 2
    assert call(["contingency", str(scenario), "--out", str(out), "--force"]) == 0


def test_it_needs_a_network_that_does_not_fail_by_itself(scenario: Path) -> None:
    with pytest.raises(twin.InputError, match="state a 'topology' and a demand with"):
        contingencies(Scenario.load("baseline"))
    surge = {"kind": "surge", "links": "all", "start": "0h", "duration": "1h", "factor": 2}
    event = {"kind": "node_failure", "sites": ["a"], "start": "0h"}
    with scenario.open("a") as file:
        file.write(yaml.safe_dump({"events": [surge, event]}, sort_keys=False))
    line = scenario.read_text().splitlines().index("- kind: node_failure") + 1
    with pytest.raises(twin.InputError) as raised:
        contingencies(Scenario.load(scenario))
    what = "'node_failure' would be there beside every failure that is tried"
    remedy = "remove it: a contingency strikes the network as it is"
    assert str(raised.value) == f"{scenario}:{line}: events.1: {what}; {remedy}"


def test_tables_do_not_depend_on_threads_blocks_or_batches(
    scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = twin.run(scenario)
    topology = result.scenario.topology
    assert topology is not None
    tables = []
    for threads, block, batch in ((1, 256, 2**29), (3, 7, 4_000), (1, 7, 4_000)):
        monkeypatch.setattr(vectorised, "BLOCK", block)
        monkeypatch.setattr(study_module, "BATCH_BYTES", batch)
        analysis = ContingencyAnalysis(result, threads)
        analysis.strike(pair_failures(topology))
        tables.append(analysis.tables())
    for whole, parts in zip(tables[0], tables[1], strict=True):
        pd.testing.assert_frame_equal(whole, parts, rtol=1e-12)
    for several, one in zip(tables[1], tables[2], strict=True):
        assert several.to_csv() == one.to_csv()


@pytest.mark.long
def test_compiled_code_gives_the_tables_that_numpy_gives(scenario: Path) -> None:
    result = twin.run(scenario)
    topology = result.scenario.topology
    assert topology is not None
    failures = [*single_failures(topology), *pair_failures(topology)]
    tables = []
    for compiled in (False, True):
        analysis = ContingencyAnalysis(result, compiled=compiled)
        analysis.strike(failures)
        tables.append(analysis.tables())
    for arrays, loops in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(arrays, loops, rtol=1e-9)
    unserved = tables[0][0]["unserved_mbit"]
    assert (unserved > 0).mean() > 0.1


def test_compiled_code_is_used_where_it_is_worth_it(
    scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = twin.run(scenario)
    assert not ContingencyAnalysis(result).is_compiled
    monkeypatch.setattr(study_module, "WORTH_COMPILING", 1)
    monkeypatch.setattr(study_module, "find_spec", lambda name: None)
    assert not ContingencyAnalysis(result).is_compiled
