"""`twin data info` of a network: what it is like, what is odd with its line, and a picture."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import pytest
from small_network import network

from twin.cli.main import call
from twin.topology.describe import describe_network
from twin.topology.read import read_network, read_topology
from twin.topology.spec import TopologySpec

ODD = """a,b,capacity_mbps,weight
A,B,10000,1
B,C,10000,1
C,A,10000,2
A,B,10000,1
C,D,,1
D,E,400000000000,1
E,E,10,1
"""


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    file = tmp_path / "net.csv"
    file.write_text(ODD)
    return file


def test_a_network_is_described_with_what_a_failure_cuts_off(
    odd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["data", "info", str(odd)]) == 0
    said = capsys.readouterr().out
    assert "net.csv: 5 sites, 6 connections, 12 links" in said
    assert "Diameter: 3 hops, from A to E; by weight 4, from A to E" in said
    assert f"Warning: {odd}:5: another connection of A and B, first in line 2" in said
    assert f"Warning: {odd}:6: C>D has no capacity, as 6 others have: it is not limited" in said
    assert (
        f"Warning: {odd}:7: D>E has a capacity of 400,000,000,000 Mbit/s; is it in bit/s?" in said
    )
    assert f"Warning: {odd}:8: link E>E is from a site to itself: left out" in said
    assert [row.split()[:3] for row in said.splitlines() if row.startswith(" site   ")][1:] == [
        ["site", "C", "2"], ["site", "D", "1"],
    ]  # fmt: skip
    assert "connection   C>D+D>C         2    D, E" in said


@pytest.mark.parametrize("seed", range(3))
def test_diameter_bridges_and_articulation_points_are_those_of_networkx(seed: int) -> None:
    graph = nx.connected_watts_strogatz_graph(14, 3, 0.4, seed=seed)
    links = [{"a": f"s{a}", "b": f"s{b}"} for a, b in graph.edges]
    topology = read_topology(TopologySpec.model_validate({"links": links}), Path())
    described = describe_network(topology)
    assert described.hops.distance == nx.diameter(graph)
    cuts = {kind: set() for kind in ("connection", "site")}
    for cut in described.cuts:
        cuts[cut.kind].add(cut.name)
    bridges = {f"s{a}>s{b}+s{b}>s{a}" for a, b in nx.bridges(graph)}
    bridges = {"+".join(sorted(name.split("+"))) for name in bridges}
    assert cuts["connection"] == bridges
    assert cuts["site"] == {f"s{n}" for n in nx.articulation_points(graph)}
    for cut in described.cuts:
        if cut.kind == "site":
            left = graph.copy()
            left.remove_node(int(cut.name[1:]))
            sizes = sorted(map(len, nx.connected_components(left)))
            assert len(cut.sites) == sum(sizes[:-1])


def test_directions_and_sites_that_are_odd_have_their_lines(tmp_path: Path) -> None:
    nodes = [{"id": "A", "x": 1, "y": 2}, {"id": "B", "x": 1, "y": 2}, {"id": "C"}, {"id": "D"}]
    edges = [
        {"source": "A", "target": "B", "capacity_mbps": 10},
        {"source": "B", "target": "A", "capacity_mbps": 20},
        {"source": "B", "target": "C", "capacity_mbps": 20},
    ]
    file = tmp_path / "net.json"
    graph = {"directed": True, "nodes": nodes, "edges": edges}
    file.write_text(json.dumps(graph, indent=1))
    _, odd = read_network(file)
    said = [str(problem).removeprefix(f"{file}:") for problem in odd]
    lines = file.read_text().splitlines()
    assert [what.partition(": ")[2].partition(": ")[2] for what in said] == [
        "A>B and B>A differ in capacity or weight",
        "B>C has no link back",
        "site B is where A is",
        "site C has no coordinates, as others have",
        "no link ends at site D",
        "site D has no coordinates, as others have",
        "site C is cut off: not all can reach each other",
    ]
    assert all(lines[int(what.split(":")[0]) - 1].strip() == "{" for what in said)


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_a_network_is_drawn(odd: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"net.{ending}"
    assert call(["data", "info", str(odd), "--out", str(out)]) == 0
    start = b"<svg" if ending == "svg" else b"\x89PNG"
    assert out.read_bytes().startswith(start)


def test_a_scenario_is_described_with_its_network_and_groups(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = network(tmp_path, risk_groups={"all-of-B": ["A>B", "B>A", "B>C", "C>B"]})
    assert call(["data", "info", str(path)]) == 0
    said = capsys.readouterr().out
    assert "the scenario: 4 sites, 5 connections, 10 links" in said
    assert "risk group   all-of-B         1       B" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["net.csv", "--out", "net.jpg"], "--out: 'net.jpg' must end in .svg or .png"),
        (["net.csv", "--out", "no/net.svg"], "no/net.svg: --out: its folder is not there"),
        (["net.csv", "--set", "a=b"], "--set: does not go with the file of a network"),
        (["trace.csv", "--out", "net.svg"], "--out: there is no network in 'trace.csv' to draw"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_nothing_written(
    odd: Path, arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(odd.parent)
    Path("trace.csv").write_text("time,internet\n0,1\n300,2\n600,3\n")
    before = sorted(Path().iterdir())
    assert call(["data", "info", *arguments]) == 2
    assert capsys.readouterr().err.strip() == says
    assert sorted(Path().iterdir()) == before
