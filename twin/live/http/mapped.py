"""The network of a twin as a picture, whose links the page gives their colours."""

from __future__ import annotations

from twin.report.map.drawing import DrawnLink, network
from twin.report.map.layout import layout
from twin.topology.topology import Topology


def map_of(topology: Topology) -> str:
    """Return the map as SVG; laying it out takes a moment."""
    links = [DrawnLink("unknown", "") for _ in topology.links]
    label = f"Map of {len(topology.sites)} sites and {len(topology.links)} links"
    picture = network(topology, layout(topology), label, links)
    # It is read as a document of its own; and a page whose style is named by its digest takes no
    # attribute `style`.
    named = picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return named.replace('style="--unit:', 'data-unit="', 1)
