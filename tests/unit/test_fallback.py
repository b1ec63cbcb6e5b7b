"""A policy that fails never loses a run, and what happened is told."""

from __future__ import annotations

import html
import json
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Maker, policy_file, row

import twin
from twin import RunError
from twin.report.run.failures import failures
from twin.report.run.page import render
from twin.report.run.source import RunData
from twin.results.table import print_table

FAILURES = {
    "raises": ("raise ValueError('no idea')", "ValueError: no idea"),
    "nan": ("return np.full(1, np.nan)", "asked for nan Mbit/s on link link-1"),
    "negative": ("return np.full(1, -1.0)", "asked for -1.0 Mbit/s on link link-1"),
    "shape": ("return np.ones(7)", "answered an array of shape (7,), not (1,)"),
    "exits": ("raise SystemExit(0)", "SystemExit: 0"),
    "changes_its_input": (
        "observation.demand_mbps[:] = 0", "ValueError: assignment destination is read-only"
    ),
    "slow": ("import time\n    time.sleep(0.3)", "took longer than 0.25s"),
}  # fmt: skip


def _run(make: Maker, tmp_path: Path, body: str, **fallback: object) -> twin.Result:
    policy_file(tmp_path, "weak", body)
    return twin.run(
        make(np.arange(1.0, 21.0), ["weak"], fallback={"use": "last_value", **fallback})
    )


@pytest.mark.parametrize("failure", FAILURES)
def test_the_fallback_decides_where_a_policy_fails(make, tmp_path, failure: str) -> None:
    statement, reason = FAILURES[failure]
    body = f"if observation.interval in (3, 5):\n    {statement}\nreturn np.full(1, 50.0)"
    result = _run(make, tmp_path, body, after=3, time_limit="0.25s")
    assert result.intervals["requested_mbps"].tolist() == [50, 50, 50, 13, 50, 15, 50, 50, 50, 50]
    assert row(result.summary, "weak")["fallback_intervals"] == 2
    told = result.events[result.events["kind"] == "fallback"]
    assert told["time_s"].tolist() == [900, 900, 1500, 1500]
    assert told["phase"].tolist() == ["failure", "stand-in"] * 2
    assert told["detail"].iloc[0].startswith(f"policy weak: tick 3 (15min): {reason}")
    assert told["links"].iloc[0] == ('["link-1"]' if "on link" in reason else "[]")


def test_a_fallback_may_be_written_as_its_name(make, tmp_path) -> None:
    policy_file(tmp_path, "weak", "return np.full(1, np.nan)")
    result = twin.run(make(np.arange(1.0, 21.0), ["weak"], fallback="last_value"))
    assert result.intervals["requested_mbps"].tolist() == list(range(10, 20))


@pytest.mark.parametrize("failure", FAILURES)
def test_the_report_says_which_policy_failed_where_and_why(make, tmp_path, failure: str) -> None:
    statement, reason = FAILURES[failure]
    body = f"if observation.interval in (3, 5):\n    {statement}\nreturn np.full(1, 50.0)"
    result = _run(make, tmp_path, body, after=3, time_limit="0.25s")
    report = RunData.read(result.save(tmp_path / "out", figures=False))
    (failed,) = failures(report)
    assert (failed.policy, failed.decided, failed.first_s) == ("weak", 2, 900)
    assert failed.links == (("link-1",) if "on link" in reason else ())
    assert [time for time, _ in failed.log] == [900, 1500]
    assert failed.reason.startswith(reason)
    words = html.unescape(re.sub("<[^>]*>", "", render(report)))
    assert words.count(reason) >= 2
    where = " on link-1" if failed.links else ""
    assert (
        f"weak failed, first at 15min{where}: last_value decided 2 of its 10 intervals (why: "
        "under Events)." in words
    )


def test_the_terminal_says_which_policy_failed(make, tmp_path, capsys) -> None:
    print_table(_run(make, tmp_path, "return None", after=9))
    said = capsys.readouterr().out
    assert "Failed: policy weak: tick 0 (0s): answered nothing, not one number for each" in said
    assert "; the fallback decided 10 of its 10 intervals (events.csv has every failure)" in said


@pytest.mark.parametrize("method", ["fit", "allocate"])
def test_a_fallback_that_fails_itself_stops_the_run(make, tmp_path, method: str) -> None:
    policy_file(tmp_path, "weak", "raise ValueError('no idea')")
    text = policy_file(tmp_path, "spare", "return np.full(1, np.inf)").read_text()
    if method == "fit":
        text += "\n    def fit(self, history):\n        raise ValueError('nor I')\n"
        (tmp_path / "spare.py").write_text(text)
    says = {
        "fit": r"policy weak: fallback spare: fit\(\): ValueError: nor I",
        "allocate": r"policy weak: tick 0 \(0s\): fallback spare: asked for inf Mbit/s on link",
    }
    with pytest.raises(RunError, match=says[method]):
        twin.run(make(np.arange(1.0, 21.0), ["weak"], fallback={"use": "spare"}))


def test_a_fallback_that_fails_where_it_is_not_needed_does_no_harm(make, tmp_path) -> None:
    policy_file(tmp_path, "spare", "raise ValueError('nor I')")
    result = twin.run(
        make(np.arange(1.0, 21.0), ["static_p95"], fallback={"use": "spare", "after": 1})
    )
    assert row(result.summary, "static_p95")["fallback_intervals"] == 0


def test_after_so_many_failures_it_decides_for_good(make, tmp_path) -> None:
    body = (
        "if observation.interval >= 2:\n    raise ValueError('worn out')\nreturn np.full(1, 50.0)"
    )
    result = _run(make, tmp_path, body, after=2)
    assert result.intervals["requested_mbps"].tolist() == [50, 50, *range(12, 20)]
    assert result.events["detail"].iloc[-1] == "last_value decides for the rest of the replay"
    assert len(result.events) == 4


def test_a_policy_that_cannot_fit_never_decides(make, tmp_path) -> None:
    (tmp_path / "unfit.py").write_text(
        "from twin import Policy\n\n\nclass Unfit(Policy):\n"
        "    def fit(self, history):\n        raise ValueError('too little')\n"
    )
    result = twin.run(make(np.arange(1.0, 21.0), ["unfit"], fallback={"use": "last_value"}))
    assert row(result.summary, "unfit")["fallback_intervals"] == 10
    assert "too little" in result.events["detail"].iloc[0]


def test_a_slow_answer_is_a_failure_where_a_limit_is_set(make, tmp_path) -> None:
    body = (
        "import time\ntime.sleep(0.05 if observation.interval == 4 else 0)\nreturn np.full(1, 50.0)"
    )
    result = _run(make, tmp_path, body, time_limit="0.02s")
    assert result.intervals["requested_mbps"].tolist()[:5] == [50, 50, 50, 50, 14]
    assert "took longer than 0.02s" in result.events["detail"].iloc[0]


def test_a_run_has_a_time_limit_which_interrupts_a_policy_that_sleeps(make, tmp_path) -> None:
    body = "import time\ntime.sleep(60 * (observation.interval == 4))\nreturn np.full(1, 50.0)"
    policy_file(tmp_path, "weak", body)
    begin = time.perf_counter()
    with pytest.raises(
        RunError, match=r"^policy weak: tick 4 \(20min\): was at work when the run's"
    ):
        twin.run(make(np.arange(1.0, 21.0), ["weak"], time_limit="2s"))
    assert time.perf_counter() - begin < 20


def test_limits_of_a_run_and_of_a_decision_go_together(make, tmp_path) -> None:
    body = "import time\ntime.sleep(60 * (observation.interval == 4))\nreturn np.full(1, 50.0)"
    path = make(
        np.arange(1.0, 21.0), ["weak"], time_limit="60s",
        fallback={"use": "last_value", "time_limit": "0.1s"},
    )  # fmt: skip
    policy_file(tmp_path, "weak", body)
    requests = twin.run(path).intervals["requested_mbps"].tolist()
    assert requests == [50, 50, 50, 50, *range(14, 20)]
    policy_file(tmp_path, "slow", "import time\ntime.sleep(0.3)\nreturn np.full(1, 50.0)")
    overrides = {"policies": ["slow"], "fallback.time_limit": "10s", "time_limit": "0.5s"}
    with pytest.raises(
        RunError, match=r"was at work when the run's time was up|the run took longer"
    ):
        twin.run(path, overrides=overrides)


def test_without_a_fallback_the_run_stops(make, tmp_path) -> None:
    policy_file(tmp_path, "weak", "raise ValueError('no idea')")
    with pytest.raises(RunError, match="no idea"):
        twin.run(make(np.arange(1.0, 21.0), ["weak"]))


def test_a_fallback_of_ones_own_is_in_the_manifest_and_the_resolved_scenario(
    make: Maker, tmp_path: Path
) -> None:
    policy_file(tmp_path, "spare", "return np.full(1, 7.0)")
    result = _run(make, tmp_path, "raise ValueError('no idea')", use="spare")
    folder = result.save(tmp_path / "out")
    (used,) = json.loads((folder / "manifest.json").read_text())["fallback"]
    assert used["file"] == str((tmp_path / "spare.py").resolve())
    assert not used["shipped"]
    again = twin.run(folder / "scenario.yaml")
    pd.testing.assert_frame_equal(again.summary, result.summary)


def test_the_intervals_of_a_fallback_are_those_of_a_link(
    make: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy_file(tmp_path, "weak", "raise ValueError('no idea')")
    path = make(np.full((20, 3), 5.0), ["weak"], fallback={"use": "last_value"})
    print_table(twin.run(path))
    assert "the fallback decided 10 of its 10 intervals" in " ".join(
        capsys.readouterr().out.split()
    )


COUNTING = """\
import time

import numpy as np
from twin import Policy


class Counting(Policy):
    def fit(self, history):
        self._asked = 0
        HOLDS

    def allocate(self, observation):
        self._asked += 1
        if observation.interval == 4:
            time.sleep(60)
        return np.full(1, 50.0 + self._asked)
"""


@pytest.mark.parametrize("copied", [True, False])
def test_a_policy_that_was_interrupted_goes_on_from_what_it_had_learnt(
    make: Maker, tmp_path: Path, *, copied: bool
) -> None:
    holds = "pass" if copied else "self._held = lambda: None"
    (tmp_path / "counting.py").write_text(COUNTING.replace("HOLDS", holds))
    fallback = {"use": "last_value", "after": 3, "time_limit": "0.25s"}
    result = twin.run(make(np.arange(1.0, 21.0), ["counting"], fallback=fallback))
    rest = [51, 52, 53, 54, 55] if copied else list(range(15, 20))
    assert result.intervals["requested_mbps"].tolist() == [51, 52, 53, 54, 14, *rest]
    said = "policy counting: cannot be copied, so that it is not asked again"
    assert (said in result.events["detail"].tolist()) is not copied
