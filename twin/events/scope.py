"""What an event is compiled for: the links, flows and sites that there are, and names of them."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BeforeValidator

from twin.core.arrays import Bools, Floats
from twin.core.text import ARROW

if TYPE_CHECKING:
    from twin.topology.topology import Topology

Targets = Literal["all"] | tuple[str, ...]
Acted = Literal["links", "flows", "sites", "groups", "policies"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What an event is compiled for."""

    links: tuple[str, ...]
    flows: tuple[str, ...]
    """Demand series: the links themselves, or what is routed over them."""
    horizon: float
    """End of the replay, seconds from its start; infinite in a live simulation."""
    seed: int
    key: str
    """Unique among the events of a simulation."""
    topology: Topology | None = None
    capacity: Floats | None = None
    """Of each link as it is stated, Mbit/s, infinite where it is not, [links]."""
    policies: tuple[str, ...] = ()

    @property
    def routed(self) -> bool:
        """Whether flows are routed over links, and not links themselves."""
        return self.flows != self.links

    def known(self, what: Acted) -> tuple[str, ...]:
        """Return the names of all links, flows, sites or groups that there are."""
        if what == "links":
            return self.links
        if what == "flows":
            return self.flows
        if what == "policies":
            return self.policies
        if self.topology is None:
            return ()
        return self.topology.site_names if what == "sites" else tuple(self.topology.risk_groups)

    def mask(self, names: Targets) -> Bools:
        """Return which links `names` stands for, [links]."""
        return _mask(self.links, names)

    def flow_mask(self, names: Targets) -> Bools:
        """Return which flows `names` stands for, [flows]."""
        return _mask(self.flows, names)

    def at_sites(self, names: Targets) -> Bools:
        """Return the links that end at any of the sites `names`, [links]."""
        sites = set(named(self.known("sites"), names))
        links = self.topology.links if self.topology is not None else ()
        touched = {link.name for link in links if {link.source, link.target} & sites}
        return np.isin(self.links, list(touched))

    def between(
        self,
        sites: tuple[str, ...] | None,
        origins: tuple[str, ...] | None,
        ends: tuple[str, ...] | None,
    ) -> Bools:
        """Return the flows at `sites` that go from `origins` to `ends`, [flows]; None: any."""
        known = self.known("sites")
        at, out, into = (
            set(named(known, "all" if names is None else names)) for names in (sites, origins, ends)
        )
        pairs = [flow.partition(ARROW)[::2] for flow in self.flows]
        return np.array([(a in at or b in at) and a in out and b in into for a, b in pairs])

    def in_groups(self, names: Targets) -> Bools:
        """Return the links of the risk groups `names`, [links]."""
        groups = self.topology.risk_groups if self.topology is not None else {}
        chosen = named(self.known("groups"), names)
        return np.isin(self.links, [link for name in chosen for link in groups[name]])


def unknown(known: tuple[str, ...], names: Targets) -> list[str]:
    """Return the names, or patterns such as ``core-*``, that stand for nothing known."""
    return [] if names == "all" else [name for name in names if not named(known, (name,))]


def named(known: tuple[str, ...], names: Targets) -> list[str]:
    """Return the known names that `names` stand for; a name as it is comes before a pattern."""
    if names == "all":
        return list(known)
    exact = set(known)
    return [
        each
        for name in names
        for each in ([name] if name in exact else fnmatch.filter(known, name))
    ]


def _mask(known: tuple[str, ...], names: Targets) -> Bools:
    if names == "all":
        return np.ones(len(known), dtype=np.bool_)
    return np.isin(known, named(known, names))


def names_of(what: str) -> BeforeValidator:
    """Return what reads names, of links or sites for example, one or several.

    `what` is the word for one of them. Of links and policies there may be all.
    """
    plural = "policies" if what == "policy" else f"{what}s"
    all_too = what in ("link", "policy")
    several = f"'all' or a list of {plural}" if all_too else f"a list of {plural}"

    def read(value: Any) -> Any:
        if isinstance(value, str):
            return value if all_too and value == "all" else (value,)
        if not isinstance(value, list | tuple) or any(
            isinstance(i, dict | list | None) for i in value
        ):
            raise ValueError(f"must be {several}")
        if not value:
            raise ValueError(f"names no {what}; write {several}")
        return tuple(str(item) for item in value)

    return BeforeValidator(read)
