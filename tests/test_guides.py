"""What the pages of the documentation show, run as it stands."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

import twin
from twin.batches.plan.planner import plan
from twin.cli.main import call
from twin.studies.conformance import check
from twin.studies.conformance.report import Status

AS_LINES = """
import twin
trace = twin.Trace.from_frame(frame)
sim = twin.Simulation(trace, policies=[MyPolicy(margin=0.2), "conformal"],
                      events=[twin.Surge(links=["a"], start="6h", duration="90min", factor=1.8)],
                      links={"a": {"capacity_mbps": 1000}}, sla_target=0.01)
result = sim.run()
what_if = sim.fork()
what_if.add(twin.LinkFailure(links=["a"], start="now", duration="1h"))
what_if.run()
"""
"""A whole replay first, and a copy at its end: an event there has nothing left to change."""


def _blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """The names of a module of its own, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    module = ModuleType("readme")
    monkeypatch.setitem(sys.modules, "readme", module)
    return vars(module)


def _execute(code: str, names: dict[str, Any]) -> None:
    # Without the `from __future__` of this file.
    exec(compile(code, "python.md", "exec", dont_inherit=True), names)


@pytest.mark.long
def test_a_longer_scenario_runs(tmp_path: Path) -> None:
    (tmp_path / "longer.yaml").write_text(_blocks("scenario", "yaml")[0])
    assert call(["run", str(tmp_path / "longer.yaml"), "--out", str(tmp_path / "out")]) == 0


def test_a_priced_scenario_tells_cost_and_energy(tmp_path: Path) -> None:
    (tmp_path / "priced.yaml").write_text(_blocks("scenario", "yaml")[1])
    summary = twin.run(tmp_path / "priced.yaml", overrides={"replay.duration": "1d"}).summary
    assert (summary["sla_allowed_intervals"] == 2).all()
    assert (summary[["cost", "energy_kwh"]] > 0).all(axis=None)


def test_an_own_trace_and_an_own_policy_run(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(_blocks("data", "yaml")[0])
    times = pd.date_range("2026-03-01", periods=6 * 1440, freq="min")
    rate = 1e9 * (2 + np.sin(np.arange(len(times)) / 229))
    pd.DataFrame({"timestamp": times, "bps": rate}).to_csv(tmp_path / "uplinks.csv", index=False)
    (tmp_path / "rolling_mean.py").write_text(_blocks("policies", "python")[0])
    summary = twin.run(tmp_path / "mine.yaml", policies=["bilstm", "rolling_mean"]).summary
    assert summary.set_index(["policy", "link"]).loc[("bilstm", "all"), "mae"] < 10


def test_the_policy_of_the_page_passes_the_conformance_test(tmp_path: Path) -> None:
    (tmp_path / "rolling_mean.py").write_text(_blocks("policies", "python")[0])
    assert [
        c for c in check(tmp_path / "rolling_mean.py").checks if c.status is not Status.OK
    ] == []


def test_both_sweeps_are_whole(tmp_path: Path) -> None:
    for i, text in enumerate(_blocks("batches", "yaml")):
        (tmp_path / f"sweep-{i}.yaml").write_text(text)
    assert plan(tmp_path / "sweep-0.yaml").size == 60
    assert plan(tmp_path / "sweep-1.yaml").size == 3 * 2 * 12 * 30


def test_python_as_shown_runs(session: dict[str, Any], tmp_path: Path) -> None:
    for block in _blocks("python", "python"):
        _execute(block, session)
    assert (tmp_path / "out" / "mine" / "summary.csv").is_file()
    failed, parent = (session[name].result.summary for name in ("what_if", "sim"))
    more = failed["sla_violation_minutes"] - parent["sla_violation_minutes"]
    assert (more >= 50).all()
    assert set(session["result"].summary["policy"]) == {"rolling_max", "conformal"}


def test_a_simulation_in_eight_lines_runs(session: dict[str, Any]) -> None:
    _execute(_blocks("python", "python")[0], session)
    _execute(AS_LINES, session)
    assert session["what_if"].finished
    assert set(session["result"].summary["policy"]) == {"MyPolicy", "conformal"}


@pytest.mark.long
def test_the_commands_on_choosing_are_ones_that_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = (ROOT / "docs" / "choosing.md").read_text()
    commands = re.findall(r"^    twin (.+?)(?:  +#.*)?$", text, re.MULTILINE)
    assert len(commands) == 4
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(
        "{name: mine, policies: [static_p95], demand: {facilities: 1, length: 6d}}\n"
    )
    # Short ones stand for the shipped scenario's week, and two policies for its six.
    short = ["--set", "replay.duration=6h", "--policies", "static_p95,rolling_max"]
    for command in commands:
        words = command.split()
        assert call([*words, *(short if "baseline" in words else [])]) == 0, command
    for file in ("frontier-baseline/frontier.csv", "baseline-lead-times/lead_times.csv"):
        assert (tmp_path / "out" / file).is_file()
