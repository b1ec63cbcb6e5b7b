"""The report: what it says, that it needs nothing else, that it stays small."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import policy_file, sealed
from pages import read

import twin
from twin.cli.report import report as report_folder
from twin.core.errors import InputError
from twin.report.run.aggregate import aggregate
from twin.report.run.event_spans import EventSpan, event_spans
from twin.report.run.page import render, render_result
from twin.report.run.paths import HEIGHT, bars, edges, extremes, line
from twin.report.run.source import RunData

CAUSES = ("unservable", "onset", "event", "ordinary")
NAMES = ['a<b>&"c', "plain"]
SURGE = {
    "name": "derby", "kind": "surge", "links": [NAMES[0]], "start": "4h 2min", "duration": "1h",
    "factor": 3,
}  # fmt: skip
FAILURE = {
    "name": "cut", "kind": "link_failure", "links": ["plain"], "start": "9h", "duration": "2h"
}  # fmt: skip


@pytest.fixture
def result(make: Callable[..., Path]) -> twin.Result:
    hours = np.arange(576) / 12
    demand = 300 + 150 * np.sin(hours * np.pi / 12)[:, None] * [1, 0.5]
    policies = ["static_mean2sigma", "static_p95", "last_value"]
    return twin.run(make(demand, policies, links=NAMES, events=[SURGE, FAILURE]))


def test_page_is_whole_and_needs_nothing_else(result: twin.Result) -> None:
    text = render_result(result)
    reader = read(text)
    assert len(reader.ids) == len(set(reader.ids))
    assert reader.seen.count("h1") == 1
    assert all(address == "data:," for address in reader.addresses)
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp|import\(", text)
    titles = "Verdict", "Policies compared", "Over time", "Events", "Links", "What was run"
    assert set(titles) <= set(reader.words)


def test_what_users_wrote_is_escaped(result: twin.Result) -> None:
    text = render_result(result)
    assert NAMES[0] not in text
    assert NAMES[0] in read(text).words


def test_a_folder_gives_the_same_page_as_the_result(result: twin.Result, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "out", figures=False)
    assert render(RunData.read(folder)) == render_result(result)


def test_a_report_from_files_is_that_of_the_run_to_the_byte(
    result: twin.Result, tmp_path: Path
) -> None:
    run, bare = result.save(tmp_path / "run"), result.save(tmp_path / "bare", figures=False)
    assert not (bare / "figures").exists()
    report_folder(bare)
    made = "figures/allocation.png", "figures/metrics.png", "report.html"
    for name in made:
        assert (bare / name).read_bytes() == (run / name).read_bytes(), name
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (run, bare)]
    assert manifests[0]["files"] == manifests[1]["files"]
    assert set(made) <= set(manifests[1]["files"])


def test_report_writes_the_page_and_lists_it(result: twin.Result, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "out", figures=False)
    report_folder(folder)
    before = (folder / "report.html").read_bytes()
    assert "report.html" in json.loads((folder / "manifest.json").read_text())["files"]
    report_folder(folder)
    assert (folder / "report.html").read_bytes() == before
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    ("file", "damage", "says"),
    [
        ("manifest.json", None, "is not the folder of a run"),
        ("manifest.json", b"[]", "manifest.json: cannot be read"),
        ("manifest.json", b"{", "manifest.json: cannot be read"),
        ("manifest.json", b"\xff\xfe", "manifest.json: cannot be read: is not text in UTF-8"),
        ("manifest.json", b"", "manifest.json: cannot be read"),
        ("manifest.json", b"[" * 100_000, "manifest.json: cannot be read: is nested too deeply"),
        ("manifest.json", b'{"name": "x"}', "cannot be read: is not the manifest of a run"),
        ("scenario.yaml", b"name: other\n", "scenario.yaml: cannot be read: it is not the one"),
        ("summary.csv", None, "summary.csv: is missing"),
        ("summary.csv", b"", "summary.csv: cannot be read: it is not the one that manifest.json"),
        ("hours.csv", b"policy\n", "hours.csv: cannot be read: it is not the one"),
        ("events.csv", b"\xff\xfe", "events.csv: cannot be read: it is not the one"),
        ("intervals.parquet", b"PAR1", "intervals.parquet: cannot be read: it is not the one"),
    ],
)
def test_damaged_folders_are_refused_in_one_line(
    result: twin.Result, tmp_path: Path, file: str, damage: bytes | None, says: str
) -> None:
    folder = result.save(tmp_path / "out", figures=False)
    (folder / "report.html").write_text("as before")
    (folder / file).unlink() if damage is None else (folder / file).write_bytes(damage)
    with pytest.raises(InputError) as error:
        report_folder(folder)
    (problem,) = error.value.problems
    assert says in str(problem)
    assert (folder / "report.html").read_text() == "as before"


@pytest.mark.parametrize(
    ("file", "damage", "says"),
    [
        ("scenario.yaml", b"name: other\n", "scenario.yaml: cannot be read: "),
        ("scenario.yaml", b"{", "scenario.yaml: cannot be read: "),
        ("summary.csv", b"", "summary.csv: cannot be read: "),
        ("summary.csv", b"policy,link\n", "summary.csv: cannot be read: has no column"),
        ("summary.csv", b"policy,link,sla_violation_rate\n", "summary.csv: cannot be read"),
        ("events.csv", b"\xff\xfe", "events.csv: cannot be read"),
        ("hours.csv", b"policy,link,hour\n", "hours.csv: cannot be read: has no column"),
        ("intervals.parquet", b"PAR1", "intervals.parquet: cannot be read"),
    ],
)
def test_files_that_no_run_writes_are_refused_whatever_their_digest(
    result: twin.Result, tmp_path: Path, file: str, damage: bytes, says: str
) -> None:
    folder = result.save(tmp_path / "out", figures=False)
    (folder / file).write_bytes(damage)
    sealed(folder)
    with pytest.raises(InputError, match=re.escape(says)):
        report_folder(folder)
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"status": "running"}, "cannot be read: does not say that its run is complete"),
        ({"trace": {}}, "trace.sha256: is missing"),
        ({"trace": "x"}, "trace: must be a block of keys, not 'x'"),
        ({"warnings": [""]}, "warnings.0: "),
        ({"warnings": [{}]}, "warnings.0: must be text, not a block of keys"),
        ({"forecasts": None}, "forecasts: must be a block of keys, not nothing"),
        ({"policies": {"x": [{}]}}, "policies.x.0.sha256: is missing"),
        ({"replay_starts": "noon"}, "replay_starts: "),
        ({"bounds": 3}, "bounds: must be a list, not 3"),
        ({"wall_time_s": "long"}, "wall_time_s: must be a number, not 'long'"),
        ({"versions": {"twin": 1}}, "versions.twin: must be text, not 1"),
    ],
)
def test_a_manifest_that_says_what_no_run_says_is_refused(
    result: twin.Result, tmp_path: Path, facts: dict[str, object], says: str
) -> None:
    folder = result.save(tmp_path / "out", figures=False)
    sealed(folder, **facts)
    for read_back in (report_folder, twin.load):
        with pytest.raises(InputError) as error:
            read_back(folder)
        assert str(error.value.problems[0]).startswith(f"{folder / 'manifest.json'}: {says}")


@pytest.mark.parametrize(
    ("file", "column", "value", "says"),
    [
        ("summary.csv", "sla_used_intervals", "", "'sla_used_intervals' holds what is no number"),
        ("summary.csv", "missing_intervals", "x", "could not convert"),
        ("summary.csv", "intervals", "1e400", "infinity"),
        ("summary.csv", "link", "x", "no row for each policy and link"),
        ("summary.csv", "mae", None, "has no column 'mae'"),
        ("hours.csv", "link", "x", "has other rows than the summary"),
        ("hours.csv", "intervals", "nan", "'intervals' holds what is no number"),
        ("events.csv", "time_s", "", "'time_s' holds what is no number"),
    ],
)
def test_values_that_no_run_has_are_refused_whatever_their_digest(
    result: twin.Result, tmp_path: Path, file: str, column: str, value: str | None, says: str
) -> None:
    folder = result.save(tmp_path / "out", figures=False)
    table = pd.read_csv(folder / file, dtype=str, keep_default_na=False)
    if value is None:
        del table[column]
    else:
        table.loc[0, column] = value
    table.to_csv(folder / file, index=False)
    sealed(folder)
    with pytest.raises(InputError, match=says) as error:
        report_folder(folder)
    assert str(error.value).startswith(f"{folder / file}: cannot be read: ")


@pytest.mark.parametrize("name", ["manifest.json", "summary.csv", "intervals.parquet"])
@pytest.mark.parametrize("instead", ["folder", "pipe", "link to nothing"])
def test_what_is_no_file_is_told(
    result: twin.Result, tmp_path: Path, name: str, instead: str
) -> None:
    file = result.save(tmp_path / "out", figures=False) / name
    file.unlink()
    if instead == "folder":
        file.mkdir()
    elif instead == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("nowhere")
    with pytest.raises(InputError) as error:
        report_folder(file.parent)
    assert name in str(error.value)


def test_numbers_that_were_changed_are_noticed(result: twin.Result, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "out", figures=False)
    table = result.summary.assign(unmet_mbit=0)
    table.to_csv(folder / "summary.csv", index=False, lineterminator="\n")
    for read_back in (report_folder, lambda f: twin.load(f).summary):
        with pytest.raises(
            InputError, match=r"summary\.csv: .* not the one that manifest\.json is"
        ):
            read_back(folder)
    assert len(twin.load(folder).intervals) == len(result.intervals)


def test_a_folder_that_may_not_be_read_is_told(
    result: twin.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = result.save(tmp_path / "out", figures=False)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        report_folder(folder)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda table: table[:-1], "has other rows than the summary"),
        (lambda table: table.assign(efficiency=7.0), "holds values of static_mean2sigma that"),
        (lambda table: table.drop(columns="unmet_mbps"), "cannot be read"),
        (lambda table: table.assign(capacity_mbps="x"), "'capacity_mbps' holds what is no number"),
    ],
)
def test_other_intervals_are_refused(
    result: twin.Result,
    tmp_path: Path,
    spoil: Callable[[pd.DataFrame], pd.DataFrame],
    says: str,
) -> None:
    folder = result.save(tmp_path / "out", figures=False)
    spoil(result.intervals).to_parquet(folder / "intervals.parquet", index=False)
    sealed(folder)
    with pytest.raises(InputError, match=says):
        report_folder(folder)
    assert not (folder / "report.html").exists()


def test_bounds_are_shown_and_not_ranked(make: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    body = "return observation.coming_mbps"
    seer = policy_file(tmp_path / "policies", "seer", body)
    text = seer.read_text().replace("    def allocate", "    bound = True\n\n    def allocate")
    seer.write_text(text)
    demand = np.random.default_rng(1).uniform(50, 100, 400)
    report = RunData.of(twin.run(make(demand, ["seer", "static_p95"])))
    assert report.bounds == {"seer"}
    assert report.ranked == ("static_p95",)
    reader = read(render(report))
    assert "bound, not ranked" in reader.words
    assert not re.search("seer (keeps|comes)", " ".join(reader.words))
    alone = dataclasses.replace(report, bounds=frozenset({"seer", "static_p95"}))
    assert "Only bounds were run" in render(alone)


def test_a_folder_knows_bounds_and_times(result: twin.Result, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "out", figures=False)
    facts = json.loads((folder / "manifest.json").read_text())
    facts |= {"bounds": ["last_value"], "replay_starts": "2024-03-01T22:30:00"}
    (folder / "manifest.json").write_text(json.dumps(facts))
    report = RunData.read(folder)
    assert report.ranked == ("static_mean2sigma", "static_p95")
    assert "columns are the hour of the day" in render(report)
    assert "no hour of the day is known" in render_result(result)


def test_failures_and_what_stood_in_are_told(make: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    policy_file(tmp_path / "policies", "weak", "raise RuntimeError('<boom> & bust')")
    path = make(np.arange(200.0) + 5, ["weak", "static_p95"], fallback={"use": "last_value"})
    reader = read(render_result(twin.run(path)))
    said = " ".join(reader.words)
    assert "weak failed, first at 0s: last_value decided 100 of its 100 intervals" in said
    assert "<boom> & bust" in said


def test_causes_add_up_to_the_violated_minutes(result: twin.Result) -> None:
    report = RunData.of(result)
    aggregates = aggregate(report, event_spans(report), [])
    for name, row in report.pooled.iterrows():
        totals = aggregates.totals[str(name)]
        minutes = totals.causes(row)
        assert tuple(minutes) == CAUSES
        assert sum(minutes.values()) == pytest.approx(row["sla_violation_minutes"])
        # Two hours without a fibre; the surge threefold from its first second.
        assert minutes["unservable"] == totals.in_events[1] == 120
        assert minutes["onset"] == 3
        assert minutes["event"] == pytest.approx(totals.in_events[0] - 3)
        table = result.intervals[result.intervals["policy"] == name]
        during = (table["link"] == NAMES[0]) & table["interval"].between(48, 60)
        during |= (table["link"] == "plain") & table["interval"].between(108, 131)
        assert minutes["ordinary"] == pytest.approx(table["violation_s"][~during].sum() / 60)


# The paths


def points(path: str) -> np.ndarray:
    """Return the corners of a path."""
    x = y = 0
    found = []
    for step, a, b in re.findall(r"([Mmhv])(-?\d+)(?: (-?\d+))?", path):
        if step == "M":
            x, y = int(a), int(b)
        elif step == "m":
            x, y = x + int(a), y + int(b)
        elif step == "h":
            x += int(a)
        else:
            y += int(a)
        found.append((x, y))
    return np.array(found)


def test_a_line_keeps_every_lowest_and_highest_value() -> None:
    values = np.random.default_rng(3).gamma(2, 20, 1000)
    values[300:320] = np.nan
    at = np.append(np.arange(0, 1000, 10), 1000)
    corners = points(line(extremes(values, at), at, 400.0))
    assert corners[-1, 0] == 2000
    for start, end in pairwise(at.tolist()):
        part = values[start:end]
        inside = corners[(corners[:, 0] > 2 * start) & (corners[:, 0] < 2 * end)][:, 1]
        if np.isnan(part).all():
            assert len(inside) == 0
        else:
            expected = [HEIGHT * (1 - v / 400) for v in (np.nanmax(part), np.nanmin(part))]
            assert [inside.min(), inside.max()] == pytest.approx(expected, abs=0.5)


def test_a_level_line_is_short() -> None:
    def drawn(values: np.ndarray) -> str:
        at = np.arange(len(values) + 1)
        return line(extremes(values, at), at, 10.0)

    assert drawn(np.full(9, 5.0)) == "M0 2500h18"
    assert drawn(np.full(9, np.nan)) == ""
    assert drawn(np.repeat([2.0, 4.0], 3)) == "M0 4000h6v-1000h6"


def test_no_violation_is_too_small_to_be_seen() -> None:
    unmet = np.zeros(100)
    unmet[[7, 50]] = 1e-9, 40.0
    at = np.append(np.arange(0, 100, 10), 100)
    path = bars(extremes(unmet, at).high, at, 40.0)
    assert path == "M0 100v-25h20v25zM100 100v-100h20v100z"


def test_long_replays_keep_events_interval_by_interval() -> None:
    report = SimpleNamespace(intervals=100_000, tick_s=300)
    span = EventSpan("surge", "", ("link-1",), 3_000_000.0, 3_030_000.0, {})
    at = edges(report, [span], 100)  # type: ignore[arg-type]
    assert (np.diff(at[(at >= 10_000) & (at <= 10_100)]) == 1).all()
    assert len(at) < 1_400
    assert at[0] == 0
    assert at[-1] == 100_000
    assert (np.diff(at) > 0).all()


def test_size_is_bounded(make: Callable[..., Path]) -> None:
    demand = np.random.default_rng(2).uniform(10, 1000, (8_000, 30))
    policies = [{"name": f"m{i}", "use": "rolling_max", "margin": i / 50} for i in range(6)]
    text = render_result(twin.run(make(demand, policies, train=0.3)))
    assert len(text.encode()) < 3_000_000
    words = " ".join(read(text).words)
    assert "8 of 30 links" not in words
    assert "of the 5 others" in words
