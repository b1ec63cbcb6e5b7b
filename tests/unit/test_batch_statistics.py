"""What a batch says of its policies, and how sure it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sweeps import Sweep, begun, tables

import twin
from twin.cli.main import call


def test_differences_are_paired_with_students_and_bootstrap_intervals(sweep: Sweep) -> None:
    found = twin.batch(sweep(replications=8))
    runs, comparisons = found.runs, found.comparisons
    for metric in ("mae", "sla_violation_rate", "efficiency_mean"):
        for factor in (1.2, 2.0):
            at = runs[runs["events.0.factor"] == factor].pivot_table(
                index="replication", columns="policy", values=metric
            )
            row = comparisons[
                (comparisons["metric"] == metric)
                & (comparisons["events.0.factor"] == factor)
                & (comparisons["policy"] == "last_value")
            ].iloc[0]
            test = stats.ttest_rel(at["last_value"], at["static_p95"])
            interval = test.confidence_interval(0.95)
            difference = at["last_value"] - at["static_p95"]
            assert row["reference"] == "static_p95"
            assert row["n"] == 8
            assert row["mean_difference"] == pytest.approx(difference.mean())
            assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high))
            theirs = stats.bootstrap(
                (difference,), np.mean, method="percentile", n_resamples=20_000, rng=1
            ).confidence_interval
            spread = difference.std() / np.sqrt(8)
            assert row["bootstrap_low"] == pytest.approx(theirs.low, abs=0.15 * spread)
            assert row["bootstrap_high"] == pytest.approx(theirs.high, abs=0.15 * spread)
            wins = difference > 0 if metric == "efficiency_mean" else difference < 0
            assert row["win_rate"] == pytest.approx((wins + 0.5 * (difference == 0)).mean())


def test_one_replication_has_no_interval(sweep: Sweep) -> None:
    comparisons = twin.batch(sweep()).comparisons
    assert comparisons["ci_low"].isna().all()
    assert comparisons["bootstrap_high"].isna().all()
    assert comparisons["mean_difference"].notna().any()


def test_the_intervals_cover_the_truth_as_often_as_they_say() -> None:
    from twin.batches.statistics.intervals import bootstrap, half_width

    values = np.random.default_rng(5).normal(3, 2, (12, 4_000))
    covered = np.abs(values.mean(axis=0) - 3) <= half_width(values)
    assert covered.mean() == pytest.approx(0.95, abs=0.01)
    low, high = bootstrap(values)
    assert ((low <= 3) & (high >= 3)).mean() == pytest.approx(0.91, abs=0.03)


def test_nothing_random_is_said(make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make(np.arange(100.0) + 5)
    (tmp_path / "sweep.yaml").write_text(f"scenario: {path.name}\nreplications: 2\n")
    arguments = ["batch", str(tmp_path / "sweep.yaml"), "--workers", "0"]
    assert call([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert "nothing in the scenario is random: every replication" in capsys.readouterr().err
    runs = pd.read_parquet(tmp_path / "out" / "runs.parquet")
    assert runs["mae"].iloc[0] == runs["mae"].iloc[1]
    assert len(runs) == 2


def test_replications_stop_when_the_interval_is_narrow_enough(sweep: Sweep, log: Path) -> None:
    until = {"metric": "mae", "policy": "last_value", "half_width": 1.0, "block": 4}
    path = sweep(replications=40, until=until)
    runs = twin.batch(path).runs
    own = runs[runs["policy"] == "last_value"]
    counts = own.groupby("events.0.factor")["mae"].count()
    assert set(counts % 4) == {0}
    assert (counts < 40).all()
    for _, values in own.groupby("events.0.factor")["mae"]:
        widths = [
            stats.t.ppf(0.975, n - 1) * values.iloc[:n].std() / np.sqrt(n)
            for n in range(4, len(values) + 1, 4)
        ]
        assert widths[-1] <= 1.0
        assert all(width > 1.0 for width in widths[:-1])
    assert begun(log) == counts.sum()


def test_a_stopped_batch_holds_the_same_runs_whoever_made_them(sweep: Sweep, tmp_path) -> None:
    until = {"metric": "mae", "half_width": 3.0, "block": 3, "difference": True}
    path = sweep(replications=20, until=until)
    for workers in (1, 2):
        twin.batch(path, out=tmp_path / f"{workers}", workers=workers)
    assert tables(tmp_path / "1") == tables(tmp_path / "2")
    wider = sweep(replications=20, until=until | {"half_width": 1e9})
    found = twin.batch(wider, out=tmp_path / "1")
    assert len(found.runs) == 2 * 3 * 3
