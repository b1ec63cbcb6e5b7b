"""Sites, and directed links between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.core.arrays import Bools, Floats, Ints

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, slots=True)
class Site:
    """A place where links end and traffic enters or leaves."""

    name: str
    label: str = ""
    """What a map writes beside it, where that is not its name."""
    x: float | None = None
    """Coordinates, of whatever projection: longitude and latitude in most files."""
    y: float | None = None


@dataclass(frozen=True, slots=True)
class DirectedLink:
    """One direction of a connection between two sites."""

    name: str
    source: str
    target: str
    capacity_mbps: float = float("inf")
    weight: float = 1.0
    """What a path over it costs, more than 0."""
    length_km: float | None = None
    circuit: int = 0
    """The two directions of one connection have the same number."""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Topology:
    """A network as it is built: nothing here ever changes."""

    sites: tuple[Site, ...]
    links: tuple[DirectedLink, ...]
    risk_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of links that fail together, by the name of the group."""
    origin: str = ""
    """Where it comes from, as reports name it."""
    digest: str = ""
    """SHA-256 of the file's bytes."""
    notes: tuple[str, ...] = ()
    """What was left out or looks odd, a sentence each."""

    @cached_property
    def site_names(self) -> tuple[str, ...]:
        """Names of the sites, in order."""
        return tuple(site.name for site in self.sites)

    @cached_property
    def link_names(self) -> tuple[str, ...]:
        """Names of the links, in order."""
        return tuple(link.name for link in self.links)

    @cached_property
    def ends(self) -> Ints:
        """Places of the two sites of each link, [links, 2]."""
        place = {name: i for i, name in enumerate(self.site_names)}
        pairs = [(place[link.source], place[link.target]) for link in self.links]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)

    @cached_property
    def weights(self) -> Floats:
        """Weight of each link, [links]."""
        return np.array([link.weight for link in self.links], dtype=np.float64)

    @cached_property
    def capacities(self) -> Floats:
        """Capacity of each link, Mbit/s, infinite where it is not limited, [links]."""
        return np.array([link.capacity_mbps for link in self.links], dtype=np.float64)

    def at_site(self, name: str) -> Bools:
        """Return which links begin or end at a site, [links]."""
        place = self.site_names.index(name)
        return np.asarray((self.ends == place).any(axis=1))

    def graph(self) -> nx.MultiDiGraph[str]:
        """Return it as a networkx graph, sites and links with what is known of them."""
        import networkx as nx

        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        for site in self.sites:
            graph.add_node(site.name, label=site.label or site.name, x=site.x, y=site.y)
        for link in self.links:
            known: dict[str, Any] = {
                "capacity_mbps": link.capacity_mbps,
                "weight": link.weight,
                "length_km": link.length_km,
            }
            graph.add_edge(link.source, link.target, key=link.name, **known)
        return graph


def capacities_of(topology: Topology | None) -> dict[str, float]:
    """Return the capacity of each link by name, Mbit/s; nothing without a topology."""
    return {} if topology is None else {link.name: link.capacity_mbps for link in topology.links}
