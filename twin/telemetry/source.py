"""Sources of telemetry: a trace that is replayed, and samples that are delivered as they come.

Both are feeds of the flows' base demand (see :class:`twin.demand.gaps.Feed`). Only a replay knows
what is still to come; it lends that to the engine alone, which forecasts many samples at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem, did_you_mean, show
from twin.core.tail import Growing
from twin.demand.gaps import ArrayFeed, Feed, Revision, became_known, known, next_known
from twin.demand.repair import LONGEST_S, between
from twin.demand.trace import Trace


class TelemetrySource(Feed, Protocol):
    """A feed of the base demand of flows, sample by sample."""

    ahead: ClassVar[bool]
    """Whether what has not closed yet can be asked for."""
    flows: tuple[str, ...]
    tick_s: int
    starts: datetime | None
    """Time of the first sample, if it is known."""
    timezone: str | None
    """Whose clocks show the times, where that is stated."""

    def values(self, kpi: str, start: int, stop: int) -> Floats:
        """Return samples start <= i < stop as they are best known, [samples, flows].

        In a replay every short gap is interpolated, as the account counts it.
        """


class ReplaySource(ArrayFeed):
    """A trace, replayed."""

    ahead: ClassVar[bool] = True

    def __init__(self, trace: Trace) -> None:
        super().__init__(trace.kpis, trace.gaps)
        self.flows, self.tick_s, self.starts = trace.links, trace.tick_s, trace.starts
        self.timezone = trace.timezone

    def values(self, kpi: str, start: int, stop: int) -> Floats:
        """Return samples start <= i < stop as they are best known, [samples, flows]."""
        return self._values[kpi][start:stop]


class LiveSource:
    """Samples that are delivered one interval at a time, after a history.

    A gap of up to an hour is interpolated once its far end has come, by the same rule as in a
    trace that is read as a whole.
    """

    ahead: ClassVar[bool] = False

    def __init__(self, history: Trace, *, fill_gaps: bool = True) -> None:
        """Begin after the samples of `history`, a trace, as they are known at its end.

        Without `fill_gaps` nothing is interpolated: what fills a gap is delivered as well.
        """
        given: Any = history
        if not isinstance(given, Trace):
            raise InputError(Problem(f"must be a Trace, not {show(given)}", "history"))
        self.flows, self.tick_s, self.starts = history.links, history.tick_s, history.starts
        self.timezone = history.timezone
        self._fill_gaps = fill_gaps
        self.history = head(history, history.samples)
        """What came before the first delivery."""
        # What has been seen stays as it is: the history is the trace's own, never a copy of it.
        self._past, self._begins = ReplaySource(self.history), history.samples
        self._seen = {name: Growing(len(self.flows)) for name in history.kpis}
        self._revisions = self._past.revisions(0, self._begins)

    @property
    def kpis(self) -> tuple[str, ...]:
        """Names of the KPIs."""
        return tuple(self._seen)

    @property
    def ready(self) -> int:
        """Number of samples that have been delivered, the history included."""
        return self._begins + next(iter(self._seen.values())).rows

    def deliver(self, values: Mapping[str, ArrayLike], revisions: Iterable[Revision] = ()) -> None:
        """Take the samples of the interval that has closed: for each KPI, one for each flow.

        NaN is missing; `revisions` are earlier samples that are known now. Raises InputError for
        KPIs that are not those of the history, for another number of flows, and for values that
        are no demand; nothing is taken then.
        """
        given: Any = values
        if not isinstance(given, Mapping):
            raise InputError(Problem(f"must be a mapping of KPIs, not {show(given)}", "values"))
        rows = {name: self._checked(name, row) for name, row in values.items()}
        for name in self.kpis:
            if name not in rows:
                raise InputError(Problem("is missing", name, suggestion="NaN stands for no sample"))
        sample, revised = self.ready, list(revisions)
        for revision in revised:
            self._check_revision(revision, sample)
        for name, row in rows.items():
            self._seen[name].append(row[None])
            if self._fill_gaps:
                self._fill(name, row, sample)
        for revision in revised:
            self._revisions.append(revision._replace(closed=sample + 1))

    def _checked(self, name: str, row: ArrayLike) -> Floats:
        if name not in self._seen:
            hint = did_you_mean(name, self.kpis) or f"KPIs: {', '.join(self.kpis)}"
            raise InputError(Problem("is no KPI of the history", name, suggestion=hint))
        try:
            values = np.asarray(row, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(Problem("must be numbers, one for each flow", name)) from None
        if values.shape != (len(self.flows),):
            what = f"has shape {values.shape}, not one number for each of {len(self.flows)} flows"
            raise InputError(Problem(what, name))
        if (values < 0).any() or np.isinf(values).any():
            flow = self.flows[int(np.flatnonzero((values < 0) | np.isinf(values))[0])]
            what = f"of '{flow}' is negative or infinite"
            raise InputError(Problem(what, name, suggestion="NaN stands for no sample"))
        return values

    def _check_revision(self, revision: Revision, sample: int) -> None:
        if revision.kpi not in self._seen:
            raise InputError(Problem("is no KPI of the history", revision.kpi))
        stop = revision.first + len(revision.values)
        if not (0 <= revision.series < len(self.flows) and 0 <= revision.first < stop <= sample):
            what = "a revision is of samples that have not been delivered, or of no flow"
            raise InputError(Problem(what, revision.kpi))
        if (revision.values < 0).any() or np.isinf(revision.values).any():
            raise InputError(Problem("a revision is negative or infinite", revision.kpi))

    def _fill(self, name: str, row: Floats, sample: int) -> None:
        """Interpolate the gaps that end before the row of `sample`."""
        known_now = ~np.isnan(row)
        latest = known(self, name, sample, sample - 1)[0]
        if not (known_now & np.isnan(latest)).any():
            return
        most = min(int(LONGEST_S // self.tick_s) + 1, sample)
        before = known(self, name, sample, sample - most)
        for flow in np.flatnonzero(known_now & np.isnan(latest)).tolist():
            known_before = np.flatnonzero(~np.isnan(before[:, flow]))
            if not len(known_before):
                continue
            count = most - 1 - int(known_before[-1])
            left, right = before[known_before[-1], flow], row[flow]
            share = np.arange(1, count + 1) / (count + 1)
            filled = between(np.full(count, left), np.full(count, right), share)
            self._revisions.append(Revision(sample + 1, name, flow, sample - count, filled))

    def rows(self, kpi: str, start: int, stop: int) -> Floats:
        """Return samples start <= i < stop as first seen, [samples, flows]."""
        begins = self._begins
        if stop <= begins:
            return self._past.rows(kpi, start, stop)
        delivered = self._seen[kpi].view(max(start - begins, 0), stop - begins)
        if start >= begins:
            return delivered
        return np.concatenate([self._past.rows(kpi, start, begins), delivered])

    def values(self, kpi: str, start: int, stop: int) -> Floats:
        """Return samples start <= i < stop as they are best known, [samples, flows]."""
        return known(self, kpi, self.ready, start, stop)

    def revisions(self, after: int, upto: int) -> list[Revision]:
        """Return what became known once more than `after` and at most `upto` samples were seen."""
        return became_known(self._revisions, after, upto)

    def next_revision(self, after: int) -> int | None:
        """Return the number of samples seen at the first revision after `after`."""
        return next_known(self._revisions, after)


def head(trace: Trace, samples: int) -> Trace:
    """Return the first samples of a trace as they are known at their end."""
    whole = samples == trace.samples
    if whole and all((gaps.seen < samples).all() for gaps in trace.gaps.values()):
        return trace
    feed = ArrayFeed(trace.kpis, trace.gaps)
    kpis = {name: known(feed, name, samples) for name in trace.kpis}
    gaps = {name: gaps.before(samples) for name, gaps in trace.gaps.items()}
    return replace(trace, kpis=kpis, gaps=gaps)
