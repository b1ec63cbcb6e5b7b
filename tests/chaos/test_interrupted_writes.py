"""Commands that die at any operation on files: what is there is the old or the new, and whole."""

from __future__ import annotations

import builtins
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import FULL
from outlooks import hours, look
from small_network import network
from sweeps import Sweep

import twin
from twin.api.branches import run_branches
from twin.cli import branches as forking
from twin.cli import run as running
from twin.cli.report import report
from twin.demand.write import write_csv, write_parquet
from twin.results.folder import check_free
from twin.scenario.given import Overrides
from twin.scenario.load import Scenario
from twin.studies.contingency.study import contingencies
from twin.studies.contingency.write import save as save_contingencies
from twin.studies.evaluation import unseen
from twin.studies.evaluation.evaluate import evaluate
from twin.studies.evaluation.write import save as save_evaluation
from twin.studies.frontier.sweep import sweep as turn
from twin.studies.frontier.write import save as save_frontier
from twin.studies.lead_times.compare import compare
from twin.studies.lead_times.write import save as save_lead_times
from twin.studies.outlook.write import save as save_outlook
from twin.studies.reproduction import reproduce as reproducing
from twin.studies.reproduction.sections import Tables

pytestmark = pytest.mark.long

Write = Callable[[dict[str, Any], Path], Any]
"""Writes what was worked out to a folder."""


class Killed(BaseException):
    """Stands for the end of the process: nothing that comes after it is done."""


class Mortal:
    """Counts operations that change files, and dies at one of them."""

    def __init__(self, patch: pytest.MonkeyPatch, last: int | None) -> None:
        self.done: list[str] = []
        self._last = last
        for name in ("mkdir", "rename", "replace", "unlink", "remove", "rmdir", "open"):
            patch.setattr(os, name, self._mortal(name, getattr(os, name)))
        for module in (io, builtins):
            patch.setattr(module, "open", self._mortal("open", open))

    def _mortal(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            if name == "open" and not _writes(*arguments, **named):
                return operation(*arguments, **named)
            if self._last is not None and len(self.done) >= self._last:
                raise Killed
            self.done.append(name)
            return operation(*arguments, **named)

        return run


def _writes(_: Any, mode: Any = "r", *__: Any, **named: Any) -> bool:
    mode = named.get("mode", named.get("flags", mode))
    if isinstance(mode, int):
        return bool(mode & (os.O_WRONLY | os.O_RDWR))
    return bool(set(mode) & set("wax+"))


@contextmanager
def mortal(last: int | None = None) -> Iterator[Mortal]:
    """Let nothing be changed after so many operations."""
    with pytest.MonkeyPatch.context() as patch:
        yield Mortal(patch, last)


def tree(folder: Path) -> dict[str, bytes]:
    """Return all files in a folder that a user sees."""
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return {name: data for name, data in found.items() if not name.startswith(".")}


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


POLICIES = ["static_p95", "last_value"]


@pytest.fixture(scope="module")
def worked_out(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What commands write, worked out for the first time and for the second."""
    folder = tmp_path_factory.mktemp("small")
    demand = np.random.default_rng(1).uniform(1, 9, (600, 2)).round(3)
    rows = [(300 * i, f"link-{k + 1}", demand[i, k]) for i in range(600) for k in range(2)]
    table = pd.DataFrame(rows, columns=["time", "link", "internet"])
    table.to_csv(folder / "trace.csv", index=False)
    data = {"demand": {"source": "csv", "path": "trace.csv"}, "policies": POLICIES}
    (folder / "small.yaml").write_text(yaml.safe_dump(data))
    branches = [folder / "more.yaml", folder / "less.yaml"]
    for file, factor in zip(branches, (2, 1.5), strict=True):
        surge = {"kind": "surge", "start": "4h", "duration": "1h", "factor": factor}
        file.write_text(yaml.safe_dump({"events": [surge]}))
    ring = contingencies(Scenario.load(network(folder)))
    made = []
    for seed in (1, 2):
        scenario = Scenario.load(folder / "small.yaml", Overrides(seed=seed))
        made.append(
            {
                "run": twin.run(scenario),
                "fork": (run_branches(scenario, 3 * 3600, branches[:seed]), branches[:seed]),
                "lead times": compare(scenario, [0, 300 * seed]),
                "frontier": turn(scenario, 1 + seed),
                "evaluation": replace(evaluate(scenario, ["persistence"]), scores=table[:seed]),
                "contingency": replace(ring, failures=ring.failures.head(seed)),
                "outlook": look(600 + 0 * hours(9), growth=f"{seed}0%/year"),
                "table": pd.DataFrame({"n": [seed]}),
                "demand": demand[: 10 * seed],
            }
        )
    return made


@pytest.fixture(autouse=True)
def quick_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write pages and pictures without making them: it is files that count here."""

    def draw(_: Any, folder: Path) -> list[str]:
        folder.mkdir(exist_ok=True)
        (folder / "allocation.png").write_bytes(b"PNG")
        return ["allocation.png"]

    monkeypatch.setattr("twin.report.run.write.draw", draw)
    for module in ("frontier.write", "lead_times.write", "evaluation.write"):
        picture = f"twin.studies.{module}.draw"
        monkeypatch.setattr(picture, lambda _, file: file.write_bytes(b"PNG"))
    monkeypatch.setattr("twin.report.slide.write_slide", lambda stream, *_: stream.write(b"PDF"))
    monkeypatch.setattr("twin.report.contingency.write.render", lambda *_: "<html>")
    pages = ("studies.lead_times", "studies.outlook")
    for page in (*(f"{study}.write.render" for study in pages), "cli.branches.render"):
        monkeypatch.setattr(f"twin.{page}", lambda *_: "<html>")
    monkeypatch.setattr("twin.report.run.write.render_findings", lambda *_: "<html>")


def _run(made: dict[str, Any], folder: Path) -> None:
    made["run"].save(folder, force=True)


def _run_with_frontier(made: dict[str, Any], folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("twin.studies.frontier.sweep.sweep", lambda *_, **__: made["frontier"])
        running._save_with_frontier(made["run"], folder, force=True, report=True)


def _report(made: dict[str, Any], folder: Path) -> None:
    if not (folder / "manifest.json").is_file():
        made["run"].save(folder, force=True, figures=False)
    report(folder)


def _slide(made: dict[str, Any], folder: Path) -> None:
    if not (folder / "manifest.json").is_file():
        made["run"].save(folder, force=True, figures=False)
    report(folder, slide=True)


def _fork(made: dict[str, Any], folder: Path) -> None:
    branched, files = made["fork"]
    forking._save(branched, folder, files, force=True, report=True)


def _reproduce(made: dict[str, Any], folder: Path) -> None:
    table = made["table"]
    tables = Tables(table, table, table, table, {1: table, 2: table})

    def draw(_: Any, figures: dict[int, Any], stage: Path) -> None:
        for number in figures:
            (stage / f"figure-{number}.png").write_bytes(b"PNG")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reproducing, "draw", draw)
        for name in ("sections", "markdown", "html"):
            patch.setattr(reproducing, name, lambda *_: str(table))
        reproducing.save(None, tables, folder, force=True)  # type: ignore[arg-type]


FOLDERS: dict[str, Write] = {
    "run": _run,
    "run --frontier": _run_with_frontier,
    "report": _report,
    "report --slide": _slide,
    "contingency": lambda made, f: save_contingencies(made["contingency"], f, force=True),
    "outlook": lambda made, f: save_outlook(made["outlook"], "name: made\n", f, force=True),
    "run --fork": _fork,
    "run --lead-times": lambda made, f: save_lead_times(made["lead times"], f, force=True),
    "frontier": lambda made, folder: save_frontier(made["frontier"], folder, force=True),
    "evaluate": lambda made, folder: save_evaluation(made["evaluation"], folder, force=True),
    "evaluate --leave-one-link-out": lambda made, folder: unseen.save(
        made["table"], "small", folder, force=True
    ),
    "reproduce": _reproduce,
}


def _operations(write: Callable[[], Any]) -> Iterator[int]:
    """Yield at which operations to die: at all, or but at some of those before it is decided."""
    with mortal() as counting:
        write()
    decided = counting.done.index("rename") if "rename" in counting.done else 0
    yield from (n for n in range(len(counting.done)) if FULL or n >= decided or n % 5 == 0)


@pytest.mark.parametrize("over", ["nothing", "a run"])
@pytest.mark.parametrize("command", FOLDERS)
def test_a_killed_command_leaves_the_old_run_or_the_new_one(
    command: str, over: str, worked_out: list[dict[str, Any]], tmp_path: Path
) -> None:
    write, (first, second) = FOLDERS[command], worked_out
    write(second, tmp_path / "new")
    (tmp_path / "old").mkdir()
    if command.startswith("report"):
        second["run"].save(tmp_path / "old", figures=False)
    elif over == "a run":
        write(first, tmp_path / "old")
    old, new = tree(tmp_path / "old"), tree(tmp_path / "new")
    place = tmp_path / "place"

    def again() -> None:
        shutil.rmtree(place, ignore_errors=True)
        if old:
            shutil.copytree(tmp_path / "old", place)

    again()
    for last in _operations(lambda: write(second, place)):
        again()
        with suppress(Killed), mortal(last):
            write(second, place)
        # A folder with a manifest is whole, whoever looks at it.
        if (place / "manifest.json").exists():
            assert tree(place) in (old, new), last
        # Whoever asks for it first finishes what was decided.
        check_free(place, force=True)
        assert tree(place) in (old, new), last
        write(second, place)
        assert tree(place) == new, last
        assert hidden(place) == [], last


@pytest.mark.parametrize("name", ["trace.csv", "trace.csv.gz", "trace.parquet"])
def test_a_killed_command_leaves_the_old_file_or_the_new_one(
    name: str, worked_out: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "place" / name
    write = write_parquet if path.suffix == ".parquet" else write_csv
    files = []
    for made in worked_out:
        write(path, ["a", "b"], {"internet": made["demand"]}, 300)
        files.append(path.read_bytes())
    assert files[0] != files[1]
    path.unlink()
    new = worked_out[1]["demand"]
    for last in _operations(lambda: write(path, ["a", "b"], {"internet": new}, 300)):
        path.write_bytes(files[0])
        with suppress(Killed), mortal(last):
            write(path, ["a", "b"], {"internet": new}, 300)
        assert path.read_bytes() in files, last
        write(path, ["a", "b"], {"internet": new}, 300)
        assert path.read_bytes() == files[1], last
        assert hidden(path.parent) == [], last


def test_a_killed_batch_and_its_report_are_made_again(sweep: Sweep, tmp_path: Path) -> None:
    path, place = sweep(policies=["static_p95"]), tmp_path / "place"

    def write(folder: Path) -> None:
        twin.batch(path, out=folder)
        report(folder)

    write(tmp_path / "new")
    new = tree(tmp_path / "new")
    names = {name for name in new if name != "journal.jsonl"}
    operations = list(_operations(lambda: write(place)))
    for last in operations if FULL else operations[::9]:
        shutil.rmtree(place)
        with suppress(Killed), mortal(last):
            write(place)
        write(place)
        found = tree(place)
        assert {name: found[name] for name in names} == {name: new[name] for name in names}, last
        assert hidden(place) == [], last
