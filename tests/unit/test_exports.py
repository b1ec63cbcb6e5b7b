"""Exports as other tools write them: each is read as it is, or refused with line and remedy."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import twin
from twin.cli.main import call
from twin.core.errors import InputError
from twin.demand.export import look

FOLDER = Path(__file__).parents[1] / "exports"
OUTCOMES = yaml.safe_load((FOLDER / "outcomes.yaml").read_text(encoding="utf-8"))
READ = [name for name, outcome in OUTCOMES.items() if "refused" not in outcome]
REFUSED = [name for name, outcome in OUTCOMES.items() if "refused" in outcome]


def test_the_folder_holds_what_is_documented():
    files = {path.name for path in FOLDER.iterdir()} - {"README.md", "outcomes.yaml"}
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert files == set(OUTCOMES)
    assert len(files) >= 30
    assert all(f"| `{name}` |" in listed for name in files)


def _needs(name: str) -> None:
    if name.endswith(".xlsx"):
        pytest.importorskip("openpyxl")


@pytest.mark.parametrize("name", READ)
def test_an_export_runs_as_it_is(name, tmp_path, monkeypatch):
    _needs(name)
    expected = OUTCOMES[name]
    shutil.copy(FOLDER / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert call(["data", "import", name, "--out", "mine.yaml"]) == 0
    result = twin.run("mine.yaml", policies=["static_p95"])
    trace = result.scenario.trace
    written = yaml.safe_load(Path("mine.yaml").read_text(encoding="utf-8"))["demand"]
    assert written.pop("path") == name
    assert written == expected["block"]
    assert list(trace.links) == expected["links"]
    assert (trace.samples, trace.tick_s) == (expected["intervals"], expected["tick_s"])
    assert (trace.starts and trace.starts.isoformat()) == expected["starts"]
    assert trace.demand_mbps.mean(axis=0) == pytest.approx(expected["mean_mbps"], abs=1e-3)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_is_refused_with_its_line(name, monkeypatch):
    monkeypatch.chdir(FOLDER)
    with pytest.raises(InputError) as caught:
        look([Path(name)], name)
    assert str(caught.value) == OUTCOMES[name]["refused"]


def _rate_mbps(sample: int) -> float:
    """Return what the exports of a link of 400 Mbit/s were made from."""
    return 400 * (1 + 0.4 * math.sin(2 * math.pi * sample / 36) + 0.03 * math.sin(sample * 2.7))


@pytest.mark.parametrize(
    ("name", "first"),
    [("grafana_series_to_columns.csv", 0), ("rrdtool_fetch.txt", 0), ("elastic.csv", 0),
     ("prometheus_counters.csv", 0), ("cacti_graph.csv", 0), ("kentik.csv", 0)],
)  # fmt: skip
def test_an_export_is_read_as_what_it_was_made_from(name, first):
    trace = look([FOLDER / name], str(FOLDER / name)).trace
    known = [k for k in range(47) if k not in (7, 11, 20)]
    truth = [_rate_mbps(first + k) for k in known]
    assert trace.demand_mbps[known, 0] == pytest.approx(truth, rel=1e-6)


def test_the_block_is_printed_without_a_scenario(capsys, monkeypatch):
    monkeypatch.chdir(FOLDER)
    assert call(["data", "import", "cacti_graph.csv"]) == 0
    said = capsys.readouterr()
    block = yaml.safe_load(said.out)["demand"]
    assert block["stamp"] == "end"
    assert "Taken for a graph of Cacti as CSV: 2 links (Inbound, Outbound)" in said.err
    assert "Unsure: no unit is named" in said.err


def test_files_are_a_link_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, mbps in (("paris", 5), ("rome", 7)):
        rows = "".join(f"{300 * k},{mbps + k % 3}\n" for k in range(40))
        Path(f"{name}.csv").write_text("time,value\n" + rows)
    assert call(["data", "import", "paris.csv", "rome.csv", "--out", "both.yaml"]) == 0
    trace = twin.Scenario.load("both.yaml").trace
    assert trace.links == ("paris", "rome")
    assert trace.demand_mbps[0].tolist() == [5, 7]
    by_pattern = {"source": "csv", "path": "*.csv", "columns": {"internet": "value"}}
    given = twin.Scenario.load({"demand": by_pattern, "policies": ["static_p95"]}).trace
    assert np.array_equal(given.demand_mbps, trace.demand_mbps)


def test_a_scenario_that_is_there_stays(tmp_path, monkeypatch, capsys):
    shutil.copy(FOLDER / "kentik.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("mine")
    assert call(["data", "import", "kentik.csv", "--out", "mine.yaml"]) == 2
    assert capsys.readouterr().err == "mine.yaml: --out: is there already; add --force\n"
    assert Path("mine.yaml").read_text() == "mine"


def test_without_openpyxl_a_workbook_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    with pytest.raises(InputError, match=r"needs openpyxl; install twin\[excel\]"):
        look([FOLDER / "excel_workbook.xlsx"], "x.xlsx")


def test_a_workbook_is_read_no_further_than_is_allowed(tmp_path):
    pytest.importorskip("openpyxl")
    shutil.copy(FOLDER / "excel_workbook.xlsx", tmp_path / "a.xlsx")
    demand = {"source": "excel", "path": str(tmp_path / "a.xlsx"), "layout": "wide"}
    for key, most, what in (("max_bytes", 7000, "bytes once unpacked"), ("max_values", 50, "rows")):
        with pytest.raises(InputError, match=f"{what}.*; raise 'demand.{key}' if it may"):
            twin.Scenario.load({"demand": demand | {key: most}, "policies": ["static_p95"]})
