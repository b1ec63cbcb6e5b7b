"""A network as a picture of its own: SVG, which is as the map of a page, or PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from twin.core.arrays import Ints
from twin.report.html.page import shared
from twin.report.map.drawing import DrawnLink, network, tracks
from twin.report.map.labels import MOST_NAMES, labels
from twin.report.map.layout import WIDE, layout
from twin.report.map.levels import COLOURS, NAMES, WIDTHS
from twin.report.style import INK, new_figure, plot_style, save
from twin.topology.topology import Topology

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DOWN = "#888888"
_SVG = 'xmlns="http://www.w3.org/2000/svg"'


def svg(topology: Topology, label: str) -> str:
    """Return the map of a network as the text of an SVG file."""
    links = [DrawnLink("u2", _said(link.capacity_mbps)) for link in topology.links]
    picture = network(topology, layout(topology), label, links)
    style = f"<style>{shared('map.css')}</style>"
    head, _, rest = picture.partition(">")
    return f"{head.replace('<svg', f'<svg {_SVG}', 1)}>{style}{rest}\n"


def _said(capacity_mbps: float) -> str:
    return f"{capacity_mbps:,.10g} Mbit/s" if np.isfinite(capacity_mbps) else "unlimited"


def png(topology: Topology, file: Path | BinaryIO) -> None:
    """Write the map of a network as PNG."""
    placed = layout(topology)
    with plot_style():
        figure = new_figure(11, 11 * placed.high / WIDE)
        panel = figure.subplots()
        paint(panel, topology, np.full(len(topology.links), 2))
        save(figure, file)


def paint(panel: Axes, topology: Topology, levels: Ints, down: Sequence[int] = ()) -> None:
    """Draw a network on a panel of matplotlib, each link at its level, [links]."""
    placed = layout(topology)
    box = panel.get_window_extent().transformed(panel.figure.dpi_scale_trans.inverted())
    # How many points a unit of the map is on this panel.
    points = 72 * min(box.width / WIDE, box.height / placed.high)
    for i, track in enumerate(tracks(topology, placed)):
        look: dict[str, Any] = {"color": COLOURS[levels[i]], "linewidth": WIDTHS[levels[i]]}
        if i in down:
            look = {"color": _DOWN, "linewidth": 2, "linestyle": (0, (4, 3))}
        look["linewidth"] *= placed.unit * points
        panel.plot(
            [track.x1, track.x2], [track.y1, track.y2], solid_capstyle="butt", zorder=1, **look
        )
    x, y = placed.places.T
    size = (14 * placed.unit * points) ** 2
    panel.scatter(x, y, s=size, color="white", edgecolors=INK, linewidths=placed.unit, zorder=2)
    if len(topology.sites) <= MOST_NAMES:
        anchors = {"start": "left", "middle": "center", "end": "right"}
        for site, at in zip(topology.sites, labels(topology, placed), strict=True):
            panel.text(at.x, at.y, site.label or site.name, ha=anchors[at.anchor], va="baseline",
                       fontsize=5 + 6 * placed.unit, zorder=3)  # fmt: skip
    panel.set(xlim=(0, WIDE), ylim=(placed.high, 0), aspect="equal")
    panel.axis("off")


def add_legend(panel: Axes) -> None:
    """Write below a panel what the colours of links mean."""
    from matplotlib.lines import Line2D

    keys = [
        Line2D([], [], color=colour, linewidth=width * 0.75, label=name)
        for colour, width, name in zip(COLOURS, WIDTHS, NAMES, strict=True)
    ]
    keys.append(Line2D([], [], color=_DOWN, linestyle=(0, (4, 3)), label="down"))
    panel.legend(handles=keys, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=len(keys),
                 frameon=False, fontsize=11, handlelength=1.5, columnspacing=1.2)  # fmt: skip
