"""The map: the same network is always drawn alike, each direction on its own side."""

from __future__ import annotations

import re
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from pages import read

from twin.report.html.markup import Html
from twin.report.html.page import shared
from twin.report.map.drawing import DrawnLink, network, tracks
from twin.report.map.labels import labels
from twin.report.map.layout import WIDE, layout
from twin.report.map.levels import COLOURS, LEVELS, NAMES, WIDTHS, levels_of
from twin.report.map.picture import png, svg
from twin.topology.read import read_topology
from twin.topology.saved import saved_topology, topology_text
from twin.topology.spec import TopologySpec
from twin.topology.topology import Topology

RING = [("A", "B"), ("B", "C"), ("C", "D"), ("D", "A")]
PLACES = {"A": (0, 10), "B": (20, 10), "C": (20, 0), "D": (0, 0)}


def topology(edges: list[tuple[str, str]], places: dict[str, tuple[float, float]]) -> Topology:
    names = dict.fromkeys(end for edge in edges for end in edge)
    sites = {n: dict(zip("xy", places[n], strict=True)) if n in places else {} for n in names}
    links = [{"a": a, "b": b} for a, b in edges]
    spec = TopologySpec.model_validate({"sites": sites, "links": links})
    return read_topology(spec, Path())


def test_coordinates_keep_their_shape_with_north_up() -> None:
    placed = layout(topology(RING, {n: (x * 100, y * 100) for n, (x, y) in PLACES.items()}))
    a, b, c, d = placed.places
    assert placed.stated
    assert a[1] < d[1]
    assert a[0] < b[0]
    assert np.hypot(*(a - b)) == pytest.approx(2 * np.hypot(*(b - c)), rel=0.01)
    inside = (placed.places >= 0).all() and (placed.places <= [WIDE, placed.high]).all()
    assert inside


def test_longitudes_are_as_narrow_as_they_are_there() -> None:
    north = {name: (x, y + 55) for name, (x, y) in PLACES.items()}
    a, b, c, _ = layout(topology(RING, north)).places
    wide, high = np.hypot(*(a - b)), np.hypot(*(b - c))
    assert wide / high == pytest.approx(2 * np.cos(np.radians(60)), rel=0.01)


@pytest.mark.parametrize("known", [0, 3])
def test_without_coordinates_sites_are_laid_out_alike_each_time(known: int) -> None:
    places = dict(list(PLACES.items())[:known])
    ways = [*RING, ("A", "E"), ("E", "F")]
    one, again = layout(topology(ways, places)), layout(topology(ways, places))
    assert not one.stated
    assert (one.places == again.places).all()
    gaps = np.hypot(*(one.places[:, None] - one.places[None]).transpose(2, 0, 1))
    assert gaps[np.triu_indices(6, 1)].min() > 20


def test_sites_at_one_place_do_not_hide_each_other() -> None:
    placed = layout(topology(RING, {**PLACES, "B": PLACES["A"]})).places
    assert np.hypot(*(placed[0] - placed[1])) > 20


def test_traffic_keeps_right_and_parallel_links_lie_beside_each_other() -> None:
    net = topology([("A", "B"), ("A", "B")], PLACES)
    drawn = dict(zip(net.link_names, tracks(net, layout(net)), strict=True))
    y = layout(net).places[0][1]
    # From west to east the right-hand side is the south: further down.
    assert y < drawn["A>B"].y1 < drawn["A>B#2"].y1
    assert y > drawn["B>A"].y1 > drawn["B>A#2"].y1
    assert drawn["A>B"].x1 < drawn["A>B"].x2
    assert drawn["B>A"].x1 > drawn["B>A"].x2


def test_names_hide_no_site() -> None:
    net = topology([(f"site-{a}", f"site-{b}") for a, b in nx.wheel_graph(9).edges], {})
    placed = layout(net)
    for label in labels(net, placed):
        assert 0 <= label.x <= WIDE
        assert 0 <= label.y <= placed.high + 1


def test_no_name_is_cut_off_at_the_edge() -> None:
    # Links to all sides but the west, where there is room for a name of five letters.
    places: dict[str, tuple[float, float]] = {"ny1.ny": (0, 0), "east": (12, 0)}
    places |= {f"{side}{i}": (i, 3 * y) for side, y in (("n", 1), ("s", -1)) for i in range(5)}
    net = topology([("ny1.ny", name) for name in places if name != "ny1.ny"], places)
    label = labels(net, layout(net))[0]
    wide = 8.8 * len("ny1.ny")
    assert label.x - {"start": 0, "middle": wide / 2, "end": wide}[label.anchor] >= 0


def test_levels_are_told_by_colour_and_width_and_a_met_limit_is_not_short() -> None:
    ratios = np.array([0, 0.25, 0.26, 0.95, 1.0, np.nextafter(1, 2), 1.6, np.inf, np.nan])
    assert levels_of(ratios).tolist() == [0, 0, 1, 3, 4, 5, 6, 6, 0]
    assert len(COLOURS) == len(WIDTHS) == len(NAMES) == len(LEVELS) + 1
    assert list(WIDTHS) == sorted(WIDTHS)
    style = shared("map.css")
    for i, (colour, width) in enumerate(zip(COLOURS, WIDTHS, strict=True)):
        name = rf"\.u{i}" if i else r"\.link"
        assert re.search(rf"{name} {{ color: {colour}; --wide: {width:g}; }}", style, re.IGNORECASE)


def test_a_picture_escapes_names_and_stands_alone(tmp_path: Path) -> None:
    net = topology([("<b", "a&b")], {})
    text = svg(net, "a <map>")
    assert text.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    read(text)
    assert "<b" not in text
    assert "a&amp;b" in text
    png(net, tmp_path / "net.png")
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")


def test_what_a_script_reads_is_on_each_link() -> None:
    net = topology(RING, PLACES)
    links = [DrawnLink("u1", "said", {"data_w0": "0.3"}) for _ in net.links]
    drawn: Html = network(net, layout(net), "label", links)
    assert drawn.count('data-w0="0.3"') == 8
    assert 'data-name="A&gt;B"' in drawn


def test_a_kept_topology_comes_back_the_very_same(tmp_path: Path) -> None:
    spec = TopologySpec.model_validate(
        {
            "sites": {"A": {"label": "Ä", "x": 1.5, "y": 2}, "B": {}},
            "links": [
                {"a": "A", "b": "B", "capacity_mbps": 10, "weight": 2.5, "length_km": 7},
                {"a": "A", "b": "B", "tags": ["leased"]},
            ],
        }
    )
    net = read_topology(spec, tmp_path, {"duct": ["A>B", "B>A#2"]})
    file = tmp_path / "topology.json"
    file.write_text(topology_text(net))
    again = saved_topology(file)
    assert again == net
    # Scenarios and networkx read it too.
    other = read_topology(TopologySpec.model_validate({"path": file.name}), tmp_path)
    assert other.link_names == net.link_names
    assert (other.capacities == net.capacities).all()
