"""Node-link JSON, as networkx and topohub write it, with `edges` or `links`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from twin.core.errors import InputError, Problem, show
from twin.core.text import parse_json
from twin.topology.parts import LinkPart, Place, SitePart


def read_node_link(data: bytes, file: Path) -> tuple[list[SitePart], list[LinkPart]]:
    """Return the sites and links of a node-link file. Raises InputError."""
    graph = parse_json(data, file, "write it with networkx.node_link_data")
    lines = _Lines(data)
    return node_link_parts(graph, file, lines)


class _Lines:
    """Lines of the entries of a JSON file, found when the first is asked for: JSON is YAML."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._lines: dict[tuple[str, int], int] | None = None

    def __call__(self, key: str, entry: int) -> int | None:
        if self._lines is None:
            self._lines = {}
            try:
                root = yaml.compose(self._data.decode(), Loader=yaml.CSafeLoader)
            except (yaml.YAMLError, AttributeError):
                return None
            for name, value in getattr(root, "value", ()):
                if isinstance(value, yaml.SequenceNode):
                    for i, item in enumerate(value.value):
                        self._lines[name.value, i] = item.start_mark.line + 1
        return self._lines.get((key, entry))


def node_link_parts(
    graph: Any, file: Path | None, lines: _Lines | None = None
) -> tuple[list[SitePart], list[LinkPart]]:
    """Return the sites and links of a node-link graph as Python has it. Raises InputError."""
    if not isinstance(graph, Mapping):
        raise InputError(Problem(f"holds {show(graph)}, not a graph", "", file))
    edges = "edges" if "edges" in graph else "links"
    for key in ("nodes", edges):
        entries = graph.get(key)
        if not isinstance(entries, Sequence) or isinstance(entries, str):
            what = f"has no list '{key}'" if key == "nodes" else "has no list 'edges' or 'links'"
            raise InputError(Problem(what, "", file))
        for i, entry in enumerate(entries):
            wanted = ("id",) if key == "nodes" else ("source", "target")
            lacking = [
                name for name in wanted if not isinstance(entry, Mapping) or name not in entry
            ]
            if lacking:
                line = lines(key, i) if lines is not None else None
                raise InputError(Problem(f"has no '{lacking[0]}'", (key, i), file, line))
    directed = bool(graph.get("directed"))

    def at(key: str, i: int) -> Place:
        return Place(file, partial(lines, key, i) if lines is not None else None, (key, i))

    sites = [
        SitePart(_name(node["id"]), at("nodes", i), str(node.get("label", node.get("name", ""))),
                 *_coordinates(node))
        for i, node in enumerate(graph["nodes"])
    ]  # fmt: skip
    links = [
        LinkPart(
            _name(edge["source"]),
            _name(edge["target"]),
            at(edges, i),
            directed,
            edge.get("capacity_mbps"),
            edge.get("weight"),
            edge.get("length_km", edge.get("dist")),
        )
        for i, edge in enumerate(graph[edges])
    ]
    return sites, links


def _name(value: Any) -> str:
    return value.strip() if isinstance(value, str) else json.dumps(value)


def _coordinates(node: Mapping[str, Any]) -> tuple[Any, Any]:
    position = node.get("pos")
    if isinstance(position, Sequence) and not isinstance(position, str) and len(position) == 2:
        return position[0], position[1]
    return node.get("x", node.get("lon")), node.get("y", node.get("lat"))
