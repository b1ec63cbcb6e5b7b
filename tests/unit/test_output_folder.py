"""Folders that runs are written to: where they may lie, what goes, what stays, who waits."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import Maker, policy_file
from run_folders import names, put

import twin
from twin import InputError
from twin.cli.main import call
from twin.results.folder import added, check_free

MEMORY = Path("/dev/shm")
"""Another file system, where there is one."""


# Where


def test_a_run_goes_through_a_link_to_another_file_system(tmp_path: Path) -> None:
    if not MEMORY.is_dir() or MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no other file system is there")
    elsewhere = MEMORY / f"twin-{os.getpid()}"
    elsewhere.mkdir()
    try:
        out = tmp_path / "out"
        out.symlink_to(elsewhere)
        put(out, "a.csv")
        put(out, "b.csv", force=True)
        assert names(elsewhere) == {"b.csv", "manifest.json"}
        assert out.is_symlink()
    finally:
        shutil.rmtree(elsewhere)


def test_a_run_goes_to_a_mount_point(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "tmpfs", str(out)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        put(out, "a.csv")
        put(out, "b.csv", force=True)
        assert names(out) == {"b.csv", "manifest.json"}
    finally:
        subprocess.run(["umount", str(out)], check=True)


def test_nothing_is_moved_into_or_out_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    rename = {name: getattr(os, name) for name in ("rename", "replace")}

    def within(name: str):
        def move(source: Path, target: Path) -> None:
            if not (Path(source).is_relative_to(out) and Path(target).is_relative_to(out)):
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            if out in (Path(source), Path(target)):
                raise OSError(errno.EBUSY, "Device or resource busy")
            rename[name](source, target)

        return move

    for name in rename:
        monkeypatch.setattr(os, name, within(name))
    put(out, "a.csv", "figures/a.png")
    put(out, "b.csv", force=True)
    assert names(out) == {"b.csv", "manifest.json"}


def test_a_policy_that_changes_the_working_directory_moves_nothing(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "elsewhere").mkdir()
    body = f"import os; os.chdir({str(tmp_path / 'elsewhere')!r})\nreturn np.full(1, 5.0)"
    file = policy_file(tmp_path, "mover", body)
    file.write_text(f"import os; os.chdir({str(tmp_path / 'elsewhere')!r})\n{file.read_text()}")
    path = make(np.full(40, 3.0), ["mover"])
    monkeypatch.chdir(tmp_path / "work")
    scenario = os.path.relpath(path)
    # While its file is read it may; while it decides, that is a failure.
    assert call(["run", scenario, "--out", "out", "--no-report"]) == 1
    assert names(tmp_path / "elsewhere") == names(tmp_path / "work") == set()
    file.write_text(file.read_text().replace("    import os; os.chdir", "    import os; str"))
    assert call(["run", scenario, "--out", "out", "--no-report"]) == 0
    assert call(["run", scenario, "--lead-times", "0s,5min", "--no-report"]) == 0
    assert names(tmp_path / "elsewhere") == set()
    facts = json.loads((tmp_path / "work" / "out" / "manifest.json").read_text())
    assert facts["scenario"]["file"] == str(path)
    assert facts["trace"]["file"] == str(tmp_path / "trace.parquet")
    assert (tmp_path / "work" / "out" / "test-lead-times" / "manifest.json").is_file()
    assert Path.cwd() == tmp_path / "work"


@pytest.mark.skipif(os.name != "posix", reason="names are text here")
def test_bytes_that_are_no_text_are_refused_and_those_of_a_parent_are_kept(
    make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path, odd = make(np.full(40, 3.0)), tmp_path / os.fsdecode(b"odd\xff")
    for words in (
        ["run", str(path), "--out", str(odd)],
        ["validate", str(odd)],
        ["report", str(odd)],
    ):
        assert call(words) == 2
        assert capfd.readouterr().err == f"twin: {str(odd)!a} is not text in UTF-8\n"
    odd.mkdir()
    (odd / "scenario.yaml").write_bytes(path.read_bytes())
    shutil.copy(tmp_path / "trace.parquet", odd)
    monkeypatch.chdir(odd)
    assert call(["run", "scenario.yaml", "--out", "out", "--no-report"]) == 2
    assert "out' is not text in UTF-8" in capfd.readouterr().err
    out = tmp_path / "out"
    assert call(["run", "scenario.yaml", "--out", str(out), "--no-report"]) == 0
    assert twin.load(out).manifest["scenario"]["file"] == str(odd / "scenario.yaml")


def test_a_folder_that_cannot_be_made_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(InputError, match="out: --out: cannot be written: Permission denied"):
        check_free(tmp_path / "out", force=False)


# What goes, and what stays


def test_force_takes_what_the_run_wrote_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    put(out, "a.csv", "figures/a.png", "b.csv")
    (out / "mine.txt").write_text("mine")
    (out / "figures" / "mine.png").write_text("mine")
    (out / "b.csv").write_text("mine by now")
    put(out, "c.csv", force=True)
    assert names(out) == {
        "b.csv", "c.csv", "figures", "figures/mine.png", "manifest.json", "mine.txt"
    }  # fmt: skip
    assert (out / "b.csv").read_text() == "mine by now"


@pytest.mark.parametrize(
    "facts",
    [
        {"manifest_version": 3, "name": "An extension", "files": ["mine.csv"]},
        {"status": "complete", "versions": {"twin": "1"}, "files": ["mine.csv"]},
        {"status": "complete", "versions": {"twin": "1"}, "files": {"../mine.csv": "0"}},
        {"versions": {"twin": "1"}, "files": {"mine.csv": "0"}},
        ["mine.csv"],
    ],
)
def test_the_manifest_of_something_else_is_no_run(facts: object, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text(json.dumps(facts))
    (out / "mine.csv").write_text("mine")
    for force in (False, True):
        with pytest.raises(InputError, match="is not empty, and holds no run; choose another"):
            put(out, "a.csv", force=force)
    assert names(out) == {"manifest.json", "mine.csv"}


def test_a_folder_without_a_run_is_refused_also_with_force(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty, and holds no run; choose another"):
        put(tmp_path, "a.csv", force=True)
    assert names(tmp_path) == {"mine.txt"}


def test_no_link_is_followed(tmp_path: Path) -> None:
    out, aside = tmp_path / "out", tmp_path / "aside"
    put(out, "a.csv", "figures/a.png")
    (out / "figures").rename(aside)
    (out / "figures").symlink_to(aside)
    with pytest.raises(InputError, match="figures: --out: is a link, which is not followed"):
        put(out, "figures/a.png", force=True)
    assert (out / "a.csv").is_file()
    put(out, "b.csv", force=True)
    assert names(aside) == {"a.png"}
    assert names(out) == {"b.csv", "figures", "manifest.json"}


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_a_file_that_is_not_of_the_run_is_not_replaced(what: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    put(out, "a.csv")
    before = names(out)
    if what == "file":
        (out / "report.html").write_text("mine")
    elif what == "folder":
        (out / "report.html").mkdir()
    else:
        (out / "report.html").symlink_to(tmp_path)
    says = "report.html: --out: is in the way, and is no file of the run there; move it away"
    with pytest.raises(InputError, match=says):
        put(out, "b.csv", "report.html", force=True)
    with pytest.raises(InputError, match="is in the way"), added(out) as stage:
        (stage / "report.html").write_text("new")
    assert names(out) == before | {"report.html"}


def test_the_futures_of_a_fork_go_with_it_also_those_with_a_new_report(
    make: Maker, tmp_path: Path
) -> None:
    out, branch = tmp_path / "out", tmp_path / "more.yaml"
    branch.write_text("events: [{kind: surge, start: 1h, duration: 1h, factor: 2}]")
    path = make(np.full(80, 3.0))
    words = ["run", str(path), "--out", str(out), "--no-report"]
    assert call([*words, "--fork", "30min", "--branch", str(branch)]) == 0
    assert call(["report", str(out / "more")]) == 0
    assert (out / "more" / "report.html").is_file()
    assert call([*words, "--force"]) == 0
    assert "more" not in names(out)
    assert "summary.csv" in names(out)
