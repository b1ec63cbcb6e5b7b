"""One past, several futures: each as if its scenario had been run from the start."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from worlds import table

import twin
from twin import InputError
from twin.api.branches import TRUNK, run_branches
from twin.cli.main import call

FORK = 24 * 3600.0
FAILURE = {"kind": "link_failure", "links": ["link-2"], "start": "now", "duration": "90min"}
SURGE = {
    "kind": "surge", "links": ["link-1"], "start": "26h 7min", "duration": "3h", "factor": 1.6,
    "ramp": "20min",
}  # fmt: skip
POLICIES = ("static_p95", "conformal", "bilstm")

# What they share is made once.
pytestmark = [pytest.mark.long, pytest.mark.xdist_group("branches")]


@pytest.fixture(scope="module")
def trunk() -> twin.Scenario:
    return twin.Scenario.load({"policies": list(POLICIES), "replay": {"duration": "2d"}})


def test_a_branch_with_events_is_the_whole_run_with_these_events(trunk: twin.Scenario) -> None:
    branches = [{"name": "cut", "events": [FAILURE]}, {"name": "rise", "events": [SURGE, FAILURE]}]
    branched = run_branches(trunk, FORK, branches)
    assert list(branched.results) == [TRUNK, "cut", "rise"]
    assert table(branched.results[TRUNK]) == table(twin.run(trunk))
    at_fork = FAILURE | {"start": "24h"}
    for name, events in (("cut", [at_fork]), ("rise", [SURGE, at_fork])):
        whole = twin.run({**trunk.written, "events": events})
        assert table(branched.results[name]) == table(whole)
        pd.testing.assert_frame_equal(branched.results[name].summary, whole.summary)
        pd.testing.assert_frame_equal(branched.results[name].events, whole.events)


def test_up_to_the_fork_all_futures_are_the_same(trunk: twin.Scenario) -> None:
    branch = {
        "name": "all",
        "events": [SURGE],
        "links": {"link-3": {"capacity_mbps": 200, "lead_time": {"low": "1min", "high": "9min"}}},
        "policies": [{"name": "bilstm", "use": "rolling_max", "margin": "5%"}],
    }
    branched = run_branches(trunk, FORK + 130, [branch])
    parts = [r.intervals.query("interval < 288") for r in branched.results.values()]
    pd.testing.assert_frame_equal(*parts)
    after = [r.intervals.query("interval >= 289") for r in branched.results.values()]
    changed = (
        after[0].set_index(["policy", "link"]) != after[1].set_index(["policy", "link"])
    ).any(axis=1)
    rows = set(changed.index[changed])
    assert {("static_p95", "link-3"), ("bilstm", "link-2"), ("conformal", "link-1")} <= rows
    assert ("static_p95", "link-2") not in rows
    assert ("conformal", "link-4") not in rows


def test_a_policy_takes_over_at_the_fork_as_in_a_schedule(trunk: twin.Scenario) -> None:
    successor = {"name": "static_p95", "use": "conformal"}
    branched = run_branches(trunk, FORK, [{"name": "new", "policies": [successor]}])
    handed = run_branches(
        trunk, FORK, [{"name": "q", "policies": [{"name": "conformal", "use": "static_p95"}]}]
    ).results["q"]
    rows = handed.intervals.query("policy == 'conformal' and interval >= 288")
    plain = handed.intervals.query("policy == 'static_p95' and interval >= 288")
    np.testing.assert_array_equal(rows["requested_mbps"], plain["requested_mbps"])
    new = branched.results["new"].intervals.query("policy == 'static_p95'")
    before = new[new["interval"] < 288].groupby("link")["requested_mbps"].nunique()
    after = new[new["interval"] >= 288].groupby("link")["requested_mbps"].nunique()
    assert (before == 1).all()
    assert (after > 100).all()


def test_links_change_at_the_fork(trunk: twin.Scenario) -> None:
    links = {"link-1": {"capacity_mbps": 150}, "link-2": {"max": 100}}
    branched = run_branches(trunk, FORK, [{"name": "less", "links": links}])
    rows = branched.results["less"].intervals.query("policy == 'conformal'")
    first, second = (rows[rows["link"] == f"link-{i}"].reset_index() for i in (1, 2))
    assert (first["capacity_mbps"][:288] == np.inf).all()
    assert (first["capacity_mbps"][288:] == 150).all()
    assert (first["allocated_mbps"][288:] <= 150).all()
    assert (second["allocated_mbps"][289:] <= 100).all()
    assert (second["requested_mbps"][289:] > 100).any()
    assert (second["allocated_mbps"][:288] == second["requested_mbps"][:288]).all()


def test_what_begins_later_can_be_overridden() -> None:
    trunk = twin.Scenario.load({"policies": ["conformal"], "events": [SURGE], "replay":
                                {"duration": "2d"}})  # fmt: skip
    more = {"name": "more", "overrides": {"events.0.factor": 2.5}}
    branched = run_branches(trunk, FORK, [more])
    whole = twin.run(trunk, overrides={"events.0.factor": 2.5})
    pd.testing.assert_frame_equal(branched.results["more"].intervals, whole.intervals)
    with pytest.raises(InputError, match="begins before the fork at 1d 3h"):
        run_branches(trunk, 27 * 3600.0, [more])


def test_its_summary_is_of_what_came_after_the_fork(trunk: twin.Scenario) -> None:
    branched = run_branches(trunk, FORK, [{"name": "cut", "events": [FAILURE]}])
    summary = branched.summary.set_index(["branch", "policy", "link"])
    for name, result in branched.results.items():
        after = result.intervals.query("interval >= 288")
        for (policy, link), rows in after.groupby(["policy", "link"]):
            row = summary.loc[(name, policy, link)]
            assert row["intervals"] == 288
            assert row["sla_violation_minutes"] == pytest.approx(rows["violation_s"].sum() / 60)
            assert row["sla_violation_rate"] == pytest.approx(rows["sla_violation"].mean())
    worse = summary["sla_violation_minutes"]
    difference = worse["cut", "static_p95", "link-2"] - worse[TRUNK, "static_p95", "link-2"]
    assert 0 < difference <= 90


def test_the_command_writes_one_table_one_report_and_each_future(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cut.yaml").write_text(
        "events:\n  - {kind: link_failure, links: [link-1], start: now, duration: 2h}\n"
    )
    out = tmp_path / "out"
    words = ["run", "surge", "--policies", "static_p95,rolling_max", "--out", str(out)]
    fork = ["--fork", "1d 1h", "--branch", str(tmp_path / "cut.yaml")]
    assert call([*words, *fork]) == 0
    printed = capsys.readouterr().out
    assert "From 1d 1h on, all links:" in printed
    rows = pd.read_csv(out / "branches.csv")
    assert rows["branch"].unique().tolist() == ["trunk", "cut"]
    assert json.loads((out / "manifest.json").read_text())["fork_s"] == 90_000
    page = (out / "report.html").read_text()
    assert "cut/report.html" in page
    assert "start: now" in page
    assert twin.load(out / "cut").summary["policy"].nunique() == 2
    assert call([*words, *fork]) == 2
    assert "holds another run" in capsys.readouterr().err


CASES = {
    "events:\n  - {kind: surge, start: 1h, duration: 1h, factor: 2}\n": (
        "{file}:2: events.0.start: is before the fork at 1d; write 'now', or a later time"
    ),
    "events:\n  - {kind: surge, start: now, duration: 1h, factr: 2}\n": (
        "{file}:2: events.0.factr: unknown key; did you mean 'factor'?"
    ),
    "links: {link-9: {min: 1}}\n": (
        "{file}:1: links.link-9: the trace has no link 'link-9'; did you mean 'link-4'?"
    ),
    "policies: [conformal]\n": (
        "{file}:1: policies.0: must have the 'name' of the policy that it takes over from; "
        "there are: static_p95"
    ),
    "policies: [{name: static_p95, use: conformel}]\n": (
        "{file}:1: policies.0: use: no policy 'conformel'; did you mean 'conformal'?"
    ),
    "overrides: {sla.target: 0.1}\n": (
        "{file}:1: overrides.sla.target: decides what was before the fork too; "
        "a branch overrides keys of events and links"
    ),
    "overrides: {links.link-1.capacity: 5}\n": (
        "{file}:1: overrides.links.link-1.capacity: unknown key; did you mean 'capacity_mbps'?"
    ),
    "evnts: []\n": "{file}:1: evnts: unknown key; did you mean 'events'?",
}


@pytest.mark.parametrize("text", CASES)
def test_a_mistake_in_a_branch_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    file = tmp_path / "branch.yaml"
    file.write_text(text)
    words = ["run", "surge", "--policies", "static_p95", "--out", str(tmp_path / "out")]
    assert call([*words, "--fork", "1d", "--branch", str(file)]) == 2
    assert capsys.readouterr().err.splitlines() == [CASES[text].format(file=file)]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fork", "1d"], "--branch: is missing beside --fork"),
        (["--branch", "b.yaml"], "--fork: is missing beside --branch"),
        (["--fork", "1d", "--branch", "no.yaml"], "no.yaml: no such file"),
        (["--fork", "9d", "--branch", "b.yaml"], "--fork: 9d is not between the first tick"),
        (["--fork", "1x", "--branch", "b.yaml"], "--fork: '1x' has the unknown unit 'x'"),
        (["--fork", "1d", "--branch", "b.yaml", "--branch", "b.yaml"], "a second branch is called"),
    ],
)
def test_a_fork_that_cannot_be_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("b.yaml").write_text("events: []\n")
    assert call(["run", "surge", "--policies", "static_p95", *words]) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()
