"""Topologies: every format gives the same network, and whatever is wrong has its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from twin.core.errors import InputError
from twin.topology.read import read_topology
from twin.topology.spec import TopologySpec
from twin.topology.topology import Topology

LINKS = [("A", "B", 1000.0, 2.0), ("B", "C", 500.0, 1.0), ("A", "C", None, None)]


def read(folder: Path, **keys: Any) -> Topology:
    return read_topology(TopologySpec.model_validate(keys), folder)


def put(folder: Path, name: str, text: str) -> dict[str, Any]:
    (folder / name).write_text(text)
    return {"path": name}


def graph() -> nx.Graph[str]:
    made: nx.Graph[str] = nx.Graph()
    for a, b, capacity, weight in LINKS:
        known = {"capacity_mbps": capacity, "weight": weight}
        made.add_edge(a, b, **{key: value for key, value in known.items() if value is not None})
    return made


def graphml(folder: Path) -> dict[str, Any]:
    nx.write_graphml(graph(), folder / "net.graphml")
    return {"path": "net.graphml"}


def node_link(folder: Path, edges: str) -> dict[str, Any]:
    data = nx.node_link_data(graph(), edges=edges)
    return put(folder, "net.json", json.dumps(data, indent=1))


def table(folder: Path) -> dict[str, Any]:
    rows = [f"{a},{b},{c or ''},{w or ''}" for a, b, c, w in LINKS]
    return put(folder, "net.csv", "\n".join(["a,b,capacity_mbps,weight", *rows]))


def sndlib_xml(folder: Path) -> dict[str, Any]:
    nodes = "".join(
        f'<node id="{n}"><coordinates><x>{i}</x><y>2.5</y></coordinates></node>\n'
        for i, n in enumerate("ABC")
    )
    links = ""
    for i, (a, b, capacity, weight) in enumerate(LINKS):
        installed = f"<preInstalledModule><capacity>{capacity}</capacity><cost>0</cost>"
        module = f"<addModule><capacity>40</capacity><cost>{weight}</cost></addModule>"
        links += f'<link id="L{i}"><source>{a}</source><target>{b}</target>'
        links += f"{installed}</preInstalledModule>" if capacity else ""
        links += f"<additionalModules>{module}</additionalModules>" if weight else ""
        links += "</link>\n"
    return put(
        folder,
        "net.xml",
        '<?xml version="1.0"?>\n<network xmlns="http://sndlib.zib.de/network" version="1.0">'
        f"<networkStructure><nodes>{nodes}</nodes><links>{links}</links></networkStructure>"
        "</network>",
    )


def sndlib_native(folder: Path) -> dict[str, Any]:
    links = "\n".join(
        f"  L{i} ( {a} {b} ) {c or 0:.2f} 0.00 0.00 0.00 ( {f'40.00 {w:.2f}' if w else ''} )"
        for i, (a, b, c, w) in enumerate(LINKS)
    )
    nodes = "\n".join(f"  {name} ( {i}.00 2.50 )" for i, name in enumerate("ABC"))
    return put(
        folder,
        "net.txt",
        f"?SNDlib native format; type: network; version: 1.0\n# a comment\n\nNODES (\n{nodes}\n)\n"
        f"LINKS (\n{links}\n)\nDEMANDS (\n  D1 ( A B ) 1 5.00 UNLIMITED\n)\n",
    )


def inline(_: Path) -> dict[str, Any]:
    keys = ("a", "b", "capacity_mbps", "weight")
    links = [dict(zip(keys, link, strict=True)) for link in LINKS]
    return {"links": [{k: v for k, v in link.items() if v is not None} for link in links]}


FORMATS = {
    "graphml": graphml,
    "edges": lambda folder: node_link(folder, "edges"),
    "links": lambda folder: node_link(folder, "links"),
    "csv": table,
    "sndlib-xml": sndlib_xml,
    "sndlib-native": sndlib_native,
    "scenario": inline,
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_network(name: str, tmp_path: Path) -> None:
    topology = read(tmp_path, **FORMATS[name](tmp_path))
    assert sorted(topology.site_names) == ["A", "B", "C"]
    links = {link.name: (link.capacity_mbps, link.weight, link.circuit) for link in topology.links}
    pairs = {name: link[:2] for name, link in links.items()}
    assert pairs == {
        "A>B": (1000, 2), "B>A": (1000, 2), "B>C": (500, 1), "C>B": (500, 1),
        "A>C": (float("inf"), 1), "C>A": (float("inf"), 1),
    }  # fmt: skip
    assert links["A>B"][2] == links["B>A"][2] != links["B>C"][2]
    assert topology.notes == ()
    if name.startswith("sndlib"):
        assert [(site.x, site.y) for site in topology.sites] == [(0, 2.5), (1, 2.5), (2, 2.5)]


def test_directed_links_and_parallel_ones(tmp_path: Path) -> None:
    made = nx.MultiDiGraph([("A", "B"), ("A", "B"), ("B", "A"), ("B", "C")])
    nx.write_graphml(made, tmp_path / "net.graphml")
    topology = read(tmp_path, path="net.graphml")
    names = {link.name: link.circuit for link in topology.links}
    assert set(names) == {"A>B", "A>B#2", "B>A", "B>C"}
    assert names["A>B"] == names["B>A"] != names["A>B#2"]
    assert topology.notes == ("not every site can reach every other; cut off from the rest: C",)


def test_paths_may_add_up_hops_or_kilometres_instead_of_weights(tmp_path: Path) -> None:
    known = put(
        tmp_path, "net.csv", "a,b,capacity_mbps,weight,length_km\nA,B,100,7,50\nB,C,100,,20\n"
    )
    assert read(tmp_path, **known).weights.tolist() == [7, 7, 1, 1]
    assert read(tmp_path, **known, weights="hops").weights.tolist() == [1, 1, 1, 1]
    assert read(tmp_path, **known, weights="length").weights.tolist() == [50, 50, 20, 20]
    links = [{"a": "A", "b": "B", "length_km": 0}, {"a": "B", "b": "C"}]
    with pytest.raises(InputError) as raised:
        read(tmp_path, links=links, weights="length")
    assert "no length above 0 of 4 links: A>B, B>A, B>C, ...; state 'length_km'" in str(
        raised.value
    )


def test_topohub_has_networks_by_name(tmp_path: Path) -> None:
    pytest.importorskip("topohub")
    topology = read(tmp_path, topohub="sndlib/polska")
    assert len(topology.sites) == 12
    assert len(topology.links) == 36
    assert all(site.x is not None for site in topology.sites)
    assert "Gdansk>Warsaw" in topology.link_names
    for name in ("sndlib/nowhere", "../data/sndlib/polska"):
        with pytest.raises(InputError, match=f"there is no '{name}'"):
            read(tmp_path, topohub=name)


CSV = "a,b,capacity_mbps,weight\n"
XML = '<?xml version="1.0"?>\n'
WRONG = {
    "an unknown column": ("n.csv", "a,b,capacity\nA,B,1", "n.csv:1: has no meaning: column "
        "'capacity'; did you mean 'capacity_mbps'?"),
    "no column": ("n.csv", "a,c\nA,B", "n.csv:1: no column 'b'; the columns are a,b,capacity_mbps,"
        "weight"),
    "cells": ("n.csv", CSV + "A,B,1\n", "n.csv:2: has 3 cells, the header 4"),
    "zero capacity": ("n.csv", CSV + "A,B,1,1\nB,C,0,1\n", "n.csv:3: capacity_mbps: '0' of link "
        "'B>C' is not above 0; leave it out where it is not limited, or leave the link out"),
    "no number": ("n.csv", CSV + "A,B,1,x\n", "n.csv:2: weight: 'x' of link 'A>B' is not "
        "a number"),
    "no weight": ("n.csv", CSV + "A,B,1,-1\n", "n.csv:2: weight: '-1' of link 'A>B' is not "
        "above 0; paths cost more than nothing; leave it out for a weight of 1"),
    "both ways": ("n.csv", CSV + "A,B,1,1\nB,A,1,1\n", "n.csv:3: 'B' and 'A' are there both ways, "
        "first in line 2; write 'directed: true' in the topology where each row is one direction, "
        "'directed: false' where these are two connections"),
    "an arrow": ("n.csv", CSV + "A>x,B,1,1\n", "n.csv:2: '>' in the name of site 'A>x' stands "
        "between the ends of a link; rename it"),
    "an unknown end": ("n.xml", XML + '<network><networkStructure><nodes><node id="Aachen"/>'
        '</nodes><links>\n<link id="l"><source>Aachen</source><target>Aachn</target></link></links>'
        "</networkStructure></network>", "n.xml:3: no site 'Aachn'; did you mean 'Aachen'?"),
    "no XML": ("n.graphml", "<graphml>\n<graph>\n<node id='a'>\n</graph></graphml>",
        "n.graphml:4: is not XML: mismatched tag"),
    "an entity": ("n.graphml", '<!DOCTYPE g [\n<!ENTITY a "aaaa">]>\n<graphml/>',
        "n.graphml:2: declares an entity; write what it stands for"),
    "another XML": ("n.xml", "\n<html/>", "n.xml:2: is not an SNDlib network: it begins "
        "with <html>"),
    "no JSON": ("n.json", '{"nodes": [],\n "edges": [}', "n.json:2: is not JSON: expecting "
        "value; write it with networkx.node_link_data"),
    "no nodes": ("n.json", '{"edges": []}', "n.json: has no list 'nodes'"),
    "a site of JSON": ("n.json", '{"nodes": [{"id": "A"},\n {"id": "A"}],\n"edges": '
        '[{"source": "A", "target": "A"}]}', "n.json:2: nodes.1: a second site is "
        "called 'A'; rename one"),
    "a link of JSON": ("n.json", '{"nodes": [{"id": "A"}, {"id": "B"}],\n"edges": [{"source": '
        '"A", "target": "B"},\n{"source": "A"}]}', "n.json:3: edges.1: has no 'target'"),
    "no links": ("n.json", '{"nodes": [{"id": "A"}], "edges": []}', "n.json: has no links; a "
        "network needs at least one"),
    "only loops": ("n.csv", "a,b\nA,A\n", "n.csv: has no link from a site to another; a network "
        "needs at least one"),
    "native, open": ("n.txt", "?SNDlib native format\nNODES (\n A ( 1 2 )\n", "n.txt:3: 'NODES' is "
        "not closed"),
    "native, short": ("n.txt", "NODES (\n A ( 1 2 )\n)\nLINKS (\n L ( A\n)\n)", "n.txt:5: link 'L' "
        "is cut short"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_has_its_line(what: str, tmp_path: Path) -> None:
    name, text, said = WRONG[what]
    put(tmp_path, name, text)
    with pytest.raises(InputError) as raised:
        read(tmp_path, path=name)
    assert str(raised.value.problems[0]).replace(f"{tmp_path}/", "") == said


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    put(tmp_path, "net.csv", CSV)
    with pytest.raises(InputError, match=r"no such file: 'nte.csv'; did you mean 'net.csv'\?"):
        read(tmp_path, path="nte.csv")


def test_what_looks_odd_is_said(tmp_path: Path) -> None:
    links = [{"a": "A", "b": "B"}, {"a": "C", "b": "D"}, {"a": "A", "b": "A"}]
    topology = read(tmp_path, links=links, sites={name: {} for name in "ABCDE"})
    assert topology.notes == (
        "1 link from a site to itself left out",
        "no link ends at 1 site: E",
        "not every site can reach every other; cut off from the rest: C, D",
    )
