"""A batch's folder: what is finished is kept, and what is wrong is told."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sweeps import TABLES, Sweep, begun, tables

import twin
from twin.batches.execute.folder import hold_folder
from twin.cli.main import call


def test_a_batch_in_memory_writes_nothing(sweep: Sweep, tmp_path: Path, monkeypatch) -> None:
    path = sweep()
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    twin.batch(path)
    assert set(tmp_path.rglob("*")) == before


def test_the_same_call_again_runs_nothing(sweep: Sweep, log: Path, tmp_path: Path) -> None:
    path = sweep(replications=3)
    twin.batch(path, out=tmp_path / "out")
    before = tables(tmp_path / "out")
    assert begun(log) == 6
    twin.batch(path, out=tmp_path / "out")
    assert begun(log) == 6
    assert tables(tmp_path / "out") == before


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


def test_two_batches_do_not_share_a_folder(sweep: Sweep, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with hold_folder(out), pytest.raises(twin.InputError, match="another batch is at work there"):
        twin.batch(sweep(), out=out)
    twin.batch(sweep(), out=out)


def test_the_folder_of_another_sweep_is_refused(sweep: Sweep, tmp_path: Path) -> None:
    twin.batch(sweep(), out=tmp_path / "out")
    before = tables(tmp_path / "out")
    other = tmp_path / "other.yaml"
    other.write_text(sweep(grid={"events.0.factor": [7.0]}).read_text())
    with pytest.raises(twin.InputError, match=r"holds the batch of .*sweep\.yaml; choose another"):
        twin.batch(other, out=tmp_path / "out")
    assert tables(tmp_path / "out") == before


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
    before = tables(out)
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
    assert tables(out) == before
    said.clear()
    twin.batch(path, out=out, say=said.append)
    assert begun(log) == 7
    assert not any("is made again" in told for told in said)


@pytest.mark.parametrize("name", TABLES)
def test_a_damaged_table_is_told_and_made_again(name: str, sweep: Sweep, log, tmp_path) -> None:
    path, out = sweep(), tmp_path / "out"
    twin.batch(path, out=out)
    before = tables(out)
    (out / name).write_bytes((out / name).read_bytes()[:100])
    said: list[str] = []
    twin.batch(path, out=out, say=said.append)
    assert said[1] == f"{out / name}: was changed or damaged: made again from the journal"
    assert tables(out) == before
    assert begun(log) == 2


def _line(facts: Any) -> bytes:
    """Return a line of a journal with the right digest of whatever it says."""
    text = json.dumps(facts).encode()
    digest = hashlib.sha256(text).hexdigest()[:16]
    return b'{"digest": "%s", "run": %s}\n' % (digest.encode(), text)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda run: 3, "must be a block of keys, not 3"),
        (lambda run: {**run, "run_id": []}, "run_id: must be text, not a list"),
        (lambda run: {k: v for k, v in run.items() if k != "rows"}, "rows: is missing"),
        (lambda run: {**run, "rows": [["x"]]}, "rows.0.0.float: must be a number, not 'x'"),
        (lambda run: {**run, "rows": run["rows"][:1]}, "rows: must be "),
        (lambda run: {**run, "rows": [row[1:] for row in run["rows"]]}, "rows: must be "),
        (lambda run: {**run, "rows": [[2**70, *row[1:]] for row in run["rows"]]}, "rows: must be "),
        (lambda run: {**run, "rows": [[0.5, *row[1:]] for row in run["rows"]]}, "rows: must be "),
    ],
)
def test_a_whole_line_that_no_batch_writes_is_refused(
    change: Callable[[Any], Any], says: str, sweep: Sweep, tmp_path: Path, capsys
) -> None:
    path, out = sweep(), tmp_path / "out"
    twin.batch(path, out=out)
    journal = out / "journal.jsonl"
    first, second = journal.read_bytes().splitlines(keepends=True)
    damaged = first + _line(change(json.loads(second)["run"]))
    journal.write_bytes(damaged)
    assert call(["batch", str(path), "--out", str(out), "--workers", "0"]) == 2
    assert f"{journal}:2: {says}" in capsys.readouterr().err
    assert journal.read_bytes() == damaged


def test_a_manifest_that_says_what_no_batch_says_is_told_and_made_again(
    sweep: Sweep, tmp_path: Path
) -> None:
    path, out = sweep(), tmp_path / "out"
    twin.batch(path, out=out)
    before = (out / "batch.json").read_text()
    (out / "batch.json").write_text(json.dumps(json.loads(before) | {"sha256": 3}))
    said: list[str] = []
    twin.batch(path, out=out, say=said.append)
    assert f"{out / 'batch.json'}: was changed or damaged: made again" in said
    assert (out / "batch.json").read_text() == before


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
        assert tables(disk / "out") == tables(tmp_path / "undisturbed")
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
