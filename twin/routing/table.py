"""From flows to links: a sparse matrix that depends on which links are down.

The load of the links is the matrix times the demand of the flows. Without a routing every flow is
a link's own, and nothing is multiplied.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from twin.core.arrays import Bools, Floats

if TYPE_CHECKING:
    from scipy import sparse


class Routing(Protocol):
    """How flows are carried."""

    links: tuple[str, ...]
    flows: tuple[str, ...]

    def matrix(self, down: Bools) -> sparse.csr_array[Any]:
        """Return the share of each flow on each link, [links, flows], given what is down."""


class RoutingTable:
    """Stated routings: the usual one, and others for certain sets of links that are down."""

    def __init__(
        self,
        links: Sequence[str],
        flows: Sequence[str],
        usual: ArrayLike,
        when_down: Mapping[Collection[str], ArrayLike] | None = None,
    ) -> None:
        """Take matrices [links, flows]; `when_down` has others, by the links that are down.

        Raises ValueError for a matrix of another shape, for a share that is negative or not
        finite, and for an unknown link.
        """
        self.links, self.flows = tuple(links), tuple(flows)
        self._usual = self._checked(usual)
        self._others: dict[frozenset[str], sparse.csr_array[Any]] = {}
        for names, matrix in (when_down or {}).items():
            if unknown := set(names) - set(self.links):
                raise ValueError(f"no link {sorted(unknown)[0]!r}")
            self._others[frozenset(names)] = self._checked(matrix)

    def _checked(self, matrix: ArrayLike) -> sparse.csr_array[Any]:
        shares = np.asarray(matrix, dtype=np.float64)
        if shares.shape != (len(self.links), len(self.flows)):
            expected = f"({len(self.links)}, {len(self.flows)})"
            raise ValueError(f"a routing matrix has shape {shares.shape}, not {expected}")
        if not (np.isfinite(shares).all() and (shares >= 0).all()):
            raise ValueError("a routing matrix has a share that is negative or not finite")
        # Links alone, which need no routing, are spared the import.
        from scipy import sparse

        return sparse.csr_array(shares)

    def matrix(self, down: Bools) -> sparse.csr_array[Any]:
        """Return the share of each flow on each link; the usual one where no other is stated."""
        names = frozenset(np.asarray(self.links)[down].tolist())
        return self._others.get(names, self._usual)


def lost(routing: Routing, matrix: sparse.csr_array[Any]) -> Floats:
    """Return the share of each flow that a matrix of `routing` has no path for, [flows].

    Where the routing does not say so itself: all of a flow that loads no link.
    """
    own = getattr(routing, "lost", None)
    if own is not None:
        return np.asarray(own(matrix))
    return np.where(np.asarray(matrix.sum(axis=0)) == 0, 1.0, 0.0)


def routed(matrix: sparse.csr_array[Any], flows: Floats) -> Floats:
    """Return the load of the links, [..., links], of flows [..., flows].

    A link is missing (NaN) where a flow that it carries is.
    """
    missing = np.isnan(flows)
    if not missing.any():
        return np.asarray((matrix @ flows.T).T)
    loads = np.asarray((matrix @ np.where(missing, 0.0, flows).T).T)
    lacking = np.asarray((matrix @ missing.astype(np.float64).T).T) > 0
    return np.where(lacking, np.nan, loads)
