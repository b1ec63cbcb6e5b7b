"""Aggregates all intervals of a run in one pass; only what a page shows is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twin.account.budget import by_period
from twin.account.uncertainty import StretchSums
from twin.core.arrays import Floats, Ints
from twin.core.rounding import allowed
from twin.report.run.event_spans import EventSpan
from twin.report.run.paths import FEWEST, Extremes, edges, extremes
from twin.report.run.sampled import MapSamples, SampledLinks, instants
from twin.report.run.shortfall import Shortfall, ShortfallSums
from twin.report.run.source import LinkIntervals, RunData

if TYPE_CHECKING:
    import pandas as pd

_BINS = 2_000
MOST_POLICIES = 12
"""Policies that are drawn over time."""
_MOST_BUCKETS = 300_000
"""Of all that is drawn over time: about four megabytes."""
_MOST_LINKS = 600


@dataclass(frozen=True, slots=True)
class PolicySeries:
    """What differs between policies on one link, Mbit/s, by the buckets of a picture."""

    allocated: Extremes
    unmet: Floats
    """The largest, which is 0 where nothing is unserved."""


@dataclass(slots=True)
class PolicyTotals:
    """What is kept for one policy, over all its intervals."""

    efficiencies: NDArray[np.int64]
    """Number of intervals by efficiency, in equal bins from 0 to 1."""
    sums: StretchSums
    servable: NDArray[np.bool_]
    """Whether the SLA is kept but for what no allocation could have served, [links]."""
    in_events: list[float]
    """Violated minutes in each event, on its links."""
    outside: float = 0.0
    """Violated minutes in intervals without an event on the link."""
    unservable_outside: float = 0.0
    """The part of `outside` that no allocation could have served."""
    demand: float = 0.0
    allocated: float = 0.0
    rows: dict[str, PolicySeries] = field(default_factory=dict)
    """The links that are drawn."""

    def efficiency(self, share: float) -> float:
        """Return a quantile of efficiency, to 1/2000."""
        total = self.efficiencies.cumsum()
        if not total[-1]:
            return float("nan")
        return float(np.searchsorted(total, share * total[-1])) / _BINS

    def causes(self, row: pd.Series[Any]) -> dict[str, float]:
        """Return the violated minutes by cause; `row` is the summary's over all links.

        No capacity (`unservable`); the first interval of an event (`onset`); later in one
        (`event`); none of these (`ordinary`).
        """
        unservable, onset = row["unavoidable_violation_minutes"], row["onset_violation_minutes"]
        ordinary = self.outside - self.unservable_outside
        event = row["sla_violation_minutes"] - unservable - onset - ordinary
        minutes = {"unservable": unservable, "onset": onset, "event": event, "ordinary": ordinary}
        return {cause: float(value) for cause, value in minutes.items()}

    @property
    def cost_efficiency(self) -> float:
        """Sum of demand by sum of allocation."""
        return self.demand / self.allocated if self.allocated else float("nan")


@dataclass(frozen=True, slots=True)
class LinkSeries:
    """What all policies share on one link, Mbit/s, by the buckets of a picture."""

    demand: Extremes
    capacity: Extremes | None
    """None where it is never limited."""


@dataclass(slots=True)
class Aggregates:
    """What a page shows of all intervals."""

    totals: dict[str, PolicyTotals]
    unservable: NDArray[np.int64]
    """Intervals whose mean demand is above the capacity, [links]."""
    drawn: dict[str, LinkSeries]
    at: Ints
    """Edges of the buckets of what is drawn."""
    shortfall: Shortfall
    samples: SampledLinks | None = None
    """What the map shows, where there is one."""


def aggregate(run: RunData, spans: Sequence[EventSpan], shown: Sequence[str]) -> Aggregates:
    """Read all intervals once; of the links `shown` what a picture needs is kept."""
    aggregator = _Aggregator(run, spans, frozenset(shown))
    for _, blocks in groupby(run.read_intervals(), key=lambda block: block.policy):
        first = 0
        for block in blocks:
            aggregator.add(block, slice(first, first + len(block.links)))
            first += len(block.links)
    return aggregator.aggregates


class _Aggregator:
    """Adds up one block of intervals after another."""

    def __init__(self, run: RunData, spans: Sequence[EventSpan], shown: frozenset[str]) -> None:
        links, self._size, self._tick_s = len(run.links), run.intervals, run.tick_s
        self._shown, self._settlement = shown, run.settlement
        paths = len(shown) * (min(len(run.policies), MOST_POLICIES) + 1)
        self._at = edges(run, spans, paths)
        self._short = ShortfallSums(run, spans)
        self._map = MapSamples(run, instants(run, spans)) if run.topology is not None else None
        self._during = [span.touches(self._size, self._tick_s) for span in spans]
        self._everywhere = [i for i, span in enumerate(spans) if len(span.links) == links]
        self._on: dict[str, list[int]] = {}
        for i, span in enumerate(spans):
            for link in span.links if len(span.links) < links else ():
                self._on.setdefault(link, []).append(i)
        totals = {
            policy: PolicyTotals(
                np.zeros(_BINS + 1, dtype=np.int64),
                StretchSums(priced=run.settlement.prices is not None),
                np.zeros(links, dtype=np.bool_), [0.0] * len(spans),
            )
            for policy in run.policies
        }  # fmt: skip
        self._first = run.policies[0]
        self.aggregates = Aggregates(
            totals, np.zeros(links, dtype=np.int64), {}, self._at, self._short.shortfall,
            None if self._map is None else self._map.samples,
        )  # fmt: skip

    def add(self, block: LinkIntervals, part: slice) -> None:
        """Add a block, whose links are at `part` among all links."""
        totals, known = self.aggregates.totals[block.policy], ~np.isnan(block.demand)
        short = block.demand > block.capacity
        if block.policy == self._first:
            self.aggregates.unservable[part] = short.sum(axis=1)
        bins = np.rint(block.efficiency[known] * _BINS).astype(np.int64)
        totals.efficiencies += np.bincount(bins, minlength=_BINS + 1)
        totals.demand += float(block.demand[known].sum())
        totals.allocated += float(block.allocated[known].sum())
        # A failure that begins inside an interval covers only part of it: neighbours count too.
        near = short.copy()
        near[:, 1:] |= short[:, :-1]
        near[:, :-1] |= short[:, 1:]
        totals.sums.add(block.rows)
        avoidable = ~near & (block.violation_s > 0)
        period, target = self._settlement.sla_period, self._settlement.sla_target
        limit = allowed(target, by_period(known, period))
        totals.servable[part] = (by_period(avoidable, period) <= limit).all(axis=1)
        self._events(block, totals, short)
        self._short.add(block, part)
        if self._map is not None:
            self._map.add(block, part)
        for i, link in enumerate(block.links):
            if link in self._shown:
                if block.policy == self._first:
                    self.aggregates.drawn[link] = self._series(block, i)
                unmet = extremes(np.nan_to_num(block.unmet[i]), self._at).high
                totals.rows[link] = PolicySeries(extremes(block.allocated[i], self._at), unmet)

    def _series(self, block: LinkIntervals, i: int) -> LinkSeries:
        capacity = block.capacity[i]
        limited = np.isfinite(capacity)
        limit = np.where(limited, capacity, np.nan)
        return LinkSeries(
            extremes(block.demand[i], self._at),
            extremes(limit, self._at) if limited.any() else None,
        )

    def _events(self, block: LinkIntervals, totals: PolicyTotals, short: NDArray[np.bool_]) -> None:
        minutes, inside = block.violation_s / 60, np.zeros_like(short)
        on = [(slice(0, None), i) for i in self._everywhere]
        for row, link in enumerate(block.links):
            on += [(slice(row, row + 1), i) for i in self._on.get(link, ())]
        for rows, i in on:
            during = self._during[i]
            totals.in_events[i] += float(minutes[rows, during].sum())
            inside[rows, during] = True
        totals.outside += float(minutes.sum(where=~inside))
        totals.unservable_outside += float(minutes.sum(where=short & ~inside))


def links_to_draw(run: RunData, spans: Sequence[EventSpan]) -> list[str]:
    """Return the links that are drawn over time: as many as a page can hold.

    First come those that are hit by an event that does not hit all, then the most violated ones.
    """
    paths = min(len(run.policies), MOST_POLICIES) + 1
    most = min(_MOST_LINKS, max(_MOST_BUCKETS // (min(FEWEST, run.intervals) * paths), 8))
    table = run.by_link
    ranked = table[table["policy"].isin(run.ranked or run.policies)]
    minutes = ranked.groupby("link", sort=False)["sla_violation_minutes"].sum()
    everywhere = len(run.links)
    touched = {link for span in spans if len(span.links) < everywhere for link in span.links}
    order = {link: i for i, link in enumerate(run.links)}
    # Links with equal sums stay in the order of the scenario.
    ranking = sorted(run.links, key=lambda link: (link not in touched, -minutes[link], order[link]))
    return ranking[:most]
