"""GraphML, as networkx and the Topology Zoo write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from twin.core.errors import InputError, Problem
from twin.topology.parts import LinkPart, Place, SitePart
from twin.topology.xml import Element, parse_xml

COORDINATES = (("x", "longitude", "lon", "lng"), ("y", "latitude", "lat"))
"""Names of the attributes that hold coordinates, in lower case."""
LENGTHS = ("length_km", "dist", "length")


def read_graphml(data: bytes, file: Path) -> tuple[list[SitePart], list[LinkPart]]:
    """Return the sites and links of a GraphML file.

    A site is called what its id is; an attribute `label` is written beside it on maps. Raises
    InputError.
    """
    root = parse_xml(data, file)
    graph = root.first("graph") if root.tag == "graphml" else None
    if graph is None:
        what = f"is not GraphML: it begins with <{root.tag}>"
        raise InputError(Problem(what, "", file, root.line))
    keys = {
        key.attributes.get("id", ""): key.attributes.get("attr.name", key.attributes.get("id", ""))
        for key in root.all("key")
    }
    sites = []
    for node in graph.all("node"):
        known = _known(node, keys)
        x, y = (next((known[n] for n in names if n in known), None) for names in COORDINATES)
        name = node.attributes.get("id", "").strip()
        sites.append(SitePart(name, Place(file, node.line), known.get("label", ""), x, y))
    usual = graph.attributes.get("edgedefault") == "directed"
    links = []
    for edge in graph.all("edge"):
        known = _known(edge, keys)
        directed = edge.attributes.get("directed")
        links.append(
            LinkPart(
                edge.attributes.get("source", "").strip(),
                edge.attributes.get("target", "").strip(),
                Place(file, edge.line),
                usual if directed is None else directed == "true",
                known.get("capacity_mbps"),
                known.get("weight"),
                next((known[name] for name in LENGTHS if name in known), None),
            )
        )
    return sites, links


def _known(element: Element, keys: Mapping[str, str]) -> dict[str, str]:
    """Return what the `data` of a node or edge say, by name in lower case."""
    return {
        keys.get(data.attributes.get("key", ""), "").lower(): data.text.strip()
        for data in element.all("data")
        if data.text.strip()
    }
