"""Routing without a topology: where the traffic of a link goes when it is down, as stated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from twin.core.arrays import Bools, Floats
from twin.core.recent import Recent

if TYPE_CHECKING:
    from scipy import sparse

_KEPT: Final = 64
"""Routings that are kept, of the states that were asked for last."""


class BackupRouting:
    """Links that are flows: each carries its own traffic, and when it is down its backups do.

    What would go to a link that is down goes to the backups of that link in turn, and so on, until
    it comes to a link that is up. What is left over on the way is unrouted, and so is what could
    only go round between links that are down.
    """

    def __init__(self, links: Sequence[str], backup: Mapping[str, Mapping[str, float]]) -> None:
        """Take the share of each link's traffic that goes to each other when it is down."""
        self.links = self.flows = tuple(links)
        place = {name: i for i, name in enumerate(self.links)}
        self._backup = {
            place[link]: [(place[name], share) for name, share in backups.items() if share]
            for link, backups in backup.items()
        }
        self._matrices: Recent[bytes, sparse.csr_array[Any]] = Recent(_KEPT)

    def matrix(self, down: Bools) -> sparse.csr_array[Any]:
        """Return the share of each flow on each link, [links, flows], given what is down."""
        return self._matrices.get(np.packbits(down).tobytes(), lambda: self._routed(down))

    def lost(self, matrix: sparse.csr_array[Any]) -> Floats:
        """Return the share of each flow that no link takes, [flows]."""
        left = 1.0 - np.asarray(matrix.sum(axis=0))
        # Shares that add up to all of it may differ from 1 by a last digit.
        return np.asarray(np.where(left < 1e-12, 0.0, left))

    def _routed(self, down: Bools) -> sparse.csr_array[Any]:
        from scipy import sparse

        shares = sparse.lil_array((len(self.links), len(self.flows)))
        for link in np.flatnonzero(~down).tolist():
            shares[link, link] = 1.0
        lost = self._with_a_way(down)
        place = {link: i for i, link in enumerate(lost)}
        up = {to: i for i, to in enumerate(np.flatnonzero(~down).tolist())}
        # From link to link among those that are down, T, and on to those that are up, A: what
        # comes to an end is A + T A + T T A + ..., that is (1 - T)^-1 A.
        among, on = np.zeros((len(lost), len(lost))), np.zeros((len(lost), len(up)))
        for link in lost:
            for to, share in self._backup[link]:
                if to in up:
                    on[place[link], up[to]] += share
                elif to in place:
                    among[place[link], place[to]] += share
        ends = np.linalg.solve(np.eye(len(lost)) - among, on) if lost else on
        links_up = list(up)
        for row, column in np.argwhere(ends > 0).tolist():
            shares[links_up[column], lost[row]] = ends[row, column]
        return sparse.csr_array(shares)

    def _with_a_way(self, down: Bools) -> list[int]:
        """Return the links that are down from which backups lead to a link that is up."""
        lost = [link for link in np.flatnonzero(down).tolist() if link in self._backup]
        found: set[int] = set()
        while True:
            more = {
                link
                for link in lost
                if link not in found
                and any(not down[to] or to in found for to, _ in self._backup[link])
            }
            if not more:
                return [link for link in lost if link in found]
            found |= more
