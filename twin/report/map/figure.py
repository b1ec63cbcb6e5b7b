"""The map as a figure that a reader asks: which policy, which time, which failure, which link.

The script of the page (`map.js`) answers from what each link holds. Without it, one state is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twin.report.html.markup import Html, tag, text
from twin.report.map.drawing import DrawnLink, network
from twin.report.map.layout import layout
from twin.report.map.levels import LEVELS, legend_of_levels
from twin.topology.topology import Topology

CAPACITY: Final = "c"
"""Stands for the capacity where a map is held against the number of a policy."""


def choice(label: str, name: str, options: Sequence[Html]) -> Html:
    """Return a list to choose from; `name` is what the script knows it by."""
    return tag("label", text(f"{label} "), tag("select", *options, data_map=name))


def against(policies: Sequence[str]) -> Html:
    """Return what loads are held against: what a policy allocated, or the capacity."""
    options = [
        tag("option", text(f"allocation of {name}"), value=i, data_by=name)
        for i, name in enumerate(policies)
    ]
    options.append(tag("option", text("capacity"), value=CAPACITY))
    return choice("Load over", "against", options)


def map_figure(
    topology: Topology,
    label: str,
    links: Sequence[DrawnLink],
    controls: Sequence[Html],
    readout: str,
    instants: Sequence[str] = (),
    *,
    series: bool = False,
) -> Html:
    """Return the figure; `readout` is what it says until a reader asks for more.

    `instants` name the times that can be chosen; with `series` the page shows links over time, and
    a click on a link goes there.
    """
    placed = layout(topology)
    names = [
        tag("option", text(name), value=i)
        for i, (name, link) in enumerate(zip(topology.link_names, links, strict=True))
        if link.data
    ]
    names.insert(0, tag("option", text("none"), value=""))
    shown = [*controls, choice("Link", "link", names)]
    if series:
        face = text("Over time")
        shown.append(tag("button", face, type="button", data_map="series", disabled=True))
    caption = "Each line is one direction: traffic keeps right, and the arrow is where it goes. "
    caption += "Colour and width say how much of the limit is used."
    if not placed.stated:
        caption += " Not all coordinates of sites are known: they are placed by their links."
    return tag(
        "figure",
        tag("div", *shown, class_="controls", hidden=True),
        network(topology, placed, label, links),
        legend_of_levels(),
        tag("p", text(readout), class_="readout", aria_live="polite"),
        tag("figcaption", text(caption), class_="note"),
        class_="network",
        data_levels=" ".join(f"{level:g}" for level in LEVELS),
        data_labels="|".join(instants),
    )
