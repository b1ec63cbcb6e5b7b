"""A matrix of demands from what links carry: the nearest to a gravity model that explains it.

Let A be the shares of flows on links, with rows for what enters and leaves each site where that is
known, b what was counted, and g the gravity model. There are far more flows than equations, so of
all x >= 0 with A x = b the one nearest to g is taken, by the Kullback-Leibler distance

    D(x, g) = sum of x log(x / g) - x + g.

To second order that is the sum of (x - g)^2 / (2 g), the weighted least squares of tomogravity
(Zhang, Roughan, Duffield and Greenberg 2003). It needs no second step for demands below 0, and is
where iterative proportional fitting over all equations ends. Counters never agree to the last bit,
so what is minimised is

    D(x, g) + sum over rows of (A x - b)^2 / (2 s),    s = SLACK b,

which reproduces b where that is possible, and comes as near as possible where it is not. Its
minimum is x = g exp(A' u), where u minimises the convex function

    F(u) = sum of x  -  b u  +  sum of s u^2 / 2,    F' = A x - b + s u,    F'' = A diag(x) A' + s.

Newton's method finds u, for many ticks at a time.

Without totals of sites the gravity model is that of the matrix itself: g from the sums of x, and x
from g, in turn. Each turn lowers D(x, g), which for such a g is the mutual information between
where demand enters and where it leaves. Twice the step of a turn is taken, in logarithms: it gets
as far in half as many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.demand.gravity import divided, gravity, sums_by_site

if TYPE_CHECKING:
    from scipy import sparse

SLACK: Final = 1e-8
"""Variance of what is counted over that of the demands: next to none."""
_CLOSE: Final = 1e-7
"""A row is met when it is by this part of itself."""
_NEAR: Final = 1e-3
"""The same before the last turn."""
_STEPS: Final = 40
_HALVINGS: Final = 40
_TURNS: Final = 8
"""Turns between a matrix and the gravity model of its own sums."""
_FARTHEST: Final = 10.0
"""Most by which a turn changes the total of a site, as a factor beyond its own step."""
_REACH: Final = 2.0
"""Most by which a step raises the logarithm of a demand."""
_NOTHING: Final = 1e-12
"""What a demand is next to nothing below, over the greatest counter of its tick."""
_INDEPENDENT: Final = 1e-9
"""Least eigenvalue, over the greatest, of a combination of rows that says something."""
_CELLS: Final = 4_000_000
"""Cells of the Hessians that are held at a time."""


class Counted(NamedTuple):
    """What was counted, Mbit/s; NaN where it was not."""

    links: Floats
    """Load of each link, [ticks, links]."""
    entering: Floats
    """What enters the network at each site, [ticks, sites]."""
    leaving: Floats
    """What leaves it there, [ticks, sites]."""


@dataclass(frozen=True)
class Estimator:
    """Estimates flows from counters, given how the flows are carried."""

    shares: sparse.csr_array[Any]
    """Share of each flow on each link, [links, flows]."""
    link_ends: Ints
    """Sites where each link begins and ends, [links, 2]."""
    ends: Ints
    """Sites of each flow, [flows, 2]; the same one twice for what a site sends to itself."""
    sites: int

    def matrix(self) -> sparse.csr_array[Any]:
        """Return A: links, then what enters at each site, then what leaves, [rows, flows]."""
        from scipy import sparse

        place, one = np.arange(len(self.ends)), np.ones(len(self.ends))
        shape = (self.sites, len(self.ends))
        at_sites = [sparse.csr_array((one, (end, place)), shape=shape) for end in self.ends.T]
        return sparse.csr_array(sparse.vstack([self.shares, *at_sites]))

    def estimate(self, counted: Counted, *, fit_links: bool = True) -> Floats:
        """Return the demand of each flow, Mbit/s, [ticks, flows].

        Without `fit_links` it is the gravity model. Each tick follows from its own counters alone;
        what was not counted has no equation.
        """
        known = np.hstack(counted)
        rows = np.flatnonzero(~np.isnan(known).all(axis=0))
        system = System(self.matrix()[rows])
        at_once = max(1, _CELLS // max(system.rows**2, len(self.ends)))
        return np.concatenate(
            [
                self._block(
                    system,
                    Counted(*(each[first : first + at_once] for each in counted)),
                    known[first : first + at_once, rows],
                    fit_links,
                )
                for first in range(0, len(known), at_once)
            ]
        )

    def _block(self, system: System, counted: Counted, b: Floats, fit_links: bool) -> Floats:
        totals = self._first_totals(counted)
        prior = gravity(*totals, self.ends)
        lacking = np.isnan(np.hstack(counted[1:])).any(axis=1)
        if lacking.any():
            some = Counted(*(each[lacking] for each in counted))
            prior[lacking] = self._of_its_own_sums(system, some, b[lacking], prior[lacking])
        return system.nearest(b, prior) if fit_links else prior

    def _of_its_own_sums(
        self, system: System, counted: Counted, b: Floats, prior: Floats
    ) -> Floats:
        """Return the gravity model whose totals, where they are not counted, are the matrix's."""
        for _ in range(_TURNS):
            before = sums_by_site(prior, self.ends, self.sites)
            after = sums_by_site(system.nearest(b, prior, _NEAR), self.ends, self.sites)
            entering, leaving = (
                np.where(np.isnan(stated), _twice(old, new), stated)
                for stated, old, new in zip(counted[1:], before, after, strict=True)
            )
            prior = gravity(entering, leaving, self.ends)
        return prior

    def _first_totals(self, counted: Counted) -> tuple[Floats, Floats]:
        """Return what enters and leaves each site; where that is not known, all its links carry.

        That includes what only passes through, but is a start.
        """
        loads = np.nan_to_num(counted.links)
        carried = sums_by_site(loads, self.link_ends, self.sites)
        entering, leaving = (
            np.where(np.isnan(stated), on_links, stated)
            for stated, on_links in zip(counted[1:], carried, strict=True)
        )
        return entering, leaving


def _twice(old: Floats, new: Floats) -> Floats:
    """Return what is twice as far from `old` as `new` is, in logarithms."""
    return np.asarray(new * np.clip(divided(new, old), 1 / _FARTHEST, _FARTHEST))


class System:
    """The equations A x = b, and what Newton's method needs of A."""

    def __init__(self, matrix: sparse.csr_array[Any]) -> None:
        """Take A, [rows, flows]."""
        self.matrix = matrix
        self.rows = int(matrix.shape[0])
        self._products = _products(matrix)

    def left_open(self, prior: Floats) -> tuple[int, float]:
        """Return how many rows are independent, and the share of the variance that they leave open.

        `prior` [flows] is taken for the variance of each demand, G. Once A x is known, what is
        left of it is G - G A' (A G A')^-1 A G, whose trace is compared with that of G.
        """
        if not prior.any():
            return 0, 1.0
        curved = self.hessian(prior[None])[0]
        scale = divided(np.ones(self.rows), np.sqrt(np.diag(curved)))
        values, vectors = np.linalg.eigh(curved * scale[:, None] * scale)
        kept = values > _INDEPENDENT * values.max(initial=0.0)
        across = scale[:, None] * vectors[:, kept]
        explained = ((self.hessian(prior[None] ** 2)[0] @ across) * across).sum(axis=0)
        share = 1 - float((explained / values[kept]).sum() / prior.sum())
        return int(kept.sum()), min(max(share, 0.0), 1.0)

    def loads(self, flows: Floats) -> Floats:
        """Return A x, [ticks, rows], of flows [ticks, flows]."""
        return np.asarray((self.matrix @ flows.T).T)

    def hessian(self, flows: Floats) -> Floats:
        """Return A diag(x) A', [ticks, rows, rows]."""
        products = np.asarray((self._products @ flows.T).T)
        return products.reshape(len(flows), self.rows, self.rows)

    def nearest(self, counted: Floats, prior: Floats, close: float = _CLOSE) -> Floats:
        """Return the flows [ticks, flows] nearest to `prior` that explain `counted` [ticks, rows].

        A row that is NaN states nothing. Flows over a row of 0 are 0. Rows are met to a part
        `close` of themselves, where they can be.
        """
        known = np.nan_to_num(counted)
        scale = known.max(axis=1, keepdims=True)
        b, start = divided(known, scale), divided(prior, scale)
        over_nothing = (counted == 0).astype(np.float64) @ self.matrix > 0
        start = np.where(over_nothing, 0.0, start)
        stated = (b > 0) & (self.loads(start) > 0)
        return np.asarray(_Newton(self, b, start, stated, close).flows() * scale)


def _products(matrix: sparse.csr_array[Any]) -> sparse.csr_array[Any]:
    """Return A_if A_jf as a matrix [rows x rows, flows]: times x it is A diag(x) A'."""
    from scipy import sparse

    columns = sparse.csc_array(matrix)
    rows, flows = matrix.shape
    entries = np.diff(columns.indptr)
    # Each entry of a column is paired with every entry of that column.
    partners = np.repeat(entries, entries)
    left = np.repeat(np.arange(columns.nnz), partners)
    place = np.arange(len(left)) - np.repeat(np.cumsum(partners) - partners, partners)
    right = np.repeat(np.repeat(columns.indptr[:-1], entries), partners) + place
    flow = np.repeat(np.repeat(np.arange(flows), entries), partners)
    cell = columns.indices[left].astype(np.int64) * rows + columns.indices[right]
    values = columns.data[left] * columns.data[right]
    return sparse.csr_array((values, (cell, flow)), shape=(rows**2, flows))


class _Newton:
    """Newton's method on F for many ticks; arrays are [ticks, ...], of those still to be solved."""

    def __init__(
        self, system: System, b: Floats, prior: Floats, stated: Bools, close: float
    ) -> None:
        self._system, self._close = system, close
        self._b, self._prior, self._stated = np.where(stated, b, 0.0), prior, stated
        self._u = np.zeros_like(b)
        self._solved = prior.copy()
        self._open = np.arange(len(b))

    def flows(self) -> Floats:
        """Return the flows at the minimum, [ticks, flows]."""
        for _ in range(_STEPS):
            x = self._flows(self._u)
            slope = self._slope(x)
            self._solved[self._open] = x
            far = np.asarray((np.abs(slope) > self._close * self._b).any(axis=1))
            if not far.any():
                break
            self._keep(far)
            self._step(x[far], slope[far])
        return self._solved

    def _keep(self, ticks: Bools) -> None:
        self._open, self._u = self._open[ticks], self._u[ticks]
        self._b, self._prior = self._b[ticks], self._prior[ticks]
        self._stated = self._stated[ticks]

    def _flows(self, u: Floats) -> Floats:
        with np.errstate(over="ignore"):
            return np.asarray(self._prior * np.exp(u @ self._system.matrix))

    def _slope(self, x: Floats) -> Floats:
        missed = self._system.loads(x) - self._b + SLACK * self._b * self._u
        return np.where(self._stated, missed, 0.0)

    def _value(self, x: Floats, u: Floats) -> Floats:
        rows = self._b * u * (SLACK * u / 2 - 1)
        return np.asarray(x.sum(axis=1) + rows.sum(axis=1))

    def _step(self, x: Floats, slope: Floats) -> None:
        """Move u by Newton's step, shortened until F falls as it should."""
        move = self._newton(x, slope)
        # Of demands that are next to nothing already no step makes much.
        grows = np.where(x > _NOTHING, move @ self._system.matrix, 0.0)
        reach = grows.max(axis=1)
        length = np.minimum(1.0, _REACH / np.maximum(reach, 1e-300))
        value, fall = self._value(x, self._u), (slope * move).sum(axis=1)
        rounding = 1e-11 * np.maximum(np.abs(value), 1.0)
        for _ in range(_HALVINGS):
            u = self._u + length[:, None] * move
            high = self._value(self._flows(u), u) > value + 1e-4 * length * fall + rounding
            if not high.any():
                break
            length = np.where(high, length / 2, length)
        self._u = u

    def _newton(self, x: Floats, slope: Floats) -> Floats:
        """Return -F' / F'', rows scaled by their b so that the diagonal is about 1."""
        scale = divided(self._stated.astype(np.float64), np.sqrt(self._b))
        curved = self._system.hessian(x) * scale[:, :, None] * scale[:, None, :]
        place = np.arange(self._system.rows)
        curved[:, place, place] += np.where(self._stated, SLACK, 1.0)
        return np.asarray(-scale * np.linalg.solve(curved, (scale * slope)[:, :, None])[:, :, 0])
