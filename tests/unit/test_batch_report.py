"""The report of a batch: its page and pictures, also of batches of odd shapes."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pytest
import yaml
from batch_data import GRID, POLICIES, batch_data, facts, fail, table, words
from conftest import ROOT
from pages import read

import twin
from twin.batches.report.figures import pictures_of
from twin.batches.report.lead_times import lead_times, saving_bars, saving_in_words
from twin.batches.report.page import render
from twin.batches.report.ranking_entries import rank_policies
from twin.batches.report.source import BatchData
from twin.batches.report.verdict import contents
from twin.cli.main import call
from twin.cli.report import report as report_folder
from twin.core.errors import InputError
from twin.report.savings import bar_texts

# What they share is made once.
pytestmark = pytest.mark.xdist_group("batch-report")


def test_one_replication_gives_no_interval_and_the_page_says_so() -> None:
    batch = batch_data(replications=1)
    assert np.isnan(batch.mean("burn_rate").half_width).all()
    said = words(batch)
    assert "Every point has a single replication: there are no intervals" in said
    assert "\N{PLUS-MINUS SIGN}" not in said


def test_win_rates_count_ties_as_halves() -> None:
    def tie(runs: pd.DataFrame) -> None:
        runs.loc[runs["run_id"] == runs["run_id"].iloc[0], "sla_violation_rate"] = 0.5

    batch = batch_data({}, 4, POLICIES[:2], tie)
    cells = re.findall(r"<td data-value=\"0\.\d+\">(\d+)</td>", render(batch))
    # Of four runs one is a tie, and the others are lost.
    assert "12" in cells


def test_two_factors_are_crossed_in_means_over_all_else() -> None:
    grid = GRID | {"demand.scale": [1, 2]}
    batch = batch_data(grid)
    page = render(batch)
    own = batch.runs[batch.runs["policy"] == "adaptive"]
    for pair in (("events.0.factor", "sla.target"), ("events.0.factor", "demand.scale")):
        for mean in own.groupby(list(pair))["over_provisioning_pct"].mean():
            assert f">{mean:.1f}</td>" in page


def test_the_worst_runs_come_with_the_command_that_shows_them() -> None:
    batch = batch_data()
    ranked = batch.runs.sort_values("sla_violation_rate", ascending=False)
    worst = ranked.drop_duplicates("run_id").head(10)["run_id"]
    page = render(batch)
    caption = "Most violated under any ranked policy"
    section = page[page.index(f"<caption>{caption}") :].split("</table>")[0]
    assert re.findall(r"<code>(\w+)</code>", section) == worst.tolist()
    assert "twin batch SWEEP --show RUN_ID" in page


def test_failed_runs_are_counted_by_message_and_left_out() -> None:
    def change(runs: pd.DataFrame) -> None:
        fail(0, 1, error="policy 'x' answers <nan>")(runs)
        fail(7, error="no memory")(runs)

    batch = batch_data(change=change)
    said = words(batch)
    assert "3 of 24 runs failed and are left out of all else" in said
    assert said.index("policy 'x' answers <nan>") < said.index("no memory")
    assert "24 runs of 3 policies: 6 points with 4 replications; 3 failed." in contents(batch)


def test_a_policy_that_made_runs_fail_comes_after_all_others() -> None:
    error = "policy adaptive: tick 3 (15min): ValueError: too much (/home/me/adaptive.py:7)"
    batch = batch_data(change=fail(*range(5), error=error))
    ranked = rank_policies(batch)
    assert [(s.name, s.failed_runs) for s in ranked] == [
        ("static_p95", 0), ("lean", 0), ("adaptive", 5)
    ]  # fmt: skip
    said = words(batch)
    assert "1 of the 6 points have no run that ended well: not counted" in said
    assert "(adaptive.py:7)" in said
    assert "/home" not in said


def test_failures_that_differ_in_numbers_alone_are_one_kind() -> None:
    def change(runs: pd.DataFrame) -> None:
        for i in range(4):
            fail(i, error=f"policy lean: tick {i} ({5 * i}min): ValueError: {i}.5")(runs)

    page = render(batch_data(change=change))
    section = page[page.index('<section id="failed"') :].split("</section>")[0]
    assert re.findall(r'<th scope="row">(\d+)</th>', section) == ["4"]


@pytest.mark.parametrize(
    ("batch", "told"),
    [
        (lambda: batch_data({}, 1), "There are no factors to compare".lower()),
        (lambda: batch_data({}, 5), "adaptive keeps the SLA"),
        (lambda: batch_data({}, 1, change=fail(0)), "The only run failed: there is nothing"),
        (
            lambda: batch_data(change=fail(*range(24))),
            "All 24 runs failed: there is nothing to compare",
        ),
        (lambda: batch_data(policies=["alone"]), "There is only one policy"),
        (
            lambda: batch_data(policies=[f"policy_{i}" for i in range(30)]),
            "The first 6 of 30 policies",
        ),
        (lambda: batch_data(bounds=list(POLICIES)), "Only bounds were run"),
        (
            lambda: batch_data({"events.0.links": ["all", "[link-1, link-2]", "link-3"]}),
            "[link-1, link",
        ),
        (
            lambda: batch_data({"text": [f"value {i}" for i in range(40)]}),
            "The first 24 of 40 values",
        ),
        (lambda: batch_data({"a": [1.0, np.nan], "b": [True, False]}), "as the scenario has it"),
        (lambda: batch_data(random=False), "Nothing in the scenario is random"),
        (lambda: batch_data(status="stopped", points=50), "The batch has not finished"),
        (lambda: batch_data({}, 4, change=fail(0, 1, 2)), "single replication"),
    ],
)
def test_batches_of_odd_shapes_have_a_whole_page(batch: Callable[[], BatchData], told: str) -> None:
    assert told in words(batch())


def test_a_batch_without_any_demand_has_a_page_and_pictures() -> None:
    def silent(runs: pd.DataFrame) -> None:
        runs["over_provisioning_pct"] = np.nan
        runs["sla_violation_rate"] = runs["burn_rate"] = 0.0

    batch = batch_data(change=silent)
    assert "holds \N{EN DASH} % of demand" in words(batch)
    for draw in pictures_of(batch).values():
        assert draw_bytes(draw)


def test_a_batch_without_a_finished_run_has_a_page() -> None:
    runs = table(GRID, 1).iloc[:0]
    batch = BatchData(facts(table(GRID, 1), GRID, status="running"), runs)
    batch.check()
    assert "No run of this batch has ended yet" in words(batch)


def test_what_a_user_wrote_is_text_and_never_markup() -> None:
    nasty = '<img src=x onerror="1">&'
    batch = batch_data(
        {f"key{nasty}": [nasty, "plain"], "other": [1, 2]},
        2,
        [nasty, "plain"],
        fail(0, error=nasty),
        name=nasty,
        demand=nasty,
        sweep={"name": nasty, "scenario": nasty},
    )
    page = render(batch)
    assert "<img" not in page
    assert read(page).addresses == ["data:,"]
    assert nasty in " ".join(read(page).words)


def test_ten_thousand_runs_make_a_light_page() -> None:
    rng = np.random.default_rng(1)
    drawn = pd.DataFrame({f"key-{i}": rng.random(10_000) for i in range(6)})
    base = table({}, 1)
    runs = base.loc[np.tile(base.index, 10_000)].reset_index(drop=True)
    for key in drawn:
        runs.insert(1, key, np.repeat(drawn[key].to_numpy(), len(POLICIES)))
    runs["run_id"] = np.repeat([f"{i:016x}" for i in range(10_000)], len(POLICIES))
    keys = {key: [0] for key in drawn}
    assert len(render(BatchData(facts(runs, keys, points=10_000), runs))) < 1_000_000


SWEEP = {
    "scenario": "surge", "policies": ["static_p95", "rolling_max", "oracle"], "replications": 2,
    "set": {"replay.duration": "6h", "events": []}, "grid": {"sla.target": ["1%", "5%"]},
}  # fmt: skip


def draw_bytes(draw: Callable[[BinaryIO], None]) -> bytes:
    stream = io.BytesIO()
    draw(stream)
    return stream.getvalue()


@pytest.mark.parametrize("count", [0, 1, 30])
def test_odd_batches_have_their_pictures(count: int) -> None:
    batch = (
        batch_data({}, 1, [f"policy_{i}" for i in range(count)])
        if count
        else batch_data(change=fail(*range(24)))
    )
    pictures = pictures_of(batch)
    assert list(pictures) == (["policies.png"] if count else [])
    assert all(draw_bytes(draw).startswith(b"\x89PNG") for draw in pictures.values())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("batch")
    (here / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))
    command = [sys.executable, "-m", "twin", "batch", "sweep.yaml", "--workers", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=here, env=environment, capture_output=True, check=True)
    return here / "out" / "sweep"


def test_the_command_writes_the_page_of_a_batch(folder: Path, capsys: Any) -> None:
    assert call(["report", str(folder)]) == 0
    assert capsys.readouterr().out == f"Written to {folder}/: report.html, figures\n"
    page = (folder / "report.html").read_text()
    read(page)
    assert {file.name for file in (folder / "figures").iterdir()} == {"policies.png", "factors.png"}
    ids = pd.read_parquet(folder / "runs.parquet")["run_id"].unique()
    assert set(re.findall(r"<code>(\w{16})</code>", page)) <= set(ids)


def test_two_calls_give_the_same_bytes_wherever_the_folder_lies(
    folder: Path, tmp_path: Path
) -> None:
    first = render(BatchData.read(folder))
    other = tmp_path / "elsewhere"
    other.mkdir()
    for name in ("batch.json", "runs.parquet"):
        (other / name).write_bytes((folder / name).read_bytes())
    pictures = [
        draw_bytes(draw) for _ in range(2) for draw in pictures_of(BatchData.read(folder)).values()
    ]
    assert pictures[:2] == pictures[2:]
    report_folder(other)
    assert (other / "report.html").read_text() == first
    assert str(folder) not in first
    assert str(Path(twin.__file__).parent) not in first


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("runs.parquet", None, "is missing; 'twin batch' with the batch's sweep makes it"),
        ("runs.parquet", "no table", "cannot be read: it is not the one that batch.json is of; "
         "'twin batch' with the batch's sweep makes it again"),
        ("batch.json", "{}",
         "name: is missing; 'twin batch' with the batch's sweep makes it again"),
        ("batch.json", "[" * 100_000, "cannot be read: is not a block of keys in JSON; "
         "'twin batch' with the batch's sweep makes it again"),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_told_in_one_line(
    folder: Path, tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    for file in ("batch.json", "runs.parquet"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    if text is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as raised:
        report_folder(tmp_path)
    assert str(raised.value) == f"{tmp_path / name}: {message}"
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("sweep", None, "sweep: must be a block of keys, not nothing"),
        ("sweep", {"scenario": "x"}, "sweep.name: is missing"),
        ("points", "x", "points: must be a whole number, not 'x'"),
        ("policies", [], "policies: is empty"),
        ("bounds", 3, "bounds: must be a list, not 3"),
        ("versions", ["a"], "versions: must be a block of keys, not a list"),
        ("sla_target", [], "sla_target: must be a number, not a list"),
        ("sha256", None, "sha256: must be a block of keys, not nothing"),
    ],
)
def test_facts_that_no_batch_has_are_told(
    folder: Path, tmp_path: Path, key: str, value: object, says: str
) -> None:
    (tmp_path / "runs.parquet").write_bytes((folder / "runs.parquet").read_bytes())
    facts = json.loads((folder / "batch.json").read_text()) | {key: value}
    (tmp_path / "batch.json").write_text(json.dumps(facts))
    with pytest.raises(InputError) as raised:
        report_folder(tmp_path)
    (problem,) = raised.value.problems
    assert str(problem).startswith(f"{tmp_path / 'batch.json'}: {says}")


@pytest.mark.parametrize(("column", "value"), [("replication", None), ("seed", "x"), ("mae", "x")])
def test_a_column_that_holds_no_numbers_is_told(
    folder: Path, tmp_path: Path, column: str, value: object
) -> None:
    known = json.loads((folder / "batch.json").read_text()) | {"sha256": {}}
    (tmp_path / "batch.json").write_text(json.dumps(known))
    table = pd.read_parquet(folder / "runs.parquet").assign(**{column: value})
    table.to_parquet(tmp_path / "runs.parquet", index=False)
    with pytest.raises(InputError, match=f"column '{column}' holds what is no number"):
        report_folder(tmp_path)


def test_a_table_that_is_no_table_is_told(folder: Path, tmp_path: Path) -> None:
    known = json.loads((folder / "batch.json").read_text()) | {"sha256": {}}
    (tmp_path / "batch.json").write_text(json.dumps(known))
    (tmp_path / "runs.parquet").write_text("no table")
    with pytest.raises(InputError, match="cannot be read"):
        report_folder(tmp_path)


# A sweep of lead times


def _leads(values: dict[str, float], kept: bool = True) -> BatchData:
    """A batch at these lead times, whose best policy over-provisions so much at each."""
    key = "links.defaults.lead_time"

    def change(runs: pd.DataFrame) -> None:
        for lead, value in values.items():
            at = runs[key] == lead
            runs.loc[at, "over_provisioning_pct"] = value + 5
            runs.loc[at & (runs["policy"] == POLICIES[1]), "over_provisioning_pct"] = value
        runs["worst_burn_rate"] = 0.5
        if not kept:
            runs.loc[runs[key] == next(iter(values)), "worst_burn_rate"] = 2.0

    return batch_data({key: list(values)}, 2, POLICIES[:2], change)


def test_a_sweep_of_lead_times_leads_with_what_faster_provisioning_saves() -> None:
    batch = _leads({"15min": 20.0, "0s": 12.5, "1d": 61.0})
    (sentence,) = saving_in_words(batch)
    assert sentence == (
        "Provisioning within 0s instead of 1d saves 48.5 % of demand in over-provisioning: the "
        "best policies that keep the SLA on every link come to 12.5 instead of 61."
    )
    said = words(batch)
    assert said.index(sentence) < said.index("Ranking")
    found = {lead.seconds: (lead.value, lead.policies) for lead in lead_times(batch)}
    assert found == {
        0.0: (12.5, (POLICIES[1],)), 900.0: (20.0, (POLICIES[1],)), 86400.0: (61.0, (POLICIES[1],)),
    }  # fmt: skip


def test_a_lead_time_at_which_nothing_keeps_the_sla_saves_nothing() -> None:
    batch = _leads({"1d": 61.0, "15min": 20.0, "0s": 12.5}, kept=False)
    (sentence,) = saving_in_words(batch)
    assert sentence.startswith("Provisioning within 0s instead of 15min saves 7.5 % of demand")
    slowest = lead_times(batch)[0]
    assert (slowest.kept, slowest.points, slowest.policies) == (0, 1, ())
    bars = saving_bars(batch)
    assert [bar.seconds for bar in bars] == [86400, 900, 0]
    assert bar_texts(bars) == [
        "no policy keeps the SLA", f"20, {POLICIES[1]}", f"12.5, {POLICIES[1]}: saves 7.5"
    ]  # fmt: skip


def test_other_sweeps_say_nothing_of_lead_times() -> None:
    assert lead_times(batch_data()) == []
    assert "What provisioning faster saves" not in words(batch_data())


def test_a_batch_has_a_slide(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = {
        "scenario": "surge", "policies": ["static_p95", "last_value"],
        "set": {"replay.duration": "26h"}, "grid": {"links.defaults.lead_time": ["0s", "15min"]},
    }  # fmt: skip
    (tmp_path / "leads.yaml").write_text(yaml.safe_dump(sweep))
    out = tmp_path / "out"
    assert call(["batch", str(tmp_path / "leads.yaml"), "--workers", "0", "--out", str(out)]) == 0
    assert call(["report", str(out), "--slide"]) == 0
    assert "slide.pdf, slide.png" in capsys.readouterr().out
    assert (out / "slide.pdf").read_bytes().count(b"/Type /Page ") == 1
    assert (out / "slide.png").read_bytes().startswith(b"\x89PNG")
