"""The paper's tables and figures, on the default trace and on a small dataset of the tests."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import BACKBONE

from twin import InputError
from twin.cli.reproduce import reproduce_paper
from twin.core import content
from twin.forecast.card import read_card
from twin.studies.reproduction import cost as costing
from twin.studies.reproduction import measure as measuring
from twin.studies.reproduction.cost import Cost, model_cost
from twin.studies.reproduction.document import DocumentTable, Heading, Text, html, markdown
from twin.studies.reproduction.measure import measure
from twin.studies.reproduction.published import PUBLISHED
from twin.studies.reproduction.reproduce import save, tabulate

OPERATOR_KPIS = BACKBONE.parent / "operator_kpis"
KINDS = {"internet": 1, "sessions": 11, "vpn": 31, "downstream": 41}
FILES = sorted(
    [f"figure-{n}.{kind}" for n in range(1, 7) for kind in ("csv", "png")]
    + ["comparison.csv", "methods.csv", "table-1.csv", "table-2.csv"]
    + ["manifest.json", "reproduction.html", "reproduction.md"]
)

# What they share is made once.
pytestmark = [pytest.mark.long, pytest.mark.xdist_group("reproduction")]


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reproduction on the default trace; what methods cost is measured by a test of its own."""
    out = tmp_path_factory.mktemp("reproduction") / "out"
    names = "latency_1_ms", "latency_1000_ms", "peak_1_mb", "peak_1000_mb"
    measured = dict(zip(names, (0.5, 80.0, 50.0, 60.0), strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(costing, "_probe", lambda *_: measured)
        reproduce_paper(None, out, force=False)
    return out


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs that need no other process."""
    cost = Cost(1.0, 50.0, 60.0, 0.5, 80.0, None, 7)
    monkeypatch.setattr(measuring, "model_cost", lambda *_: cost)
    monkeypatch.setattr(measuring, "policy_cost", lambda *_: cost)


def dataset(folder: Path, samples: int = 1200, kinds: tuple[str, ...] = tuple(KINDS)) -> Path:
    """Write a small folder in the layout of the public dataset."""
    rng = np.random.default_rng(0)
    (folder / "data_series").mkdir(parents=True)
    wave = 300 + 200 * np.sin(np.arange(samples) * 2 * np.pi / 288)
    for kind in kinds:
        for k in range(2):
            values = wave * rng.uniform(0.9, 1.1, samples) * (1 + k)
            lines = "".join(f"{300 * i} {value}\n" for i, value in enumerate(values))
            (folder / "data_series" / f"s{KINDS[kind] + k}.txt").write_text(lines)
    info = [f"s{KINDS[kind] + k} {kind}\n" for kind in kinds for k in range(2)]
    (folder / "data_series_info.txt").write_text("".join(info))
    return folder


def test_the_baselines_rows_are_within_3_percent_of_the_published_ones(default: Path) -> None:
    table = pd.read_csv(default / "comparison.csv")
    # The greatest efficiency is that of a single interval, and the sizes cannot be right.
    baselines = table[
        table["method"].str.startswith("Baseline")
        & (table["artefact"] != "Table II")
        & (table["quantity"] != "efficiency, maximum")
    ]
    assert len(baselines) == 14
    assert baselines["relative_difference"].abs().max() < 0.03


def test_every_file_is_there_and_says_which_data_it_is_from(default: Path) -> None:
    assert sorted(file.name for file in default.iterdir()) == FILES
    origin = "generated trace (seed 1, link-1)"
    for file in default.glob("*.csv"):
        assert pd.read_csv(file)["data"].str.startswith(origin).all()
    for name in ("reproduction.md", "reproduction.html"):
        assert origin in (default / name).read_text()


def test_every_published_number_is_beside_a_measured_one(default: Path) -> None:
    table = pd.read_csv(default / "comparison.csv")
    assert len(table) == len(PUBLISHED)
    expected = table["measured"] / table["published"] - 1
    assert table["relative_difference"].to_numpy() == pytest.approx(expected.to_numpy())


def test_what_is_allocated_as_a_forecast_errs_as_the_evaluation_says(
    free: None, tmp_path: Path
) -> None:
    measured = measure(dataset(tmp_path / "data"))
    scores = measured.evaluation.pooled.set_index("model")["mae"]
    for name in scores.index:
        policy = {"persistence": "last_value"}.get(str(name), str(name))
        assert measured.summary.loc[policy, "mae"] == pytest.approx(scores[name])


def test_it_says_plainly_where_the_method_loses(default: Path) -> None:
    report = (default / "reproduction.md").read_text()
    assert "The published forecast very likely does lose" in report
    assert "the AI-enabled DT is last of the three" in report
    assert "The published sizes of the baselines cannot be theirs" in report
    radar = pd.read_csv(default / "figure-4.csv").set_index(["axis", "method"])["normalised"]
    assert radar["SLA compliance"].filter(like="AI").iloc[0] == 0
    assert radar.groupby("axis").max().eq(1).all()


def test_on_the_default_trace_the_shipped_model_stands_for_the_papers(default: Path) -> None:
    table = pd.read_csv(default / "comparison.csv")
    ai = table[table["method"].str.startswith("AI")]
    assert set(ai["method"]) == {"AI-enabled DT"}
    assert set(ai["policy"]) == {"paper"}
    assert "left out: the shipped model" not in (default / "reproduction.md").read_text()


def test_on_other_data_the_ai_row_is_left_out_and_what_fills_it_is_said(
    free: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = dataset(tmp_path / "the data"), tmp_path / "out"
    reproduce_paper(data, out, force=False)
    printed, report = capsys.readouterr().out, (out / "reproduction.md").read_text()
    command = f"twin reproduce --data '{data}' --retrain"
    assert f"{command} trains it on these data" in printed
    assert "pip install 'twin[train]'" in printed
    # Below each table and each figure that has a place for it.
    assert report.count(command) == 1 + 3 + 5
    for file in out.glob("*.csv"):
        table = pd.read_csv(file)
        if "policy" in table:
            assert "paper" not in set(table["policy"]), file.name
            assert not table["method"].str.startswith("AI").any(), file.name
    assert "AI-enabled DT " not in printed.split("The AI-enabled DT is left out")[0]
    rows = pd.read_csv(out / "comparison.csv")
    expected = [entry for entry in PUBLISHED if entry.method != "ai"]
    assert rows["published"].tolist() == [entry.value for entry in expected]


def test_what_the_command_said_trains_on_the_history_and_fills_the_row(
    free: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def train(recipe: Path, out: Path, **kwargs: object) -> None:
        asked.update(kwargs, recipe=recipe.name)
        shipped = content.shipped("models")["paper"]
        for suffix in (".onnx", ".json"):
            shutil.copy(shipped.with_suffix(suffix), out.with_suffix(suffix))

    monkeypatch.setattr(measuring, "train", train)
    out = tmp_path / "out"
    reproduce_paper(dataset(tmp_path / "data"), out, force=False, retrain=True)
    trace = asked.pop("trace")
    assert asked == {"recipe": "paper.py", "train_share": 0.8, "seed": 1}
    assert trace.links == ("s1",)
    rows = pd.read_csv(out / "comparison.csv")
    assert len(rows) == len(PUBLISHED)
    methods = pd.read_csv(out / "methods.csv").set_index("policy")
    mae = rows.set_index(["policy", "quantity"]).loc[("paper", "MAE, Mbit/s"), "measured"]
    assert mae == pytest.approx(methods.loc["paper", "mae"])
    assert methods["method"].tolist()[2] == "AI-enabled DT"
    assert "left out:" not in (out / "reproduction.md").read_text().split("Note:")[0]


def test_on_the_papers_own_series_the_baselines_rows_are_the_published_ones(
    free: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not OPERATOR_KPIS.is_dir():
        pytest.skip(f"the public dataset is not there: {OPERATOR_KPIS.name}")
    # One model is enough beside the baselines, and quick.
    every = measuring.usable
    monkeypatch.setattr(measuring, "usable", lambda s: ({"ridge": every(s)[0]["ridge"]}, []))
    measured = measure(OPERATOR_KPIS)
    rows = tabulate(measured).comparison
    # Levels are inferred from the others, and the sizes cannot be right.
    rows = rows[rows["artefact"].str.startswith("Figure")]
    assert len(rows) == 13
    assert set(rows["policy"]) == {"static_mean2sigma", "static_p95"}
    assert rows["relative_difference"].abs().max() < 0.003
    assert measured.summary.loc["last_value", "mae"] == pytest.approx(8.68, abs=0.005)


def test_the_page_needs_nothing_from_elsewhere(default: Path) -> None:
    page = (default / "reproduction.html").read_text()
    assert page.count('src="data:image/png;base64,') == 6
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "http" not in re.sub(r"base64,[^\"]+", "", page)


def test_it_runs_on_a_folder_in_the_public_layout_and_says_so(
    free: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    reproduce_paper(dataset(tmp_path / "data"), out, force=False)
    assert "Data: public dataset (folder data, link s1)" in capsys.readouterr().out
    assert "public dataset (folder data, link s1)" in (out / "reproduction.html").read_text()
    assert "generated trace (" not in (out / "reproduction.md").read_text()
    # The first series of each kind, and none of the second link.
    series = pd.read_csv(out / "figure-1.csv")
    first = np.loadtxt(tmp_path / "data" / "data_series" / "s31.txt")[:, 1]
    assert series["vpn"].to_numpy() == pytest.approx(first, rel=1e-5)
    assert "seasonal_week is left out" in (out / "reproduction.md").read_text()


def test_a_folder_with_traffic_alone_is_forecast_by_the_model_for_that(
    free: None, tmp_path: Path
) -> None:
    measured = measure(dataset(tmp_path / "data", kinds=("internet",)))
    assert "bilstm_traffic" in measured.models
    assert "bilstm" not in measured.models
    assert any("bilstm is left out" in note for note in measured.notes)
    # Trained anew it would read traffic alone; that the shipped one cannot is no reason.
    assert not any(note.startswith("paper is left out") for note in measured.notes)


def test_two_runs_give_the_same_files(free: None, tmp_path: Path) -> None:
    data = dataset(tmp_path / "data")
    for name in ("a", "b"):
        reproduce_paper(data, tmp_path / name, force=False)
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_a_folder_that_is_no_dataset_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name, message in {
        "missing": "--data: there is no such folder; 'twin data fetch' makes one",
        "file": "--data: is not a folder; 'twin data fetch' makes one",
        "empty": "--data: .* holds no 'data_series_info.txt'",
    }.items():
        with pytest.raises(InputError, match=message):
            reproduce_paper(tmp_path / name, tmp_path / "out", force=False)
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_after_an_error(
    free: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise OSError("no space left")

    measured = measure(dataset(tmp_path / "data"))
    monkeypatch.setattr("twin.studies.reproduction.reproduce.html", fail)
    with pytest.raises(OSError, match="no space left"):
        save(measured, tabulate(measured), tmp_path / "out")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["data"]


def test_a_folder_that_holds_something_is_refused_without_force(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(InputError, match="is not empty, and holds no run; choose another"):
        reproduce_paper(None, tmp_path / "out", force=False)


def test_the_work_of_each_model_is_what_its_card_says(default: Path) -> None:
    table = pd.read_csv(default / "table-2.csv").set_index("policy")["multiply_adds"]
    assert table["static_p95"] == 0
    for name, file in content.shipped("models").items():
        count = read_card(file).multiply_adds
        assert pd.isna(table[name]) if count is None else table[name] == count


def test_what_a_model_costs_is_measured_in_a_process_of_its_own() -> None:
    file = content.shipped("models")["bilstm_traffic"]
    cost = model_cost(file, read_card(file))
    assert cost.size_mb == pytest.approx(file.stat().st_size / 2**20)
    assert 20 < cost.peak_mb < cost.peak_1000_mb < 1000
    assert 0 < cost.tick_ms < cost.tick_1000_ms


def test_a_report_is_the_same_in_both_its_forms(tmp_path: Path) -> None:
    elements = [
        Heading("A < B", 1),
        Text("**Bold** and `code`, *so*", warning=True),
        DocumentTable(["name", "value"], [["a|b", "1"]]),
    ]
    assert markdown(elements) == (
        "# A < B\n\n> **Bold** and `code`, *so*\n\n"
        "| name | value |\n| :--- | ---: |\n| a\\|b | 1 |\n"
    )
    page = html(elements, tmp_path)
    assert "<title>A &lt; B</title>" in page
    text = '<p class="warning"><strong>Bold</strong> and <code>code</code>, <em>so</em></p>'
    assert text in page
    assert '<td class="l">a|b</td><td>1</td>' in page
