"""Batches: which runs there are, that they are kept, and what is said of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats
from sweeps import POLICY, ROOT, Sweep, begun, until

import twin
from twin.batches.folder import held
from twin.cli.main import call

FILES = ("runs.parquet", "comparisons.csv")


def _bytes(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


# Which runs


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
            twin.content.shipped_folder("models") / f"ridge_traffic{end}", tmp_path / f"mine{end}"
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


# The same whoever runs it


def test_any_number_of_workers_gives_the_same_bytes(sweep: Sweep, tmp_path: Path) -> None:
    path = sweep(replications=5, intervals=True)
    for workers in (1, 2, 3):
        twin.batch(path, out=tmp_path / f"out{workers}", workers=workers)
    one, *others = (_bytes(tmp_path / f"out{workers}") for workers in (1, 2, 3))
    assert all(other == one for other in others)
    kept = {f.name: f.read_bytes() for f in (tmp_path / "out1" / "intervals").iterdir()}
    assert len(kept) == 10
    for workers in (2, 3):
        folder = tmp_path / f"out{workers}" / "intervals"
        assert {f.name: f.read_bytes() for f in folder.iterdir()} == kept


def test_dask_gives_the_same_bytes(sweep: Sweep, tmp_path: Path, cluster: str) -> None:
    path = sweep(replications=5, policies=["static_p95", "rolling_max", "conformal"])
    twin.batch(path, out=tmp_path / "here")
    assert call(["batch", str(path), "--dask", cluster, "--out", str(tmp_path / "there")]) == 0
    assert _bytes(tmp_path / "there") == _bytes(tmp_path / "here")


def test_the_caller_owns_the_executor(sweep: Sweep) -> None:
    from concurrent.futures import ThreadPoolExecutor

    path = sweep(replications=3)
    with ThreadPoolExecutor(2) as executor:
        found = twin.batch(path, executor=executor)
        assert executor.submit(len, "ab").result() == 2
    assert found.runs.equals(twin.batch(path).runs)


# Kept and resumed


def test_the_same_call_again_runs_nothing(sweep: Sweep, log: Path, tmp_path: Path) -> None:
    path = sweep(replications=3)
    twin.batch(path, out=tmp_path / "out")
    before = _bytes(tmp_path / "out")
    assert begun(log) == 6
    twin.batch(path, out=tmp_path / "out")
    assert begun(log) == 6
    assert _bytes(tmp_path / "out") == before


def test_a_changed_sweep_runs_what_it_adds_and_tells_what_no_longer_belongs(
    sweep: Sweep, log: Path, tmp_path: Path
) -> None:
    twin.batch(sweep(replications=3), out=tmp_path / "out")
    said: list[str] = []
    path = sweep(replications=2, grid={"events.0.factor": [2.0, 3.0]})
    found = twin.batch(path, out=tmp_path / "out", say=said.append)
    assert begun(log) == 8
    assert said[1:] == [
        "the sweep, or what it is made of, has changed: 2 of its runs are new; 4 finished runs no "
        "longer belong to it, kept but left out of the tables",
        "2 of 4 runs are there, 0 of them failed",
    ]
    assert found.runs.equals(twin.batch(path).runs)


def test_a_failed_run_is_a_row_and_the_others_go_on(
    sweep: Sweep, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sweep(grid={"policies.2.level": [300.0, -1.0]}, replications=2)
    out = tmp_path / "out"
    assert call(["batch", str(path), "--workers", "0", "--out", str(out)]) == 1
    runs = pd.read_parquet(out / "runs.parquet")
    assert (runs.groupby("policies.2.level")["status"].first() == ["failed", "done"]).all()
    failed = runs[runs["status"] == "failed"]
    assert len(failed) == 6
    assert failed["error"].str.contains("policy logged: tick 0").all()
    assert failed["error"].str.fullmatch(r".*ValueError: a level below 0 \(logged\.py:\d+\)").all()
    assert failed["mae"].isna().all()
    journal = (out / "journal.jsonl").read_text().splitlines()
    assert sum("Traceback" in line for line in journal) == 2
    assert begun(log) == 4
    call(["batch", str(path), "--workers", "0", "--out", str(out)])
    assert begun(log) == 4
    assert "2 of them failed; --retry-failed tries those again" in capsys.readouterr().err
    assert call(["batch", str(path), "--workers", "0", "--out", str(out), "--retry-failed"]) == 1
    assert begun(log) == 6
    comparisons = pd.read_csv(out / "comparisons.csv")
    assert set(comparisons["policies.2.level"]) == {300.0}


def test_two_batches_do_not_share_a_folder(sweep: Sweep, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with held(out), pytest.raises(twin.InputError, match="another batch is at work there"):
        twin.batch(sweep(), out=out)
    twin.batch(sweep(), out=out)


def test_the_folder_of_another_sweep_is_refused(sweep: Sweep, tmp_path: Path) -> None:
    twin.batch(sweep(), out=tmp_path / "out")
    before = _bytes(tmp_path / "out")
    other = tmp_path / "other.yaml"
    other.write_text(sweep(grid={"events.0.factor": [7.0]}).read_text())
    with pytest.raises(twin.InputError, match=r"holds the batch of .*sweep\.yaml; choose another"):
        twin.batch(other, out=tmp_path / "out")
    assert _bytes(tmp_path / "out") == before


def test_a_folder_with_anything_else_is_refused(sweep: Sweep, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(twin.InputError, match="holds something that is no batch"):
        twin.batch(sweep(), out=tmp_path / "out")
    assert [f.name for f in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("damage", ["cut off", "damaged"])
def test_a_line_that_is_not_whole_costs_its_run_alone(
    damage: str, sweep: Sweep, log: Path, tmp_path: Path
) -> None:
    path, out = sweep(replications=3), tmp_path / "out"
    twin.batch(path, out=out)
    before = _bytes(out)
    journal = out / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    if damage == "cut off":
        lines[5] = lines[5][:-40]
    else:
        lines[2] = lines[2].replace(b"1", b"2", 1)
    journal.write_bytes(b"".join(lines))
    said: list[str] = []
    twin.batch(path, out=out, say=said.append)
    number = 6 if damage == "cut off" else 3
    assert said[1] == f"{journal}:{number}: is {damage}: its run is made again"
    assert begun(log) == 7
    assert _bytes(out) == before
    said.clear()
    twin.batch(path, out=out, say=said.append)
    assert begun(log) == 7
    assert not any("is made again" in told for told in said)


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_table_is_told_and_made_again(name: str, sweep: Sweep, log, tmp_path) -> None:
    path, out = sweep(), tmp_path / "out"
    twin.batch(path, out=out)
    before = _bytes(out)
    (out / name).write_bytes((out / name).read_bytes()[:100])
    said: list[str] = []
    twin.batch(path, out=out, say=said.append)
    assert said[1] == f"{out / name}: was changed or damaged: made again from the journal"
    assert _bytes(out) == before
    assert begun(log) == 2


def test_a_half_written_table_is_told_and_removed(sweep: Sweep, tmp_path: Path) -> None:
    path, out = sweep(), tmp_path / "out"
    twin.batch(path, out=out)
    (out / ".runs.parquet-abc").write_bytes(b"PAR1")
    said: list[str] = []
    twin.batch(path, out=out, say=said.append)
    assert said[1] == f"{out / '.runs.parquet-abc'}: was half written: removed"
    assert not (out / ".runs.parquet-abc").exists()


def _mounted(folder: Path, options: str) -> None:
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip("no file system can be mounted here")


def test_a_full_disk_keeps_what_was_finished(
    sweep: Sweep, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    _mounted(disk, "size=64k")
    try:
        path = sweep(replications=40)
        assert call(["batch", str(path), "--workers", "0", "--out", str(disk / "out")]) == 1
        assert "cannot be written: No space left on device" in capsys.readouterr().err
        before = begun(log)
        kept = (disk / "out" / "journal.jsonl").read_bytes()
        assert kept.endswith(b"\n")
        assert 0 < kept.count(b"\n") < 80
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        assert call(["batch", str(path), "--workers", "0", "--out", str(disk / "out")]) == 0
        assert begun(log) - before == 80 - kept.count(b"\n")
        twin.batch(path, out=tmp_path / "undisturbed")
        assert _bytes(disk / "out") == _bytes(tmp_path / "undisturbed")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_that_cannot_be_written_is_refused(
    sweep: Sweep, log: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    _mounted(disk, "size=64k,ro")
    try:
        for folder in (disk, disk / "out"):
            with pytest.raises(twin.InputError, match="cannot be written: Read-only file system"):
                twin.batch(sweep(), out=folder)
        assert begun(log) == 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)


KILLER = """
import os
import signal

import numpy as np
from twin import Policy


class Killer(Policy):
    level: float = 1.0

    def allocate(self, observation):
        if self.level < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.full(len(observation.demand_mbps[0]), self.level)
"""


def test_a_run_that_kills_its_worker_is_given_up_and_costs_no_other(
    sweep: Sweep, tmp_path: Path
) -> None:
    sweep()
    (tmp_path / "killer.py").write_text(KILLER)
    scenario = yaml.safe_load((tmp_path / "small.yaml").read_text())
    scenario["policies"] = ["logged", {"use": "killer"}]
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(scenario))
    path = sweep(grid={"policies.1.level": [1.0, -1.0, 2.0]}, replications=4)
    found = twin.batch(path, out=tmp_path / "out", workers=2, retries=1)
    failed = found.runs[found.runs["status"] == "failed"]
    assert set(failed["policies.1.level"]) == {-1.0}
    assert set(failed["error"]) == {"its worker died 2 times"}
    assert (found.runs["status"] == "done").sum() == 16
    assert found.progress.failed == 4


def test_a_script_without_its_guard_is_told_so(sweep: Sweep, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import twin\ntwin.batch({str(sweep())!r}, workers=2)\n")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "RunError: no worker process comes up; a script that starts them" in done.stderr


ODD = """
import numpy as np
from twin import Policy


class Odd(Policy):
    level: float = 1.0

    def allocate(self, observation):
        raise ValueError("no such file: \\udcff.csv")
"""


def test_a_message_that_is_no_text_is_a_row_as_well(sweep: Sweep, tmp_path: Path) -> None:
    path = sweep(policies=["./odd.py"])
    (tmp_path / "odd.py").write_text(ODD)
    found = twin.batch(path, out=tmp_path / "out")
    assert found.runs["error"].str.contains(r"no such file: \\udcff\.csv").all()
    assert pd.read_parquet(tmp_path / "out" / "runs.parquet").equals(found.runs)


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


def test_drawn_numbers_stay_in_their_range_and_apart(sweep: Sweep) -> None:
    keys = {"links.defaults.capacity_mbps": {"low": 1_000_001.0, "high": 1_000_004.0}}
    drawn = {"samples": 40, "keys": keys}
    runs = twin.batch(sweep(grid={}, random=drawn, policies=["static_p95"])).runs
    assert runs["links.defaults.capacity_mbps"].between(1_000_001, 1_000_004).all()
    assert runs["links.defaults.capacity_mbps"].nunique() == 40


def test_numbers_of_workers_are_checked(sweep: Sweep) -> None:
    for wrong in ({"workers": -1}, {"retries": -1}, {"chunks": 0}):
        with pytest.raises(twin.InputError, match="must be at least"):
            twin.batch(sweep(), **wrong)


def test_an_interrupted_batch_keeps_what_is_done_and_goes_on(
    sweep: Sweep, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = sweep(replications=30), tmp_path / "out"
    monkeypatch.setenv("NAP", "0.05")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "twin", "batch", str(path), "--workers", "2", "--out", str(out)],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    journal = out / "journal.jsonl"
    until(lambda: journal.exists() and len(journal.read_bytes()) > 2_000)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1] == (
        f"interrupted: what was finished is kept in {out}/; the same command goes on"
    )
    kept = len(journal.read_text().splitlines())
    assert 0 < kept < 60
    assert pd.read_parquet(out / "runs.parquet")["run_id"].nunique() == kept
    assert json.loads((out / "batch.json").read_text())["status"] == "stopped"
    log.write_text("")
    twin.batch(path, out=out)
    assert begun(log) == 60 - kept
    assert json.loads((out / "batch.json").read_text())["status"] == "complete"


# What is said


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
    from twin.batches.statistics import bootstrap, half_width

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
    assert _bytes(tmp_path / "1") == _bytes(tmp_path / "2")
    wider = sweep(replications=20, until=until | {"half_width": 1e9})
    found = twin.batch(wider, out=tmp_path / "1")
    assert len(found.runs) == 2 * 3 * 3


def test_status_tells_how_it_stands(sweep: Sweep, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    twin.batch(sweep(grid={"policies.2.level": [300.0, -1.0]}), out=out)
    path = sweep(grid={"policies.2.level": [300.0, -1.0]}, replications=3)
    before = {f: f.read_bytes() for f in out.iterdir()}
    assert call(["batch", str(path), "--status", "--out", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1] == f"{out}: not at work: 1 done, 1 failed, 4 to go"
    assert said[2].startswith("1 run: policy logged: tick 0")
    assert {f: f.read_bytes() for f in out.iterdir()} == before


def test_show_makes_a_run_again_with_all_its_records(sweep: Sweep, tmp_path: Path, capsys) -> None:
    path, out = sweep(replications=2), tmp_path / "out"
    runs = twin.batch(path, out=out).runs
    wanted = runs.iloc[-1]
    assert call(["batch", str(path), "--out", str(out), "--show", wanted["run_id"][:10]]) == 0
    shown = out / "shown" / wanted["run_id"]
    summary = pd.read_csv(shown / "summary.csv").set_index(["policy", "link"])
    assert summary.loc[(wanted["policy"], "all"), "mae"] == pytest.approx(wanted["mae"])
    assert json.loads((shown / "manifest.json").read_text())["seed"] == wanted["seed"]
    assert (shown / "intervals.parquet").is_file()
    assert call(["batch", str(path), "--out", str(out), "--show", "zz"]) == 2
    assert "--show: no run 'zz'" in capsys.readouterr().err


def test_a_batch_in_memory_writes_nothing(sweep: Sweep, tmp_path: Path, monkeypatch) -> None:
    path = sweep()
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    twin.batch(path)
    assert set(tmp_path.rglob("*")) == before


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
