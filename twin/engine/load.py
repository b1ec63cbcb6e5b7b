"""The load that is offered to the links: the flows' base demand, under surges, as it is routed.

Surges, and the floor at zero, act on flows; a routing maps flows to links. Between two changes the
load of a link is linear in the flows, so that a mean over a span is the routed mean of the flows.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from twin.core.arrays import Bools, Floats
from twin.core.tail import Growing
from twin.demand.gaps import Revision, became_known, known, next_known, revised
from twin.demand.kpis import TRAFFIC_KPIS
from twin.engine.echoes import Echoes
from twin.engine.planned_routes import PlannedRoutes, carried
from twin.engine.routes import RouteState
from twin.engine.span import ReplaySpan
from twin.engine.surges import SurgedDemand
from twin.events.course import Course
from twin.events.effects import Echo
from twin.routing.table import Routing, routed
from twin.telemetry.source import TelemetrySource

DEMAND = "internet"
"""The KPI that is the demand."""


class OfferedLoad:
    """The load of every link, a feed of all KPIs, and its mean over any part of an interval.

    Where the source knows what is to come, the whole replay is there at once: where flows are
    links, and where they are routed and have no gaps. Otherwise an interval's load is made when the
    interval closes.
    """

    def __init__(
        self, source: TelemetrySource, span: ReplaySpan, routing: Routing | None = None
    ) -> None:
        self._source, self._span = source, span
        self._courses: tuple[Course, ...] = ()
        self._echoes = Echoes(source, span, routing)
        self._surged = self._surges()
        self.links = source.flows if routing is None else routing.links
        self.whole = source.ahead and (routing is None or self._without_gaps())
        """Whether the whole replay is there at once."""
        self._past: dict[str, Floats] = {}
        self._mean: dict[str, Floats] = {}
        self._first_seen: dict[str, Floats] = {}
        """As means, of samples as first seen, where demand moves from flow to flow."""
        self._closed = span.first
        self._routes = None if routing is None else PlannedRoutes(routing)
        if routing is not None:
            for name in self.kpis:
                self._past[name] = self._carried(source.rows(name, 0, span.first))
        if self.whole:
            self._make_means()
        else:
            self._begin()

    def __deepcopy__(self, memo: dict[int, Any]) -> OfferedLoad:
        other = object.__new__(type(self))
        # Nothing in a whole load changes in place; means are replaced, not written to.
        for name, value in self.__dict__.items():
            shared = self.whole or name in ("_past", "_mean", "_first_seen")
            setattr(other, name, value if shared else copy.deepcopy(value, memo))
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

    def plan(
        self, courses: Sequence[Course], echoes: Sequence[Echo], states: Sequence[RouteState]
    ) -> bool:
        """Replace what changes demand and routes; in closed intervals it is as it was.

        Return whether what was made ahead changes.
        """
        before = self._routes
        if before is not None:
            self._routes = before.by(states)
        self._echoes.plan(courses, echoes, states)
        changed = self._change((*courses, *self._echoes.courses))
        if changed or not self.whole or self._routes is before:
            return changed and self.whole
        self._make_means()
        return True

    @property
    def routing(self) -> Routing | None:
        """What carries flows; None where flows are links."""
        return None if self._routes is None else self._routes.routing

    @property
    def echoing(self) -> bool:
        """Whether demand that outages lost may come back."""
        return self._echoes.expected

    @property
    def states(self) -> tuple[RouteState, ...]:
        """What routes depend on; nothing where flows are links."""
        return () if self._routes is None else self._routes.states

    def _change(self, courses: tuple[Course, ...]) -> bool:
        same = len(courses) == len(self._courses)
        if same and all(a is b for a, b in zip(courses, self._courses, strict=True)):
            return False
        self._courses = courses
        self._surged = self._surges()
        if self.whole:
            self._make_means()
        return True

    def _make_means(self) -> None:
        start, stop = self._span.first, self._span.first + self._span.intervals
        self._mean = {
            name: self._routed_means(name, surged.means(self._source.values(name, start, stop)))
            for name, surged in self._surged.items()
        }
        self._first_seen = {
            name: surged.means(self._source.rows(name, start, stop))
            for name, surged in self._surged.items()
            if surged.moves
        }

    def _begin(self) -> None:
        """Take what came before the first replayed sample."""
        # Flows that are links are as the source has them, until something changes demand.
        self._begins = self._span.first
        self._seen = {name: Growing(len(self.links), self._span.intervals) for name in self.kpis}
        self._revisions: list[Revision] = []
        self._take(self._source.revisions(0, self._begins))

    def _routed_means(self, kpi: str, flows: Floats) -> Floats:
        """Return the mean loads of all intervals from those of the flows, [intervals, links]."""
        if self._routes is None:
            return flows
        links, divided = self._routes.means(flows, self._source.tick_s)
        for interval in divided:
            sample = self._span.first + interval
            base = self._source.values(kpi, sample, sample + 1)[0]
            links[interval] = self.averaged(kpi, interval, base)
        return links

    def _carried(self, flows: Floats) -> Floats:
        """Return the load of the links before the replay, where none is down, [..., links]."""
        return flows if self._routes is None else carried(self._routes.intact, flows)

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
            return self._joined(kpi, self._begins, self._seen[kpi].view(), start, stop)
        first = self._span.first
        if self._routes is not None:
            return self._joined(kpi, first, self._mean[kpi], start, stop)
        seen = self._source.rows(kpi, start, stop)
        if stop <= first or not self._courses:
            return seen
        # A sample that is hidden at first is hidden under a surge too.
        later = slice(max(start - first, 0), stop - first)
        if kpi in self._first_seen:
            moved = self._first_seen[kpi][later]
            return moved if start >= first else np.concatenate([seen[: first - start], moved])
        hidden = np.isnan(seen[max(first - start, 0) :])
        surged = np.where(hidden, np.nan, self._mean[kpi][later])
        return surged if start >= first else np.concatenate([seen[: first - start], surged])

    def _joined(self, kpi: str, begins: int, later: Floats, start: int, stop: int) -> Floats:
        """Return samples start <= i < stop; those from `begins` on are in `later`."""
        if start >= begins:
            return later[start - begins : stop - begins]
        last, past = min(stop, begins), self._past.get(kpi)
        before = self._source.rows(kpi, start, last) if past is None else past[start:last]
        return before if stop <= begins else np.concatenate([before, later[: stop - begins]])

    def revisions(self, after: int, upto: int) -> list[Revision]:
        """Return what becomes known once more than `after` and at most `upto` samples are seen."""
        if not self.whole:
            return became_known(self._revisions, after, upto)
        revisions = self._source.revisions(after, upto)
        if not self._first_seen:
            return [self._under_courses(r) for r in revisions] if self._courses else revisions
        return [each for revision in revisions for each in self._moved(revision)]

    def _moved(self, revision: Revision) -> Iterator[Revision]:
        """Yield a revision of a flow, and of those that its demand moves to."""
        kpi, count = revision.kpi, len(revision.values)
        flow = np.arange(len(self.links)) == revision.series
        base = known(self._source, kpi, revision.closed)[revision.first :][:count]
        rows = np.stack(
            [
                self.averaged(kpi, interval, row) if interval >= 0 else row
                for interval, row in enumerate(base, revision.first - self._span.first)
            ]
        )
        seen = self.rows(kpi, revision.first, revision.first + count)
        for series in np.flatnonzero(self._surged[kpi].reached(flow)).tolist():
            if series == revision.series or np.isnan(seen[:, series]).any():
                # While another flow that moves there is in a gap, it stays missing.
                edges = np.flatnonzero(
                    np.diff(~np.isnan(rows[:, series]), prepend=False, append=False)
                )
                for start, stop in edges.reshape(-1, 2).tolist():
                    part = revision._replace(series=series, first=revision.first + start)
                    yield part._replace(values=rows[start:stop, series])

    def _under_courses(self, revision: Revision) -> Revision:
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
        best = known(self, DEMAND, self._closed, first, last).copy()
        if self._source.ready == self._closed:
            return best
        # What a gap that is still open hides is known to a replay, and counts.
        base = self._source.values(DEMAND, first, last)
        so_far = known(self._source, DEMAND, self._closed, first, last)
        hidden = np.isnan(so_far) & ~np.isnan(base)
        for row in np.flatnonzero(hidden.any(axis=1)).tolist():
            best[row] = self.averaged(DEMAND, start + row, base[row])
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
        if self._routes is None:
            return flows
        links = np.asarray(self._routes.at(time) @ flows.astype(np.float64) > 0)
        return np.asarray(links | self._routes.changing(time))

    def flow_demand(self, closed: int) -> Floats | None:
        """Return the mean demand of the flows in the first `closed` intervals, Mbit/s.

        [intervals, flows]; None where flows are links.
        """
        if self._routes is None:
            return None
        first = self._span.first
        return self._surged[DEMAND].means(self._source.values(DEMAND, first, first + closed))

    def unrouted(self, closed: int) -> dict[str, float]:
        """Return the demand of each flow that no path was left for, Mbit, where there was any.

        In the first `closed` intervals.
        """
        if self._routes is None:
            return {}
        lost_mbit = np.zeros(len(self._source.flows))
        for share, interval, start, end in self._routes.losses(closed, self._source.tick_s):
            sample = self._span.first + interval
            base = self._source.values(DEMAND, sample, sample + 1)[0]
            mean = np.nan_to_num(self._surged[DEMAND].over(base, start, end))
            lost_mbit += share * mean * (end - start)
        flows = zip(self._source.flows, lost_mbit.tolist(), strict=True)
        return {flow: mbit for flow, mbit in flows if mbit}

    # Interval by interval

    def close(self, interval: int) -> None:
        """Take the interval that has closed, whose samples the source has."""
        if self.whole:
            return
        if self._echoes.close(interval):
            self._change((*self._echoes.planned, *self._echoes.courses))
        sample = self._span.first + interval
        if self._routes is None and not self._courses and self._begins == sample:
            self._begins = sample + 1
        else:
            for name in self.kpis:
                flows = self._source.rows(name, sample, sample + 1)[0]
                self._seen[name].append(self.averaged(name, interval, flows)[None])
        self._closed = sample + 1
        self._take(self._source.revisions(sample, sample + 1))

    def _take(self, revisions: Sequence[Revision]) -> None:
        """Put what has become known of flows into the links that carry them.

        A gap of the whole matrix is one of every flow: those that end together are taken together.
        """
        taken: list[Revision] = []
        for (closed, kpi, first, count), together in groupby(revisions, key=_stretch_of):
            if taken and taken[-1].closed != closed:
                taken = []
            flows = np.zeros(len(self._source.flows), dtype=np.bool_)
            for revision in together:
                taken.append(revision)
                flows[revision.series] = True
            base = known(self._source, kpi, closed - 1, first, first + count)
            base = revised(base, first, (each for each in taken if each.kpi == kpi))
            rows = np.stack([self._past_row(kpi, first + i, row) for i, row in enumerate(base)])
            for link in np.flatnonzero(self.carriers(self._surged[kpi].reached(flows))).tolist():
                # While another of its flows is in a gap, the link stays missing there.
                seen = ~np.isnan(rows[:, link])
                edges = np.flatnonzero(np.diff(seen, prepend=False, append=False))
                for start, stop in edges.reshape(-1, 2).tolist():
                    values = rows[start:stop, link]
                    self._revisions.append(Revision(closed, kpi, link, first + start, values))

    def carriers(self, flows: Bools, upto: float = np.inf) -> Bools:
        """Return the links that carry any of `flows` in a routing until a time, [links]."""
        return flows if self._routes is None else self._routes.reached(flows, upto)

    def _past_row(self, kpi: str, sample: int, base: Floats) -> Floats:
        """Return the load of the links in a sample with this `base` demand of flows, [links]."""
        interval = sample - self._span.first
        return self._carried(base) if interval < 0 else self.averaged(kpi, interval, base)

    def averaged(self, kpi: str, interval: int, base: Floats) -> Floats:
        """Return the mean load of the links in an interval with this `base` demand of flows."""
        tick_s = self._source.tick_s
        return self._mean_of(kpi, base, interval * tick_s, (interval + 1) * tick_s)

    def _load(self, kpi: str, interval: int, start: float, end: float) -> Floats:
        sample = self._span.first + interval
        base = self._source.values(kpi, sample, sample + 1)[0]
        return self._mean_of(kpi, base, start, end)

    def _mean_of(self, kpi: str, base: Floats, start: float, end: float) -> Floats:
        """Return the mean load of the links over [start, end) of one interval, [links]."""
        if self._routes is None:
            return self._surged[kpi].over(base, start, end)
        routes, surged = self._routes, self._surged[kpi]
        parts = [
            routed(routes.at(a), surged.over(base, a, b)) * ((b - a) / (end - start))
            for a, b in pairwise(routes.edges(start, end))
        ]
        return parts[0] if len(parts) == 1 else np.asarray(np.sum(parts, axis=0))


def _stretch_of(revision: Revision) -> tuple[int, str, int, int]:
    """Return when which samples of which KPI become known: that of all flows in the same gap."""
    return revision.closed, revision.kpi, revision.first, len(revision.values)
