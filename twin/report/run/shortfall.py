"""Where demand was not served: how much at its peak, beside which events, and what would have done.

All of it is added up link by link in the one pass over the intervals. Sums over the time of an
event are differences of running sums, so that many events cost little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats, Ints
from twin.core.rounding import allowed
from twin.report.run.event_spans import EventSpan
from twin.report.run.source import LinkIntervals, RunData

_MOST_SPANS = 400
"""Events that violations are told by: the longest."""


class Cause(NamedTuple):
    """Violated minutes of a link during an event."""

    minutes: float
    span: int
    """The event's place."""
    own: bool
    """Whether the event is on the link itself; else it is a failure elsewhere."""


@dataclass(slots=True)
class PolicyShortfall:
    """What one policy left unserved, by link."""

    peak: Floats
    """The largest unmet demand, mean of an interval, Mbit/s, [links]."""
    peak_at: Ints
    """The interval of that, [links]."""
    causes: dict[int, list[Cause]] = field(default_factory=dict)
    """Of each link with any, by its place: most violated minutes first."""


@dataclass(slots=True)
class Shortfall:
    """What was not served on each link, and what would have been needed. Arrays are [links]."""

    policies: dict[str, PolicyShortfall]
    needed: Floats
    """The least constant allocation that keeps the SLA, Mbit/s; infinite where none does."""
    before: Floats
    """Mean demand of as long a time before each failure, Mbit/s, [links, spans]; NaN elsewhere."""
    during: Floats
    """Mean demand during each failure, Mbit/s, [links, spans]."""


class ShortfallSums:
    """Adds up the shortfall, one block of intervals after another."""

    def __init__(self, run: RunData, spans: Sequence[EventSpan]) -> None:
        links, size, tick = len(run.links), run.intervals, run.tick_s
        self._first, self._target = run.policies[0], run.target
        self._period = run.settlement.sla_period or size
        longest = sorted(range(len(spans)), key=lambda i: spans[i].start - spans[i].end)
        self._kept = np.array(sorted(longest[:_MOST_SPANS]), dtype=np.int64)
        kept = [spans[i] for i in self._kept]
        parts = [span.touches(size, tick) for span in kept]
        self._begin = np.array([part.start for part in parts], dtype=np.int64)
        self._end = np.array([part.stop for part in parts], dtype=np.int64)
        self._outage = np.array([span.outage for span in kept], dtype=np.bool_)
        self._on = [frozenset(span.links) for span in kept]
        unknown = np.full((links, len(spans)), np.nan)
        policies = {
            name: PolicyShortfall(np.zeros(links), np.zeros(links, dtype=np.int64))
            for name in run.policies
        }
        self.shortfall = Shortfall(policies, np.zeros(links), unknown, unknown.copy())

    def add(self, block: LinkIntervals, part: slice) -> None:
        """Add a block, whose links are at `part` among all links."""
        own = self.shortfall.policies[block.policy]
        unmet = np.nan_to_num(block.unmet)
        own.peak_at[part] = unmet.argmax(axis=1)
        own.peak[part] = unmet.max(axis=1)
        if block.policy == self._first:
            for i in range(len(block.links)):
                self.shortfall.needed[part.start + i] = self._needed(
                    block.demand[i], block.capacity[i]
                )
            self._around_failures(block.demand, part)
        minutes = self._during(block.violation_s / 60)
        for i, link in enumerate(block.links):
            on = np.array([link in links for links in self._on], dtype=np.bool_)
            causes = [
                Cause(float(minutes[i, n]), int(self._kept[n]), bool(on[n]))
                for n in np.flatnonzero((minutes[i] > 0) & (on | self._outage))
            ]
            if causes:
                own.causes[part.start + i] = sorted(causes, reverse=True)

    def _during(self, values: Floats) -> Floats:
        """Return the sums of values, [links, intervals], over each event, [links, spans]."""
        sums = np.zeros((len(values), values.shape[1] + 1))
        np.cumsum(values, axis=1, out=sums[:, 1:])
        # What is left of a difference of sums is no violation.
        return np.round(sums[:, self._end] - sums[:, self._begin], 9)

    def _around_failures(self, demand: Floats, part: slice) -> None:
        """Note the mean demand during each failure, and for as long before it."""
        lasts = self._end - self._begin
        earlier = np.maximum(self._begin - lasts, 0)
        for begin, end, kept in (
            (earlier, self._begin, self.shortfall.before),
            (self._begin, self._end, self.shortfall.during),
        ):
            known = ~np.isnan(demand)
            sums, counts = (
                np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))
                for values in (np.nan_to_num(demand), known.astype(np.float64))
            )
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                mean = (sums[:, end] - sums[:, begin]) / (counts[:, end] - counts[:, begin])
            kept[part, self._kept[self._outage]] = mean[:, self._outage]

    def _needed(self, demand: Floats, capacity: Floats) -> float:
        """Return the least constant allocation that keeps the SLA on a link, by mean demands.

        Of the demands of a period, from the highest down, as many may exceed it as the SLA allows;
        those above the capacity exceed any.
        """
        needed = 0.0
        for first in range(0, len(demand), self._period):
            part = slice(first, first + self._period)
            known = ~np.isnan(demand[part])
            servable = known & (demand[part] <= capacity[part])
            lost = int((known & ~servable).sum())
            spare = int(allowed(self._target, np.array(known.sum()))) - lost
            if spare < 0:
                return np.inf
            ranked = np.sort(demand[part][servable])[::-1]
            if spare < len(ranked):
                needed = max(needed, float(ranked[spare]))
        return needed


def short_links(shortfall: Shortfall, policy: str, minutes: Floats) -> NDArray[np.int64]:
    """Return the places of the links that fall short under a policy, the most violated first.

    `minutes` are the violated minutes of each link under it.
    """
    peak = shortfall.policies[policy].peak
    order = np.lexsort((-peak, -minutes))
    return np.asarray(order[minutes[order] > 0], dtype=np.int64)
