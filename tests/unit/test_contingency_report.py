"""The page and the slide of a contingency: what the network survives, and every worst case."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from conftest import sealed
from pages import read
from small_network import network

from twin.cli.main import call
from twin.core.errors import InputError
from twin.report.contingency.page import render, verdict
from twin.report.contingency.source import ContingencyData, links_down
from twin.results.folder import read_manifest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("contingency")
    path = network(base, risk_groups={"duct": ["A>B", "B>A"]})
    policies = ["--set", "policies=[{name: wide, use: rolling_max, margin: 3}, static_p95]"]
    assert call(["contingency", str(path), "--out", str(base / "out"), *policies]) == 0
    return base / "out"


@pytest.fixture
def data(folder: Path) -> ContingencyData:
    return ContingencyData.read(folder, read_manifest(folder))


def test_the_page_is_whole_and_names_every_worst_case(folder: Path, data: ContingencyData) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    reader = read(text)
    assert all(address == "data:," for address in reader.addresses)
    assert len(reader.ids) == len(set(reader.ids))
    assert {"The network at its worst", "The worst failures", "What was run"} <= set(reader.words)
    words = " ".join(reader.words)
    cases = pd.read_csv(folder / "worst_cases.csv")
    for link in cases["link"].unique():
        assert link in reader.words
    worst = cases.loc[cases["worst_utilization"].idxmax()]
    assert f"{100 * worst['worst_utilization']:.3g} %" in words
    assert "paper" not in words
    assert render(data) == text


def test_the_first_sentence_says_what_each_policy_survives(
    folder: Path, data: ContingencyData
) -> None:
    table = pd.read_csv(folder / "failures.csv").query("failure != 'none'")
    whole = table[table["violation_minutes"] == 0].groupby("policy").size()
    total = table["failure"].nunique()
    assert total == 5 + 4 + 1
    assert data.survived == {name: whole.get(name, 0) for name in data.policies}
    assert data.survived["wide"] > data.survived["static_p95"]
    first = verdict(data)[0]
    assert first == (
        f"No link ever falls short under {data.survived['wide']} of {total} failures with wide "
        f"and {data.survived['static_p95']} with static_p95."
    )
    shares = 1 - table.groupby("policy")["intervals_violated"].sum() / (total * 48)
    assert data.shares == pytest.approx(shares.to_dict())


def test_a_failure_can_be_chosen_with_what_it_takes_down(data: ContingencyData) -> None:
    text = render(data)
    options = {
        name.replace("&gt;", ">"): down
        for down, name in re.findall(r'<option value="\d+" data-down="([\d ]*)"[^>]*>(.*?)<', text)
    }
    names = data.topology.link_names
    assert len(options) == len(data.names)
    for failure, down in options.items():
        links = {names[int(i)] for i in down.split()}
        if failure == "duct":
            assert links == {"A>B", "B>A"}
        elif failure in data.topology.site_names:
            assert links == {name for name in names if failure in name.split(">")}
        else:
            assert links == set(failure.split("+"))


def test_names_with_a_plus_are_told_apart(tmp_path: Path) -> None:
    from twin.topology.read import read_topology
    from twin.topology.spec import TopologySpec

    ends = [("a+b", "c"), ("c", "d")]
    spec = TopologySpec.model_validate({"links": [{"a": a, "b": b} for a, b in ends]})
    net = read_topology(spec, tmp_path)
    down = links_down(net, "a+b>c+c>a+b+c>d")
    assert [net.link_names[i] for i in down] == ["a+b>c", "c>a+b", "c>d"]


def test_a_report_is_made_again_from_the_folder_and_none_where_none_is_wanted(
    folder: Path, tmp_path: Path
) -> None:
    before = (folder / "report.html").read_bytes()
    assert call(["report", str(folder)]) == 0
    assert (folder / "report.html").read_bytes() == before
    bare = tmp_path / "bare"
    path = str(network(tmp_path))
    assert call(["contingency", path, "--out", str(bare), "--no-report"]) == 0
    assert not (bare / "report.html").exists()
    assert call(["report", str(bare)]) == 0
    assert (bare / "report.html").is_file()


def test_the_slide_is_one_page_and_the_same_each_time(folder: Path) -> None:
    assert call(["report", str(folder), "--slide"]) == 0
    files = [folder / "slide.pdf", folder / "slide.png"]
    made = [file.read_bytes() for file in files]
    assert made[0].count(b"/Type /Page ") == 1
    assert call(["report", str(folder), "--slide"]) == 0
    assert [file.read_bytes() for file in files] == made


@pytest.mark.parametrize(
    ("file", "damage", "says"),
    [
        ("failures.csv", "policy,failure\n", "has no column 'worst_link'"),
        ("worst_cases.csv", "policy,link\n", "has no column 'worst_failure'"),
        ("topology.json", "[]", "cannot be read"),
        ("scenario.yaml", "{", "cannot be read"),
        ("scenario.yaml", "name: x\n", "cannot be read"),
    ],
)
def test_damaged_folders_are_refused_in_one_line(
    tmp_path: Path, folder: Path, file: str, damage: str, says: str
) -> None:
    import shutil

    other = tmp_path / "out"
    shutil.copytree(folder, other)
    (other / file).write_text(damage)
    sealed(other)
    with pytest.raises(InputError) as error:
        ContingencyData.read(other, read_manifest(other))
    (problem,) = error.value.problems
    assert str(problem).startswith(f"{other / file}: ")
    assert says in str(problem)


def test_a_dated_contingency_tells_local_times(tmp_path: Path) -> None:
    path = network(tmp_path, policies=["last_value"])
    dates = ["--set", "demand.starts=2026-06-01T00:00+02:00"]
    out = tmp_path / "dated"
    assert call(["contingency", str(path), "--out", str(out), *dates]) == 0
    manifest = read_manifest(out)
    begin = pd.Timestamp(manifest["replay_starts"])
    for name in ("failures", "worst_cases"):
        table = pd.read_csv(out / f"{name}.csv")
        since = pd.to_timedelta(table["worst_start_s"], unit="s")
        assert pd.to_datetime(table["time"]).tolist() == (begin + since).tolist()
    dated = ContingencyData.read(out, manifest)
    assert dated.instant(300) == f"{begin + pd.Timedelta('5min'):%Y-%m-%d %H:%M}"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert len({row["worst_start_s"] for row in dated.cases("last_value")}) > 1
    for row in dated.cases("last_value"):
        assert dated.instant(row["worst_start_s"]) in page
    assert render(dated) == page
