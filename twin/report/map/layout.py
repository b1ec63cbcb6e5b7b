"""Where a map draws the sites: at their coordinates, else where networkx lays them out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from twin.core.arrays import Floats
from twin.topology.topology import Topology

WIDE: Final = 1_000
"""Width of a map; its height depends on the network."""
_MARGIN: Final = 60
_FLATTEST, _TALLEST = 0.4, 0.72
"""Heights of a map, as shares of its width."""
_MOST_EXACT: Final = 120
"""Sites that are laid out by their distances, which takes long for many."""
_SEED: Final = 1
"""Of layouts, so that the same network is always drawn alike."""


@dataclass(frozen=True)
class Layout:
    """Places of sites on a map that is :data:`WIDE` units wide."""

    places: Floats
    """[sites, 2], x to the right and y downwards."""
    high: float
    """Height of the map."""
    stated: bool
    """Whether the places come from coordinates, all of them."""

    @cached_property
    def unit(self) -> float:
        """How large tracks, sites and letters are: 1 where there is room, less in a crowd."""
        room = math.sqrt(WIDE * self.high / max(len(self.places), 1))
        return round(min(max(room / 150, 0.35), 1.0), 2)


def layout(topology: Topology) -> Layout:
    """Return where to draw the sites of a network; the same network gives the same places."""
    known = [
        i for i, site in enumerate(topology.sites) if site.x is not None and site.y is not None
    ]
    if len(known) == len(topology.sites):
        raw, stated = _projected(topology, known), True
    else:
        raw, stated = _laid_out(topology, known), False
    places, high = _fitted(raw)
    return Layout(_apart(places, high), high, stated)


def _projected(topology: Topology, known: list[int]) -> Floats:
    """Return coordinates, [known sites, 2], with y downwards.

    What may be longitude and latitude is drawn with degrees of longitude as narrow as they are at
    the middle latitude.
    """
    raw = np.array([(topology.sites[i].x, topology.sites[i].y) for i in known], dtype=np.float64)
    raw = raw.reshape(-1, 2)
    if len(raw) and (np.abs(raw) <= (180, 90)).all():
        middle = (raw[:, 1].min() + raw[:, 1].max()) / 2
        raw[:, 0] *= max(math.cos(math.radians(middle)), 0.2)
    raw[:, 1] *= -1
    return raw


def _laid_out(topology: Topology, known: list[int]) -> Floats:
    """Return places from the links alone; sites whose coordinates are known keep to these."""
    import networkx as nx

    graph = nx.Graph(topology.graph().to_undirected())
    names = topology.site_names
    if len(known) >= 3:
        raw = _scaled(_projected(topology, known))
        fixed = {names[i]: tuple(raw[n]) for n, i in enumerate(known)}
        middle = tuple(raw.mean(axis=0))
        start = {name: fixed.get(name, middle) for name in names}
        laid = nx.spring_layout(graph, pos=start, fixed=list(fixed), seed=_SEED, weight=None)
    elif len(names) <= _MOST_EXACT and nx.is_connected(graph):
        laid = nx.kamada_kawai_layout(graph, weight=None)
    else:
        laid = nx.spring_layout(graph, seed=_SEED, iterations=100, weight=None)
    places = np.array([laid[name] for name in names], dtype=np.float64).reshape(-1, 2)
    return places if len(known) >= 3 else _lying(places)


def _lying(places: Floats) -> Floats:
    """Return places turned so that they spread to the sides, where a page has more room."""
    centred = places - places.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(centred @ axes.T) if len(axes) == 2 else centred


def _scaled(raw: Floats) -> Floats:
    low, high = raw.min(axis=0), raw.max(axis=0)
    return np.asarray((raw - low) / max(float((high - low).max()), 1e-9))


def _fitted(raw: Floats) -> tuple[Floats, float]:
    """Return places that fill the map, and its height."""
    size = np.maximum(raw.max(axis=0) - raw.min(axis=0), 1e-9)
    inner = WIDE - 2 * _MARGIN
    ratio = float(size[1] / size[0])
    high = round(min(max(inner * ratio + 2 * _MARGIN, _FLATTEST * WIDE), _TALLEST * WIDE))
    scale = min(inner / size[0], (high - 2 * _MARGIN) / size[1])
    if len(raw) > 1 and ratio < 1e-6:
        scale = inner / size[0]
    middle = (raw.max(axis=0) + raw.min(axis=0)) / 2
    return np.asarray((raw - middle) * scale + (WIDE / 2, high / 2)), float(high)


def _apart(places: Floats, high: float) -> Floats:
    """Return places of which no two hide each other: those too close are pushed apart."""
    least = min(28.0, 0.35 * math.sqrt(WIDE * high / max(len(places), 1)))
    moved, rng = places.copy(), np.random.default_rng(_SEED)
    for _ in range(60):
        apart = moved[:, None] - moved[None]
        distance = np.hypot(apart[..., 0], apart[..., 1])
        np.fill_diagonal(distance, np.inf)
        one, other = np.nonzero(distance < least)
        if not len(one):
            break
        away = apart[one, other] + rng.normal(0, 0.01, (len(one), 2))
        away /= np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-9)[:, None]
        push = 0.5 * (least - distance[one, other])[:, None] * away
        np.add.at(moved, one, push)
    low = np.array([_MARGIN / 2, _MARGIN / 2])
    inside: Floats = np.clip(moved, low, np.array([WIDE, high]) - low)
    return inside.round(1)
