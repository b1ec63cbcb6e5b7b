"""A network as SVG: sites as dots, each direction of a connection as a track of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from twin.report.html.markup import Html, tag, text
from twin.report.map.labels import MOST_NAMES, labels
from twin.report.map.layout import WIDE, Layout
from twin.topology.topology import Topology

_TRACK = 4.6
"""From the middle of a connection to the middle of a track."""
_SITE = 6.5
"""Radius of a site."""
_HEAD_AT = 0.66
"""Where on a track its arrow is."""


class Track(NamedTuple):
    """Where a link is drawn, from its source to its target."""

    x1: float
    y1: float
    x2: float
    y2: float


class DrawnLink(NamedTuple):
    """What a map shows of a link."""

    class_: str
    """Its level (``u0`` to ``u6``), ``unknown`` or ``down``."""
    title: str
    """What is said of it."""
    data: Mapping[str, object] = MappingProxyType({})
    """What the script of the page reads of it."""


def tracks(topology: Topology, layout: Layout) -> list[Track]:
    """Return the track of each link: on the right-hand side as seen from where it begins.

    Tracks of parallel links lie beside each other.
    """
    beside: Counter[tuple[int, int]] = Counter()
    drawn = []
    for source, target in topology.ends.tolist():
        place = 1 + 2 * beside[source, target]
        beside[source, target] += 1
        begin, end = layout.places[source], layout.places[target]
        length = float(np.hypot(*(end - begin))) or 1.0
        along = (end - begin) / length
        # With y downwards, this is a quarter turn to the right.
        right = np.array([-along[1], along[0]]) * _TRACK * layout.unit * place
        trim = along * min((_SITE + 2) * layout.unit, length / 4)
        drawn.append(Track(*(begin + right + trim).round(1), *(end + right - trim).round(1)))
    return drawn


def network(
    topology: Topology,
    layout: Layout,
    label: str,
    links: Sequence[DrawnLink],
) -> Html:
    """Return the picture of a network and its `links`; `label` says what it shows."""
    rows = zip(tracks(topology, layout), topology.link_names, links, strict=True)
    drawn = [_link(track, layout.unit, name, link) for track, name, link in rows]
    crowded = len(topology.sites) > MOST_NAMES
    return tag(
        "svg", *drawn, *_sites(topology, layout), class_="map crowded" if crowded else "map",
        viewBox=f"0 0 {WIDE} {layout.high:g}", role="img", aria_label=label,
        style=f"--unit:{layout.unit}",
    )  # fmt: skip


def _link(track: Track, unit: float, name: str, link: DrawnLink) -> Html:
    x1, y1, x2, y2 = track
    straight = f"M{x1:g} {y1:g}L{x2:g} {y2:g}"
    parts = [
        tag("title", text(f"{name}: {link.title}")),
        tag("path", d=straight, class_="hit"),
        tag("path", d=straight, class_="track"),
        tag("path", d=_head(track, unit), class_="head"),
        tag("path", d=_cross(track, unit), class_="cross"),
    ]
    return tag("g", *parts, class_=f"link {link.class_}", data_name=name, **link.data)


def _head(track: Track, unit: float) -> str:
    """Return a triangle that points where the traffic goes."""
    begin, end = np.array(track[:2]), np.array(track[2:])
    length = float(np.hypot(*(end - begin))) or 1.0
    along = (end - begin) / length
    across = np.array([-along[1], along[0]])
    size = min(7 * unit, length / 4)
    middle = begin + _HEAD_AT * (end - begin)
    corners = middle + along * size, middle + across * size * 0.7, middle - across * size * 0.7
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in corners) + "z"


def _cross(track: Track, unit: float) -> str:
    """Return the mark of a link that is down."""
    x, y = (track.x1 + track.x2) / 2, (track.y1 + track.y2) / 2
    size = 6 * unit
    return (
        f"M{x - size:.1f} {y - size:.1f}l{2 * size:.1f} {2 * size:.1f}"
        f"M{x - size:.1f} {y + size:.1f}l{2 * size:.1f} {-2 * size:.1f}"
    )


def _sites(topology: Topology, layout: Layout) -> list[Html]:
    drawn = []
    for site, (x, y), label in zip(
        topology.sites, layout.places.tolist(), labels(topology, layout), strict=True
    ):
        name = text(site.label or site.name)
        circle = tag("circle", tag("title", name), cx=f"{x:g}", cy=f"{y:g}",
                     r=f"{_SITE * layout.unit:g}", class_="site")  # fmt: skip
        at = {"x": f"{label.x:.1f}", "y": f"{label.y:.1f}"}
        drawn += [circle, tag("text", name, **at, text_anchor=label.anchor)]
    return drawn
