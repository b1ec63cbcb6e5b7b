"""A margin in proportion, for rules that look back, where their decisions take time.

Such a rule (a maximum, a percentile) takes a base b from the past and adds a margin of its own,
which is made for the coming interval. Where a decision covers later ones, demand moves on
meanwhile. Let d be the demand of an interval and b the base of the decision in force there: the
margin is the quantile of d / b - 1 that only the share of intervals exceeds which the error budget
leaves (:mod:`twin.policy.budget`), and at least the rule's own. It is learnt from the history and
from each interval that closes, for each link: split conformal inference with the base as forecast.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from twin.core.arrays import Floats
from twin.forecast.windows import forward_filled
from twin.policy.base import History, Observation
from twin.policy.budget import ErrorBudget
from twin.policy.commitment import Commitment
from twin.policy.forecast_errors import WARM_UP
from twin.policy.histogram import WindowedQuantiles

Base = Callable[[Floats, Floats, Commitment], Floats]
"""What a rule takes from the past, Mbit/s, [links].

From the demand so far, [samples, links], the last that is known of each link, [links], and what a
decision covers.
"""


class RelativeMargin:
    """Allocations over what a rule takes from the past."""

    def __init__(self, history: History, least: float, base: Base) -> None:
        """Settle on the end of the history; `least` is the rule's own margin."""
        self._least, self._base = least, base
        terms, links = history.commitment, len(history.links)
        self._needed = terms.last > 0
        self._scores = WindowedQuantiles(np.full(links, WARM_UP))
        self._budget = ErrorBudget(history.sla_target, history.sla_intervals, terms.last)
        self._room = int(terms.last.max(initial=0)) + 2
        # Of each interval to come, in a ring: the base of its decision, and what it allocates.
        self._bases, self._allocations = np.full((2, self._room, links), np.nan)
        self._closed: int | None = None
        if self._needed.any():
            self._settle(history.demand_mbps, terms)

    def _settle(self, demand: Floats, terms: Commitment) -> None:
        held = terms.last - terms.first + 1
        start = len(demand) - min(WARM_UP, len(demand) // 2)
        known = forward_filled(demand[: max(start, 1)])[-1]
        for now in range(max(start, 1), len(demand)):
            decides = (now - start) % held == 0
            if decides.any():
                base = self._base(demand[:now], known, terms)
                self._write(now, base, terms._replace(open=decides))
            self._score(now, demand[now])
            known = np.where(np.isnan(demand[now]), known, demand[now])
        self._bases[:] = np.nan

    def cover(self, observation: Observation) -> Floats:
        """Return the allocation for the intervals that a decision covers, Mbit/s, [links]."""
        demand, terms = observation.demand_mbps, observation.commitment
        base = self._base(demand, observation.last_known_mbps, terms)
        if not self._needed.any():
            return np.asarray(base * (1 + self._least))
        now = len(demand)
        for closed in range(now if self._closed is None else self._closed, now):
            short = demand[closed] > self._allocations[closed % self._room]
            self._budget.learn(short, ~np.isnan(demand[closed]))
            self._score(closed, demand[closed])
        self._closed = now
        learnt = np.maximum(self._scores.quantiles(self._budget.share()), self._least)
        margin = np.where(self._needed, learnt, self._least)
        allocation = np.asarray(base * (1 + margin))
        self._write(now, base, terms, terms.granted(allocation))
        return allocation

    def _write(
        self, now: int, base: Floats, terms: Commitment, allocation: Floats | None = None
    ) -> None:
        """Note what a decision after `now` samples is over, for the intervals that it covers."""
        first, count = terms.span
        covered = terms.covered & terms.open
        for ahead in range(count):
            place = (now + first + ahead) % self._room
            np.copyto(self._bases[place], base, where=covered[ahead])
            if allocation is not None:
                np.copyto(self._allocations[place], allocation, where=covered[ahead])

    def _score(self, sample: int, demand: Floats) -> None:
        """Take how far the demand of a sample was above its base; what is missing is not."""
        base = self._bases[sample % self._room]
        known = (base > 0) & ~np.isnan(demand)
        scores = np.divide(demand, base, out=np.ones_like(demand), where=known) - 1
        self._scores.add(scores, known)
