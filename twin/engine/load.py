"""The load that is offered to the links: the flows' base demand, under surges, as it is routed.

Surges, and the floor at zero, act on flows; a routing maps flows to links. Between two changes the
load of a link is linear in the flows, so that a mean over a span is the routed mean of the flows.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from twin.core.arrays import Bools, Floats
from twin.core.tail import Growing
from twin.demand.gaps import Revision, became_known, next_known
from twin.demand.kpis import TRAFFIC_KPIS
from twin.engine.span import ReplaySpan
from twin.engine.surges import SurgedDemand
from twin.events.course import Course
from twin.routing.table import Routing, routed
from twin.telemetry.source import TelemetrySource

if TYPE_CHECKING:
    from scipy import sparse

DEMAND = "internet"
"""The KPI that is the demand."""
_SAMPLES: Final = 512
"""Samples that are routed at a time."""


class OfferedLoad:
    """The load of every link, a feed of all KPIs, and its mean over any part of an interval.

    Where the source knows what is to come, the whole replay is there at once: where flows are
    links, and where they are routed, have no gaps, and no link has been down so far. Otherwise an
    interval's load is made when the interval closes.
    """

    def __init__(
        self, source: TelemetrySource, span: ReplaySpan, routing: Routing | None = None
    ) -> None:
        self._source, self._span, self._routing = source, span, routing
        self._courses: tuple[Course, ...] = ()
        self._surged = self._surges()
        self.links = source.flows if routing is None else routing.links
        self.whole = source.ahead and (routing is None or self._without_gaps())
        """Whether the whole replay is there at once."""
        self._past: dict[str, Floats] = {}
        self._mean: dict[str, Floats] = {}
        self._closed = span.first
        self._routes: list[tuple[float, sparse.csr_array[Any]]] = []
        self.down: tuple[tuple[float, Bools], ...] = ()
        """Which links were down from when on, where there is a routing."""
        if routing is not None:
            none = np.zeros(len(self.links), dtype=np.bool_)
            self.down, self._intact = ((0.0, none),), routing.matrix(none)
            self._routes.append((0.0, self._intact))
        if not self.whole:
            self._begin()
            return
        if routing is not None:
            for name in self.kpis:
                self._past[name] = self._carried(source.rows(name, 0, span.first))
        self._make_means()

    def __deepcopy__(self, memo: dict[int, Any]) -> OfferedLoad:
        other = object.__new__(type(self))
        # Nothing in a whole load changes in place; means are replaced, not written to.
        for name, value in self.__dict__.items():
            copied = value if name == "_mean" or self.whole else copy.deepcopy(value, memo)
            setattr(other, name, copied)
        memo[id(self)] = other
        return other

    def _without_gaps(self) -> bool:
        stop = self._span.first + self._span.intervals
        rows = (self._source.rows(name, 0, stop) for name in self._source.kpis)
        return not any(np.isnan(each).any() for each in rows)

    def _surges(self) -> dict[str, SurgedDemand]:
        tick_s = self._source.tick_s
        return {
            name: SurgedDemand(self._courses, tick_s, additive=name in TRAFFIC_KPIS)
            for name in self._source.kpis
        }

    def surge(self, courses: Sequence[Course]) -> None:
        """Replace the surges by these, which agree with the former ones in closed intervals."""
        self._courses = tuple(courses)
        self._surged = self._surges()
        if self.whole:
            self._make_means()

    def _make_means(self) -> None:
        start, stop = self._span.first, self._span.first + self._span.intervals
        self._mean = {
            name: self._carried(surged.means(self._source.values(name, start, stop)))
            for name, surged in self._surged.items()
        }

    def _begin(self) -> None:
        """Take what came before the first replayed sample."""
        # The flows as known so far, and the links as first seen and as known.
        self._known: dict[str, Growing] = {}
        self._seen: dict[str, Growing] = {}
        self._best: dict[str, Growing] = {}
        self._revisions: list[Revision] = []
        first = self._span.first
        for name in self.kpis:
            flows = self._source.rows(name, 0, first)
            links = self._carried(flows)
            capacity = first + (self._span.intervals or first)
            for tables, rows in ((self._known, flows), (self._seen, links), (self._best, links)):
                tables[name] = Growing(rows.shape[1], capacity)
                tables[name].append(rows)
        for revision in self._source.revisions(0, first):
            self._take(revision)

    def _carried(self, flows: Floats) -> Floats:
        """Return the load of the links while none is down, [..., links]."""
        if self._routing is None:
            return flows
        if flows.ndim == 1:
            return routed(self._intact, flows)
        # A few samples at a time: there may be many flows.
        links = np.empty((len(flows), len(self.links)))
        for start in range(0, len(flows), _SAMPLES):
            some = slice(start, start + _SAMPLES)
            links[some] = routed(self._intact, flows[some])
        return links

    # The feed

    @property
    def kpis(self) -> tuple[str, ...]:
        """Names of the KPIs."""
        return self._source.kpis

    @property
    def ready(self) -> int:
        """Number of samples that can be asked for."""
        if self.whole:
            return self._span.first + self._span.intervals
        return self._closed

    def rows(self, kpi: str, start: int, stop: int) -> Floats:
        """Return samples start <= i < stop as first seen, [samples, links]."""
        if not self.whole:
            return self._seen[kpi].view(start, stop)
        first = self._span.first
        if self._routing is not None:
            parts = [self._past[kpi][start:stop]] if start < first else []
            parts += [self._mean[kpi][max(start - first, 0) : stop - first]] if stop > first else []
            return parts[0] if len(parts) == 1 else np.concatenate(parts)
        seen = self._source.rows(kpi, start, stop)
        if stop <= first or not self._courses:
            return seen
        # A sample that is hidden at first is hidden under a surge too.
        later = slice(max(start - first, 0), stop - first)
        hidden = np.isnan(seen[max(first - start, 0) :])
        surged = np.where(hidden, np.nan, self._mean[kpi][later])
        return surged if start >= first else np.concatenate([seen[: first - start], surged])

    def revisions(self, after: int, upto: int) -> list[Revision]:
        """Return what becomes known once more than `after` and at most `upto` samples are seen."""
        if not self.whole:
            return became_known(self._revisions, after, upto)
        revisions = self._source.revisions(after, upto)
        return [self._under_surges(each) for each in revisions] if self._courses else revisions

    def _under_surges(self, revision: Revision) -> Revision:
        first = self._span.first
        values = revision.values.copy()
        start = max(first - revision.first, 0)
        some = slice(revision.first + start - first, revision.first + len(values) - first)
        if start < len(values):
            values[start:] = self._mean[revision.kpi][some, revision.series]
        return revision._replace(values=values)

    def next_revision(self, after: int) -> int | None:
        """Return the number of samples seen at the first revision after `after`."""
        if self.whole:
            return self._source.next_revision(after)
        return next_known(self._revisions, after)

    # The account

    def demand(self, start: int, stop: int) -> Floats:
        """Return the mean demand of intervals start <= i < stop as best known, [intervals, links].

        They have closed.
        """
        if self.whole:
            return self._mean[DEMAND][start:stop]
        first, last = self._span.first + start, self._span.first + stop
        best: Floats = self._best[DEMAND].view(first, last).copy()
        base = self._source.values(DEMAND, first, last)
        # What a gap that is still open hides is known to a replay, and counts.
        hidden = np.isnan(self._known[DEMAND].view(first, last)) & ~np.isnan(base)
        for row in np.flatnonzero(hidden.any(axis=1)).tolist():
            best[row] = self._averaged(DEMAND, start + row, base[row])
        return best

    def coming(self, interval: int) -> Floats:
        """Return the mean demand of an interval that has not closed, [links].

        Raises RuntimeError where nobody knows it yet.
        """
        if not self._source.ahead:
            raise RuntimeError("coming_mbps is not known before the interval has closed")
        if self.whole:
            row: Floats = self._mean[DEMAND][interval].copy()
        else:
            tick_s = self._source.tick_s
            row = self._load(DEMAND, interval, interval * tick_s, (interval + 1) * tick_s)
        row.setflags(write=False)
        return row

    def over(self, interval: int, start: float, end: float) -> Floats:
        """Return the mean demand over [start, end) within a closed interval, [links]."""
        return self._load(DEMAND, interval, start, end)

    def at_breakpoint(self, time: float) -> Bools:
        """Return the links with a breakpoint at `time`, of a surge or of their routes, [links]."""
        flows = self._surged[DEMAND].at_breakpoint(time, len(self._source.flows))
        if self._routing is None:
            return flows
        now = self._route(time)
        links = np.asarray(now @ flows.astype(np.float64) > 0)
        since = max(place for place, (at, _) in enumerate(self._routes) if at <= time)
        if since and self._routes[since][0] == time:
            changed = abs(now - self._routes[since - 1][1])
            links |= np.asarray(changed.sum(axis=1)) > 0
        return links

    def flow_demand(self, closed: int) -> Floats | None:
        """Return the mean demand of the flows in the first `closed` intervals, Mbit/s.

        [intervals, flows]; None where flows are links.
        """
        if self._routing is None:
            return None
        first = self._span.first
        return self._surged[DEMAND].means(self._source.values(DEMAND, first, first + closed))

    def unrouted(self, closed: int) -> dict[str, float]:
        """Return the demand of each flow that no path was left for, Mbit, where there was any.

        In the first `closed` intervals.
        """
        if self._routing is None:
            return {}
        lost = np.zeros(len(self._source.flows))
        tick_s, end = self._source.tick_s, float(closed * self._source.tick_s)
        begins = [min(time, end) for time, _ in self._routes]
        for (_, matrix), begin, stop in zip(self._routes, begins, [*begins[1:], end], strict=True):
            pathless = np.asarray(matrix.sum(axis=0)) == 0
            if stop <= begin or not pathless.any():
                continue
            for interval in range(int(begin // tick_s), int(np.ceil(stop / tick_s))):
                a, b = max(begin, interval * tick_s), min(stop, (interval + 1) * tick_s)
                sample = self._span.first + interval
                base = self._source.values(DEMAND, sample, sample + 1)[0]
                mean = np.nan_to_num(self._surged[DEMAND].over(base, a, b))
                lost += np.where(pathless, mean * (b - a), 0.0)
        return {
            flow: float(mbit) for flow, mbit in zip(self._source.flows, lost, strict=True) if mbit
        }

    # Interval by interval

    def reroute(self, time: float, down: Bools) -> bool:
        """Route by what is down from `time` on; return whether what is to come changes by that.

        It does in a routed network that is there as a whole: from here on it is made interval by
        interval.
        """
        if self._routing is None:
            return False
        was_whole = self.whole
        if was_whole:
            self._go_on_by_interval(int(time // self._source.tick_s))
        if self._routes[-1][0] == time:
            self._routes.pop()
        self._routes.append((time, self._routing.matrix(down)))
        self.down = (*(each for each in self.down if each[0] < time), (time, down))
        return was_whole

    def _go_on_by_interval(self, closed: int) -> None:
        """Keep the load of the `closed` intervals alone; forks may share what was there."""
        self.whole, self._routes = False, list(self._routes)
        self._begin()
        first = self._span.first
        for name in self.kpis:
            links = self._mean[name][:closed]
            self._known[name].append(self._source.rows(name, first, first + closed))
            self._seen[name].append(links)
            self._best[name].append(links)
        self._closed = first + closed
        self._past, self._mean = {}, {}

    def close(self, interval: int) -> None:
        """Take the interval that has closed, whose samples the source has."""
        if self.whole:
            return
        sample = self._span.first + interval
        for name in self.kpis:
            flows = self._source.rows(name, sample, sample + 1)
            links = self._averaged(name, interval, flows[0])[None]
            self._known[name].append(flows)
            self._seen[name].append(links)
            self._best[name].append(links)
        self._closed = sample + 1
        for revision in self._source.revisions(sample, sample + 1):
            self._take(revision)

    def _take(self, revision: Revision) -> None:
        """Put what has become known of a flow into the links that carry it."""
        self._known[revision.kpi].put(revision.first, revision.series, revision.values)
        samples = range(revision.first, revision.first + len(revision.values))
        rows = np.stack([self._known_row(revision.kpi, sample) for sample in samples])
        flow = np.zeros(len(self._source.flows), dtype=np.bool_)
        flow[revision.series] = True
        for link in np.flatnonzero(self.carriers(flow)).tolist():
            # While another of its flows is in a gap, the link stays missing there.
            edges = np.flatnonzero(np.diff(~np.isnan(rows[:, link]), prepend=False, append=False))
            for start, stop in edges.reshape(-1, 2).tolist():
                values = rows[start:stop, link]
                self._best[revision.kpi].put(revision.first + start, link, values)
                part = revision._replace(series=link, first=revision.first + start, values=values)
                self._revisions.append(part)

    def carriers(self, flows: Bools) -> Bools:
        """Return the links that carry any of `flows` in a routing so far, [links]."""
        if self._routing is None:
            return flows
        matrices = (self._intact, *(matrix for _, matrix in self._routes))
        shares = [np.asarray(matrix @ flows.astype(np.float64)) > 0 for matrix in matrices]
        carrying: Bools = np.any(shares, axis=0)
        return carrying

    def _known_row(self, kpi: str, sample: int) -> Floats:
        """Return the load of the links in a sample as it is known so far, [links]."""
        flows = self._known[kpi].view(sample, sample + 1)[0]
        interval = sample - self._span.first
        return self._carried(flows) if interval < 0 else self._averaged(kpi, interval, flows)

    def _averaged(self, kpi: str, interval: int, base: Floats) -> Floats:
        tick_s = self._source.tick_s
        return self._mean_of(kpi, base, interval * tick_s, (interval + 1) * tick_s)

    def _load(self, kpi: str, interval: int, start: float, end: float) -> Floats:
        sample = self._span.first + interval
        base = self._source.values(kpi, sample, sample + 1)[0]
        return self._mean_of(kpi, base, start, end)

    def _mean_of(self, kpi: str, base: Floats, start: float, end: float) -> Floats:
        """Return the mean load of the links over [start, end) of one interval, [links]."""
        if self._routing is None:
            return self._surged[kpi].over(base, start, end)
        reroutings = (time for time, _ in self._routes if start < time < end)
        edges = sorted({start, *reroutings, end})
        parts = [
            routed(self._route(a), self._surged[kpi].over(base, a, b)) * ((b - a) / (end - start))
            for a, b in pairwise(edges)
        ]
        return parts[0] if len(parts) == 1 else np.asarray(np.sum(parts, axis=0))

    def _route(self, time: float) -> sparse.csr_array[Any]:
        """Return the matrix that is in force from `time` on."""
        return next(matrix for since, matrix in reversed(self._routes) if since <= time)
