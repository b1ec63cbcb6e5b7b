"""A policy that fails never loses a run, and what happened is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Maker, policy_file, row

import twin
from twin import RunError

FAILURES = {
    "raises": "raise ValueError('no idea')",
    "nan": "return np.full(1, np.nan)",
    "negative": "return np.full(1, -1.0)",
    "shape": "return np.ones(7)",
    "exits": "raise SystemExit(0)",
    "changes_its_input": "observation.demand_mbps[:] = 0",
}


def _run(make: Maker, tmp_path: Path, body: str, **fallback: object) -> twin.Result:
    policy_file(tmp_path, "weak", body)
    return twin.run(
        make(np.arange(1.0, 21.0), ["weak"], fallback={"use": "last_value", **fallback})
    )


@pytest.mark.parametrize("failure", FAILURES)
def test_the_fallback_decides_where_a_policy_fails(make, tmp_path, failure: str) -> None:
    body = f"if observation.interval in (3, 5):\n    {FAILURES[failure]}\nreturn np.full(1, 50.0)"
    result = _run(make, tmp_path, body, after=3)
    assert result.intervals["requested_mbps"].tolist() == [50, 50, 50, 13, 50, 15, 50, 50, 50, 50]
    assert row(result.summary, "weak")["fallback_intervals"] == 2
    told = result.events[result.events["kind"] == "fallback"]
    assert told["time_s"].tolist() == [900, 900, 1500, 1500]
    assert told["phase"].tolist() == ["failure", "stand-in"] * 2
    assert "policy weak: tick 3 (15min):" in told["detail"].iloc[0]


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


def test_without_a_fallback_the_run_stops(make, tmp_path) -> None:
    policy_file(tmp_path, "weak", "raise ValueError('no idea')")
    with pytest.raises(RunError, match="no idea"):
        twin.run(make(np.arange(1.0, 21.0), ["weak"]))
