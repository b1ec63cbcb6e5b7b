"""A topology as results keep it: node-link JSON, from which the very same one comes back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from twin.core.files import json_text
from twin.topology.topology import DirectedLink, Site, Topology

TOPOLOGY = "topology.json"


def topology_text(topology: Topology) -> str:
    """Return a topology as text, which networkx reads, and scenarios do as `topology: {path}`."""
    nodes = [
        _known(id=site.name, label=site.label or None, x=site.x, y=site.y)
        for site in topology.sites
    ]
    edges = [
        _known(
            source=link.source,
            target=link.target,
            key=link.name,
            capacity_mbps=None if math.isinf(link.capacity_mbps) else link.capacity_mbps,
            weight=link.weight,
            length_km=link.length_km,
            circuit=link.circuit,
            tags=list(link.tags) or None,
        )
        for link in topology.links
    ]
    groups = {name: list(links) for name, links in topology.risk_groups.items()}
    about = {"origin": topology.origin, "sha256": topology.digest, "risk_groups": groups}
    graph = {"directed": True, "multigraph": True, "graph": about, "nodes": nodes, "edges": edges}
    return json_text(graph)


def _known(**keys: object) -> dict[str, object]:
    return {key: value for key, value in keys.items() if value is not None}


def saved_topology(file: Path) -> Topology:
    """Return the topology in a file that holds what :func:`topology_text` returned.

    Raises OSError, and ValueError, LookupError or TypeError where it holds anything else.
    """
    graph = json.loads(file.read_text(encoding="utf-8"))
    about = graph["graph"]
    topology = Topology(
        tuple(
            Site(str(node["id"]), str(node.get("label", "")), _number(node, "x"),
                 _number(node, "y"))
            for node in graph["nodes"]
        ),
        tuple(_link(edge) for edge in graph["edges"]),
        {str(name): tuple(map(str, links)) for name, links in about["risk_groups"].items()},
        str(about["origin"]),
        str(about["sha256"]),
    )  # fmt: skip
    if len(topology.ends) != len(topology.links):
        raise ValueError("a link ends at no site")
    return topology


def _link(edge: dict[str, Any]) -> DirectedLink:
    capacity = _number(edge, "capacity_mbps")
    return DirectedLink(
        str(edge["key"]),
        str(edge["source"]),
        str(edge["target"]),
        math.inf if capacity is None else capacity,
        float(edge["weight"]),
        _number(edge, "length_km"),
        int(edge["circuit"]),
        tuple(map(str, edge.get("tags", ()))),
    )


def _number(entry: dict[str, Any], key: str) -> float | None:
    return float(entry[key]) if key in entry else None
