"""Gaps that were interpolated, and when that could be known.

A sample of a gap is interpolated between the samples around the gap, so that nobody who watches the
trace as it comes can know it before the far end of the gap has been seen. Until then the sample is
missing, for all but the account.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from twin.core.arrays import Bools, Floats, Ints


class Revision(NamedTuple):
    """Samples that become known later than their own time."""

    closed: int
    """How many samples have been seen when they become known."""
    kpi: str
    series: int
    first: int
    """The first of the samples, which follow each other."""
    values: Floats
    """[samples]"""

    def __deepcopy__(self, memo: dict[int, object]) -> Revision:
        # Nothing here ever changes.
        return self


def became_known(revisions: Sequence[Revision], after: int, upto: int) -> list[Revision]:
    """Return which of `revisions`, in order, become known after `after` and by `upto` samples."""
    first, last = (bisect_right(revisions, n, key=_closed) for n in (after, upto))
    return list(revisions[first:last])


def next_known(revisions: Sequence[Revision], after: int) -> int | None:
    """Return when the first of `revisions`, in order, becomes known after `after` samples."""
    place = bisect_right(revisions, after, key=_closed)
    return revisions[place].closed if place < len(revisions) else None


def _closed(revision: Revision) -> int:
    return revision.closed


class Feed(Protocol):
    """Series as they are observed, sample by sample, and what becomes known of them later.

    A sample that is not known at its own time is NaN in :meth:`rows`; it may be among the later
    :meth:`revisions`.
    """

    @property
    def kpis(self) -> tuple[str, ...]:
        """Names of the KPIs."""

    @property
    def ready(self) -> int:
        """Number of samples that can be asked for: all of a replay, those delivered to a twin."""

    def rows(self, kpi: str, start: int, stop: int) -> Floats:
        """Return samples start <= i < stop as first seen, [samples, series]."""

    def revisions(self, after: int, upto: int) -> list[Revision]:
        """Return what becomes known once more than `after` and at most `upto` samples are seen.

        Ordered by that number, then by KPI and time.
        """

    def next_revision(self, after: int) -> int | None:
        """Return the number of samples seen at the first revision after `after`, if there is one.

        None where no later one is known yet.
        """


@dataclass(frozen=True, slots=True)
class Gaps:
    """Runs of interpolated samples, in the order in which they become known; arrays are [runs]."""

    series: Ints
    first: Ints
    stop: Ints
    """The run is first <= i < stop."""
    seen: Ints
    """The sample with the far end of the gap, at or after `stop`."""

    @classmethod
    def none(cls) -> Gaps:
        """Return no gaps."""
        return cls(*np.zeros((4, 0), dtype=np.int64))

    @classmethod
    def of(cls, series: Ints, first: Ints, stop: Ints, seen: Ints) -> Gaps:
        """Return the runs in the order in which they become known."""
        order = np.lexsort((series, first, seen))
        return cls(series[order], first[order], stop[order], seen[order])

    def __len__(self) -> int:
        return len(self.series)

    def within(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield series, first and end of each run's part in [start, stop)."""
        some = np.flatnonzero((self.first < stop) & (self.stop > start))
        for run in some.tolist():
            yield (
                int(self.series[run]),
                max(int(self.first[run]), start),
                min(int(self.stop[run]), stop),
            )

    def hidden(self, samples: int) -> Bools:
        """Return at which of the first `samples` samples any series is in a gap, [samples]."""
        edges = np.zeros(samples + 1, dtype=np.int64)
        np.add.at(edges, np.minimum(self.first, samples), 1)
        np.add.at(edges, np.minimum(self.stop, samples), -1)
        hidden: Bools = np.cumsum(edges[:samples]) > 0
        return hidden

    def before(self, sample: int) -> Gaps:
        """Return the runs that are known once the samples before `sample` are seen."""
        some = self.seen < sample
        return Gaps(self.series[some], self.first[some], self.stop[some], self.seen[some])

    def of_series(self, chosen: Sequence[int]) -> Gaps:
        """Return the runs of some series, which are numbered in the order of `chosen`."""
        number = {series: i for i, series in enumerate(chosen)}
        some = np.isin(self.series, chosen)
        series = np.array([number[each] for each in self.series[some].tolist()], dtype=np.int64)
        return Gaps.of(series, self.first[some], self.stop[some], self.seen[some])


class ArrayFeed:
    """Series that are there as a whole, observed sample by sample."""

    def __init__(self, kpis: Mapping[str, Floats], gaps: Mapping[str, Gaps] | None = None) -> None:
        """Take KPIs, [samples, series] each, and which of their samples were interpolated."""
        self._values = dict(kpis)
        self._kpis = tuple(kpis)
        self._gaps = {name: each for name, each in (gaps or {}).items() if len(each)}
        # Most samples neither lie in a gap nor reveal one: these tables say so at once.
        self._hidden = {name: each.hidden(self.ready) for name, each in self._gaps.items()}
        times = {seen + 1 for each in self._gaps.values() for seen in each.seen.tolist()}
        self._revised = sorted(times)

    def __deepcopy__(self, memo: dict[int, Any]) -> ArrayFeed:
        # Nothing here ever changes.
        return self

    @property
    def kpis(self) -> tuple[str, ...]:
        """Names of the KPIs."""
        return self._kpis

    @property
    def ready(self) -> int:
        """Number of samples that can be asked for."""
        return len(next(iter(self._values.values())))

    def rows(self, kpi: str, start: int, stop: int) -> Floats:
        """Return samples start <= i < stop as first seen, [samples, series]."""
        rows = self._values[kpi][start:stop]
        if kpi in self._hidden and self._hidden[kpi][start:stop].any():
            rows = rows.copy()
            for series, first, end in self._gaps[kpi].within(start, stop):
                rows[first - start : end - start, series] = np.nan
        return rows

    def revisions(self, after: int, upto: int) -> list[Revision]:
        """Return what becomes known once more than `after` and at most `upto` samples are seen."""
        if bisect_right(self._revised, after) == bisect_right(self._revised, upto):
            return []
        revisions = []
        for name, gaps in self._gaps.items():
            first, last = np.searchsorted(gaps.seen, (after, upto))
            for run in range(int(first), int(last)):
                series, start = int(gaps.series[run]), int(gaps.first[run])
                values = self._values[name][start : int(gaps.stop[run]), series]
                revisions.append(Revision(int(gaps.seen[run]) + 1, name, series, start, values))
        return sorted(revisions, key=lambda revision: revision.closed)

    def next_revision(self, after: int) -> int | None:
        """Return the number of samples seen at the first revision after `after`."""
        place = bisect_right(self._revised, after)
        return self._revised[place] if place < len(self._revised) else None


def known(feed: Feed, kpi: str, closed: int, first: int = 0, stop: int | None = None) -> Floats:
    """Return what is known of a KPI once `closed` samples are seen, [samples, series].

    Of samples first <= i < stop, by default all that are seen. Not to be written to.
    """
    stop = closed if stop is None else stop
    # A sample is never revised before it is seen.
    revisions = [each for each in feed.revisions(first, closed) if each.kpi == kpi]
    return revised(feed.rows(kpi, first, stop), first, revisions)


def revised(rows: Floats, first: int, revisions: Iterable[Revision]) -> Floats:
    """Return samples from `first` on as they are after `revisions` of the same KPI, in order.

    They are copied where any is revised.
    """
    copied = False
    for each in revisions:
        start = max(each.first, first)
        values = each.values[start - each.first : max(first + len(rows) - each.first, 0)]
        if not len(values):
            continue
        if not copied:
            rows, copied = rows.copy(), True
        rows[start - first : start - first + len(values), each.series] = values
    return rows
