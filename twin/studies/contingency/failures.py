"""The failures that a network is held against."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

from twin.core.arrays import Bools
from twin.topology.topology import Topology

NONE = "none"
"""Name of the network as it is."""


class Failure(NamedTuple):
    """Links that are down at once."""

    name: str
    down: Bools
    """[links]"""


def single_failures(topology: Topology) -> list[Failure]:
    """Return every connection, every site and every risk group, each down by itself.

    A connection is named by its links, a site and a group by their own names.
    """
    sites = [Failure(name, topology.at_site(name)) for name in topology.site_names]
    names = np.asarray(topology.link_names)
    groups = [
        Failure(group, np.isin(names, links)) for group, links in topology.risk_groups.items()
    ]
    return [*_circuits(topology), *sites, *groups]


def pair_failures(topology: Topology) -> list[Failure]:
    """Return every two connections that are down at once."""
    names = np.asarray(topology.link_names)
    pairs = (one.down | other.down for one, other in combinations(_circuits(topology), 2))
    return [Failure(_joined(names[down].tolist()), down) for down in pairs]


def _circuits(topology: Topology) -> list[Failure]:
    names = np.asarray(topology.link_names)
    circuit = np.array([link.circuit for link in topology.links])
    each = (circuit == number for number in range(int(circuit.max()) + 1))
    return [Failure(_joined(names[down].tolist()), down) for down in each]


def _joined(links: list[str]) -> str:
    return "+".join(sorted(links))


def sampled(failures: list[Failure], count: int, seed: int) -> list[Failure]:
    """Return `count` of the failures, drawn at random without returning any, in their order."""
    if count >= len(failures):
        return failures
    chosen = np.random.default_rng(seed).choice(len(failures), count, replace=False)
    return [failures[i] for i in sorted(chosen.tolist())]
