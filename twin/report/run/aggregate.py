"""One walk over every policy's account, which keeps no more than a page shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats
from twin.report.run.source import Piece, Report
from twin.report.run.spans import Span

if TYPE_CHECKING:
    import pandas as pd

_BINS = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """One link under one policy, [intervals], Mbit/s."""

    allocated: Floats
    unmet: Floats


@dataclass(slots=True)
class Tally:
    """What is kept of one policy."""

    efficiencies: NDArray[np.int64]
    """Intervals by efficiency, in equal bins from 0 to 1."""
    unservable: NDArray[np.int64]
    """Violated intervals that no allocation could have served, [links]."""
    in_events: list[float]
    """Violated minutes in each event, on its links."""
    outside: float = 0.0
    """Violated minutes in intervals without an event on the link."""
    unservable_outside: float = 0.0
    """Those of them that no allocation could have served."""
    demand: float = 0.0
    allocated: float = 0.0
    rows: dict[str, Row] = field(default_factory=dict)
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
class Drawn:
    """What every policy shares on one link that is drawn, [intervals], Mbit/s."""

    demand: Floats
    capacity: Floats


@dataclass(slots=True)
class Gathered:
    """What a page shows of the intervals."""

    tallies: dict[str, Tally]
    unservable: NDArray[np.int64]
    """Intervals whose mean demand is above the capacity, [links]."""
    drawn: dict[str, Drawn]


def gather(report: Report, spans: Sequence[Span], shown: Sequence[str]) -> Gathered:
    """Walk over all intervals once; `shown` are the links of which every interval is kept."""
    walk = _Walk(report, spans, frozenset(shown))
    for _, pieces in groupby(report.pieces(), key=lambda piece: piece.policy):
        first = 0
        for piece in pieces:
            walk.add(piece, slice(first, first + len(piece.links)))
            first += len(piece.links)
    return walk.gathered


class _Walk:
    """Adds one piece after another."""

    def __init__(self, report: Report, spans: Sequence[Span], shown: frozenset[str]) -> None:
        links, self._size, self._tick_s = len(report.links), report.intervals, report.tick_s
        self._shown = shown
        self._during = [span.touches(self._size, self._tick_s) for span in spans]
        self._everywhere = [i for i, span in enumerate(spans) if len(span.links) == links]
        self._on: dict[str, list[int]] = {}
        for i, span in enumerate(spans):
            for link in span.links if len(span.links) < links else ():
                self._on.setdefault(link, []).append(i)
        tallies = {
            policy: Tally(
                np.zeros(_BINS + 1, dtype=np.int64), np.zeros(links, dtype=np.int64),
                [0.0] * len(spans),
            )
            for policy in report.policies
        }  # fmt: skip
        self._first = report.policies[0]
        self.gathered = Gathered(tallies, np.zeros(links, dtype=np.int64), {})

    def add(self, piece: Piece, part: slice) -> None:
        """Add a piece, whose links are at `part` among all links."""
        tally, known = self.gathered.tallies[piece.policy], ~np.isnan(piece.demand)
        short = piece.demand > piece.capacity
        if piece.policy == self._first:
            self.gathered.unservable[part] = short.sum(axis=1)
        bins = np.rint(piece.efficiency[known] * _BINS).astype(np.int64)
        tally.efficiencies += np.bincount(bins, minlength=_BINS + 1)
        tally.demand += float(piece.demand[known].sum())
        tally.allocated += float(piece.allocated[known].sum())
        # A failure that begins inside an interval takes a part of it.
        near = short.copy()
        near[:, 1:] |= short[:, :-1]
        near[:, :-1] |= short[:, 1:]
        tally.unservable[part] = (near & (piece.violation_s > 0)).sum(axis=1)
        self._events(piece, tally, short)
        for i, link in enumerate(piece.links):
            if link in self._shown:
                self.gathered.drawn[link] = Drawn(piece.demand[i].copy(), piece.capacity[i].copy())
                tally.rows[link] = Row(piece.allocated[i].copy(), piece.unmet[i].copy())

    def _events(self, piece: Piece, tally: Tally, short: NDArray[np.bool_]) -> None:
        minutes, inside = piece.violation_s / 60, np.zeros_like(short)
        on = [(slice(0, None), i) for i in self._everywhere]
        for row, link in enumerate(piece.links):
            on += [(slice(row, row + 1), i) for i in self._on.get(link, ())]
        for rows, i in on:
            during = self._during[i]
            tally.in_events[i] += float(minutes[rows, during].sum())
            inside[rows, during] = True
        tally.outside += float(minutes.sum(where=~inside))
        tally.unservable_outside += float(minutes.sum(where=short & ~inside))


def links_to_draw(report: Report, spans: Sequence[Span], most: int) -> list[str]:
    """Return links that events of their own touch, then those most violated."""
    table = report.by_link
    ranked = table[table["policy"].isin(report.ranked or report.policies)]
    minutes = ranked.groupby("link", sort=False)["sla_violation_minutes"].sum()
    everywhere = len(report.links)
    touched = {link for span in spans if len(span.links) < everywhere for link in span.links}
    order = {link: i for i, link in enumerate(report.links)}
    # Equal sums come in the order of the scenario.
    return sorted(
        report.links, key=lambda link: (link not in touched, -minutes[link], order[link])
    )[:most]
