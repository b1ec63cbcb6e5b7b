"""Reads the topology of a scenario: the one door to every format."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Literal

from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.units import counted
from twin.topology.graphml import read_graphml
from twin.topology.link_table import COLUMNS, read_link_table
from twin.topology.node_link import node_link_parts, read_node_link
from twin.topology.odd import odd_things
from twin.topology.parts import LinkPart, Place, SitePart, parted, topology_of, with_groups
from twin.topology.sndlib import read_sndlib_native, read_sndlib_xml
from twin.topology.spec import TopologySpec
from twin.topology.topology import Topology

PATH = ("topology", "path")
_START = 4_096
"""Bytes by which a format is told."""


def read_topology(
    spec: TopologySpec, folder: Path, groups: Mapping[str, Sequence[str]] | None = None
) -> Topology:
    """Return the topology that a scenario states; paths are relative to `folder`.

    `groups` are its groups of links that fail together. Raises InputError, with no file where the
    scenario itself is wrong.
    """
    if spec.path is not None:
        topology = _of_file(folder / spec.path, spec)
    elif spec.topohub is not None:
        topology = _of_topohub(spec.topohub)
    else:
        topology = _of_scenario(spec)
    return with_groups(_weighted(topology, spec.weights), groups or {})


def _weighted(topology: Topology, by: Literal["stated", "hops", "length"]) -> Topology:
    if by == "stated":
        return topology
    without = [link.name for link in topology.links if not link.length_km]
    if by == "length" and without:
        more = ", ..." if len(without) > 3 else ""
        what = (
            f"no length above 0 of {counted(len(without), 'link')}: {', '.join(without[:3])}{more}"
        )
        remedy = "state 'length_km' of every link, or 'weights: hops'"
        raise InputError(Problem(what, ("topology", "weights"), suggestion=remedy))
    weights = [1.0 if by == "hops" else link.length_km or 0.0 for link in topology.links]
    links = zip(topology.links, weights, strict=True)
    return replace(topology, links=tuple(replace(link, weight=weight) for link, weight in links))


def _of_file(path: Path, spec: TopologySpec) -> Topology:
    try:
        if not path.exists():
            siblings = path.parent.iterdir() if path.parent.is_dir() else ()
            hint = did_you_mean(path.name, sorted(sibling.name for sibling in siblings))
            raise InputError(Problem(f"no such file: '{spec.path}'", PATH, suggestion=hint))
        if not path.is_file():
            raise InputError(Problem(f"'{spec.path}' is not a file", PATH))
        data = path.read_bytes()
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", PATH)) from None
    sites, links = _parts(path, data, spec.directed)
    digest = hashlib.sha256(data).hexdigest()
    return topology_of(sites, links, origin=path.name, digest=digest, file=path)


def _parts(
    path: Path, data: bytes, directed: bool | None
) -> tuple[list[SitePart] | None, list[LinkPart]]:
    """Return the sites and links in a file; None for sites where it lists none."""
    match _kind(path, data):
        case "graphml":
            return read_graphml(data, path)
        case "json":
            return read_node_link(data, path)
        case "sndlib-xml":
            return read_sndlib_xml(data, path)
        case "sndlib-native":
            return read_sndlib_native(data, path)
        case _:
            return None, read_link_table(data, path, directed)


def read_network(path: Path, *, directed: bool | None = None) -> tuple[Topology, list[Problem]]:
    """Return the network in a file, and what is odd about it, a line each. Raises InputError."""
    data = path.read_bytes()
    sites, links = _parts(path, data, directed)
    digest = hashlib.sha256(data).hexdigest()
    topology = topology_of(sites, links, origin=path.name, digest=digest, file=path)
    return topology, list(odd_things(sites, links, parted(topology)))


def is_network(path: Path) -> bool:
    """Return whether a file holds a network, by its ending or how it begins. Raises OSError."""
    with path.open("rb") as stream:
        start = stream.read(_START)
    if _kind(path, start) != "csv":
        # A demand matrix of SNDlib is XML as well.
        return b"<demands" not in start or b"<links" in start
    header = start.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].decode(errors="replace")
    cells = {cell.strip() for cell in re.split("[,;\t]", header)}
    return set(COLUMNS[:2]) <= cells


def _kind(path: Path, data: bytes) -> str:
    """Return the format of a file, by its ending, or else by how it begins."""
    start = data[:_START].lstrip(b"\xef\xbb\xbf \t\r\n")
    if path.suffix == ".graphml" or (start.startswith(b"<") and b"<graphml" in start):
        return "graphml"
    if start.startswith(b"<"):
        return "sndlib-xml"
    if path.suffix == ".json" or start.startswith(b"{"):
        return "json"
    if start.startswith(b"?SNDlib") or b"NODES (" in start:
        return "sndlib-native"
    return "csv"


def _of_topohub(name: str) -> Topology:
    where = ("topology", "topohub")
    try:
        folder = resources.files("topohub") / "data"
    except ModuleNotFoundError:
        remedy = "pip install 'twin[topohub]', or name a file as 'path'"
        raise InputError(Problem("topohub is not installed", where, suggestion=remedy)) from None
    file = folder / f"{name}.json"
    if not re.fullmatch(r"\w[\w-]*(/\w[\w-]*)+", name) or not file.is_file():
        remedy = "see www.topohub.org for the names there, such as sndlib/germany50"
        raise InputError(Problem(f"there is no '{name}'", where, suggestion=remedy))
    data = file.read_bytes()
    sites, links = node_link_parts(json.loads(data), None)
    labels = {site.name: site.label for site in sites}
    if len(set(labels.values()) - {""}) == len(sites):
        # Its sites are numbered; their names say more, where they are unique.
        sites = [site._replace(name=site.label, label="") for site in sites]
        links = [link._replace(a=labels[link.a], b=labels[link.b]) for link in links]
    digest = hashlib.sha256(data).hexdigest()
    return topology_of(sites, links, origin=f"topohub, {name}", digest=digest)


def _of_scenario(spec: TopologySpec) -> Topology:
    sites = [
        SitePart(name, Place(where=("topology", "sites", name)), site.label, site.x, site.y)
        for name, site in spec.sites.items()
    ]
    links = [
        LinkPart(
            link.a, link.b, Place(where=("topology", "links", i)), bool(spec.directed),
            link.capacity_mbps, link.weight, link.length_km, link.tags,
        )
        for i, link in enumerate(spec.links)
    ]  # fmt: skip
    digest = hashlib.sha256(spec.model_dump_json().encode()).hexdigest()
    return topology_of(sites or None, links, origin="the scenario", digest=digest)
