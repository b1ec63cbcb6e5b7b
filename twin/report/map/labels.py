"""Where a map writes the names of sites, so that they hide little."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from twin.core.arrays import Floats
from twin.report.map.layout import WIDE, Layout
from twin.topology.topology import Topology

_LETTER = 8.8
"""Width of a letter, and half of the height of a line, where there is room."""
MOST_NAMES = 80
"""Sites of which all names are large; in a crowd they are small."""
_MOST_PLACED = 200
"""Sites whose names are placed; of more, each is above its site."""
_SIDES = ((0, -1, "middle"), (1, 0, "start"), (-1, 0, "end"), (0, 1, "middle"), (1, -1, "start"),
          (-1, -1, "end"), (1, 1, "start"), (-1, 1, "end"))  # fmt: skip
"""Where a name may be: to which side, how far down, and how it is anchored there."""


class Label(NamedTuple):
    """Where a name is written."""

    x: float
    y: float
    """Of the line that letters stand on."""
    anchor: str


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: _Box) -> float:
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(wide, 0.0) * max(high, 0.0)


def labels(topology: Topology, layout: Layout) -> list[Label]:
    """Return where to write the name of each site: one after the other, where least is hidden."""
    if len(topology.sites) > _MOST_PLACED:
        above = 12 * layout.unit
        return [Label(x, y - above, "middle") for x, y in layout.places.tolist()]
    lines = _points_of_links(topology, layout)
    taken: list[_Box] = [_around(x, y, 8 * layout.unit) for x, y in layout.places.tolist()]
    placed = []
    for site, (x, y) in zip(topology.sites, layout.places.tolist(), strict=True):
        wide = len(site.label or site.name) * _LETTER * layout.unit
        tried = [_place(x, y, wide, layout.unit, side) for side in _SIDES]
        best = min(range(len(tried)), key=lambda i: (_hidden(tried[i][1], taken, lines, layout), i))
        label, box = tried[best]
        taken.append(box)
        placed.append(label)
    return placed


def _points_of_links(topology: Topology, layout: Layout) -> Floats:
    """Return points along all connections, [points, 2]."""
    ends = layout.places[topology.ends]
    shares = np.linspace(0.05, 0.5, 10)[:, None, None]
    return np.asarray((ends[:, 0] + shares * (ends[:, 1] - ends[:, 0])).reshape(-1, 2))


def _around(x: float, y: float, size: float) -> _Box:
    return _Box(x - size, y - size, x + size, y + size)


def _place(
    x: float, y: float, wide: float, unit: float, side: tuple[int, int, str]
) -> tuple[Label, _Box]:
    across, down, anchor = side
    high = 2 * _LETTER * unit
    near = 11 * unit
    at_x = x + across * (near if down == 0 else near * 0.7)
    base = y + down * near + (0 if down < 0 else high * 0.7 if down else high * 0.3)
    left = at_x - {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
    return Label(at_x, base, anchor), _Box(left, base - high * 0.75, left + wide, base + high * 0.2)


def _hidden(box: _Box, taken: list[_Box], lines: Floats, layout: Layout) -> float:
    """Return how much a name at `box` would hide, in units of area."""
    outside = max(-box.left, box.right - WIDE, -box.top, box.bottom - layout.high, 0.0)
    crossed = (
        (lines[:, 0] > box.left) & (lines[:, 0] < box.right)
        & (lines[:, 1] > box.top) & (lines[:, 1] < box.bottom)
    )  # fmt: skip
    own = sum(box.overlap(other) for other in taken)
    # What is cut off cannot be read at all: no crowd inside is as bad.
    return 10_000 * outside + 3 * own + 30 * float(crossed.sum())
