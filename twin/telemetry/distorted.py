"""What is observed of a feed where telemetry is lost, late, noisy or biased.

The account is of the feed itself; policies and models see it through this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np

from twin.core.arrays import Bools, Floats
from twin.demand.gaps import Feed, Revision
from twin.demand.kpis import TRAFFIC_KPIS
from twin.demand.repair import LONGEST_S, between
from twin.events.effects import Distortion

BLOCK = 1024
"""Samples of noise that are drawn together."""


class LinkFeed(Feed, Protocol):
    """A feed of the load of links."""

    links: tuple[str, ...]

    def coming(self, interval: int) -> Floats:
        """Return the mean demand of an interval that has not closed, [links]."""


class DistortedFeed:
    """A feed of links, as it is observed under distortions; their order does not count."""

    def __init__(self, feed: LinkFeed, first: int, tick_s: int, seed: int) -> None:
        """Take a feed whose sample `first` is the first of the replay."""
        self._feed, self._first, self._tick_s, self._seed = feed, first, tick_s, seed
        self.links = feed.links
        self._distortions: tuple[Distortion, ...] = ()

    def distort(self, distortions: Sequence[Distortion]) -> bool:
        """Replace the distortions; return whether they differ.

        They agree with the former ones in what has been seen.
        """
        differ = len(distortions) != len(self._distortions) or any(
            a is not b for a, b in zip(distortions, self._distortions, strict=True)
        )
        self._distortions = tuple(distortions)
        return differ

    def look_ahead(self, feed: LinkFeed) -> None:
        """Take from now on a feed that holds the same and more, for those who may look ahead."""
        self._feed = feed

    @property
    def kpis(self) -> tuple[str, ...]:
        """Names of the KPIs."""
        return self._feed.kpis

    @property
    def ready(self) -> int:
        """Number of samples that can be asked for."""
        return self._feed.ready

    def coming(self, interval: int) -> Floats:
        """Return the mean demand of an interval that has not closed, as it is, [links]."""
        return self._feed.coming(interval)

    # Which samples a distortion is of

    def _span(self, distortion: Distortion) -> range:
        """Return the samples whose intervals end in (start, end]."""
        start, end = distortion.start // self._tick_s, distortion.end // self._tick_s
        last = self._first + int(end) if np.isfinite(end) else np.iinfo(np.int64).max
        return range(self._first + int(start), last)

    def _ticks_late(self, distortion: Distortion) -> int:
        return -int(-distortion.late // self._tick_s)

    def _within(self, start: int, stop: int) -> Iterator[tuple[Distortion, slice]]:
        """Yield the distortions of samples start <= i < stop, and which of these they are of."""
        for each in self._distortions:
            span = self._span(each)
            first, last = max(span.start, start), min(span.stop, stop)
            if first < last:
                yield each, slice(first - start, last - start)

    # The feed

    def rows(self, kpi: str, start: int, stop: int) -> Floats:
        """Return samples start <= i < stop as first seen, [samples, links]."""
        rows = self._measured(kpi, start, self._feed.rows(kpi, start, stop))
        hidden = [each for each in self._within(start, stop) if each[0].lost or each[0].late]
        if hidden:
            rows = rows.copy()
            for distortion, part in hidden:
                rows[part, distortion.links] = np.nan
        return rows

    def _measured(self, kpi: str, start: int, rows: Floats) -> Floats:
        """Return samples from `start` on as they are measured, be they lost or late."""
        some = [
            each
            for each in self._within(start, start + len(rows))
            if each[0].noise or each[0].factor != 1 or each[0].add_mbps
        ]
        if not some:
            return rows
        rows = rows.copy()
        for distortion, part in some:
            if not distortion.noise:
                added = distortion.add_mbps if kpi in TRAFFIC_KPIS else 0.0
                rows[part, distortion.links] *= distortion.factor
                rows[part, distortion.links] += added
        np.maximum(rows, 0.0, out=rows)
        for distortion, part in some:
            if distortion.noise:
                z = self._noise(distortion, kpi, start + part.start, start + part.stop)
                rows[part, distortion.links] *= np.maximum(1 + distortion.noise * z, 0.0)
        return rows

    def _noise(self, distortion: Distortion, kpi: str, start: int, stop: int) -> Floats:
        """Return normal numbers of its links, the same whatever is asked for, [samples, links]."""
        places, channel = np.flatnonzero(distortion.links).tolist(), self.kpis.index(kpi)
        first, last = (start - self._first) // BLOCK, (stop - 1 - self._first) // BLOCK
        drawn = np.empty(((last - first + 1) * BLOCK, len(places)))
        for column, place in enumerate(places):
            key = distortion.noises[place]
            blocks = [_normal(self._seed, key, channel, b) for b in range(first, last + 1)]
            drawn[:, column] = np.concatenate(blocks)
        offset = start - self._first - first * BLOCK
        return drawn[offset : offset + stop - start]

    def revisions(self, after: int, upto: int) -> list[Revision]:
        """Return what becomes known once more than `after` and at most `upto` samples are seen."""
        if not self._distortions:
            return self._feed.revisions(after, upto)
        late = max(self._ticks_late(each) for each in self._distortions)
        found = [
            each
            for revision in self._feed.revisions(after - late, upto)
            for each in self._later(revision)
            if after < each.closed <= upto
        ]
        found += self._interpolated(after, upto)
        found += self._arrived(after, upto)
        place = {kpi: i for i, kpi in enumerate(self.kpis)}
        return sorted(
            found, key=lambda each: (each.closed, place[each.kpi], each.first, each.series)
        )

    def _later(self, revision: Revision) -> Iterator[Revision]:
        """Yield the parts of a revision that are not lost, as they are measured, and later."""
        stop = revision.first + len(revision.values)
        column = np.full((len(revision.values), len(self.links)), np.nan)
        column[:, revision.series] = revision.values
        values = self._measured(revision.kpi, revision.first, column)[:, revision.series].copy()
        late = 0
        for distortion, part in self._within(revision.first, stop):
            if distortion.links[revision.series]:
                late = max(late, self._ticks_late(distortion))
                values[part] = np.nan if distortion.lost else values[part]
        edges = np.flatnonzero(np.diff(~np.isnan(values), prepend=False, append=False))
        for first, stop in edges.reshape(-1, 2).tolist():
            left = revision._replace(first=revision.first + first, values=values[first:stop])
            yield left._replace(closed=revision.closed + late)

    def _arrived(self, after: int, upto: int) -> Iterator[Revision]:
        """Yield the late samples that have come, which each link sends with its own delay."""
        delays = [each for each in self._distortions if each.late]
        if not delays:
            return
        most = max(self._ticks_late(each) for each in delays)
        spans = [self._span(each) for each in delays]
        first = max(after - most, min(span.start for span in spans))
        for sample in range(first, min(upto, max(span.stop for span in spans))):
            late, lost = np.zeros(len(self.links), dtype=np.int64), self._lost(sample)
            for each in delays:
                if sample in self._span(each):
                    late[each.links] = np.maximum(late[each.links], self._ticks_late(each))
            closed = sample + 1 + late
            come = np.flatnonzero((late > 0) & ~lost & (closed > after) & (closed <= upto))
            if not len(come):
                continue
            for kpi in self.kpis:
                row = self._measured(kpi, sample, self._feed.rows(kpi, sample, sample + 1))[0]
                for link in come[~np.isnan(row[come])].tolist():
                    yield Revision(
                        int(closed[link]), kpi, link, sample, row[link : link + 1].copy()
                    )

    def _lost(self, sample: int) -> Bools:
        """Return the links whose sample is lost, [links]."""
        lost = np.zeros(len(self.links), dtype=np.bool_)
        for each in self._distortions:
            if each.lost and sample in self._span(each):
                lost |= each.links
        return lost

    def _interpolated(self, after: int, upto: int) -> Iterator[Revision]:
        """Yield the short gaps whose far end has been seen: samples between their neighbours."""
        most = int(LONGEST_S // self._tick_s)
        for far in {self._span(each).stop for each in self._distortions if each.lost}:
            if not after < far + 1 <= upto:
                continue
            start = max(far - most - 1, 0)
            for kpi in self.kpis:
                rows = self.rows(kpi, start, far + 1)
                lost = np.array([self._lost(sample) for sample in range(start, far)])
                # The last sample that is not lost comes before so many that are.
                count = np.where(lost.all(axis=0), 0, lost[::-1].argmin(axis=0))
                for link in np.flatnonzero((count > 0) & (count <= most)).tolist():
                    n = int(count[link])
                    left, right = rows[-2 - n, link], rows[-1, link]
                    if np.isnan(left) or np.isnan(right):
                        continue
                    share = np.arange(1, n + 1) / (n + 1)
                    filled = between(np.full(n, left), np.full(n, right), share)
                    yield Revision(far + 1, kpi, link, far - n, filled)

    def next_revision(self, after: int) -> int | None:
        """Return a number of samples seen by which, at the earliest, there is another revision."""
        times = [self._feed.next_revision(after)]
        for each in self._distortions:
            span, late = self._span(each), self._ticks_late(each)
            if late:
                own = max(after + 1, span.start + 1 + late)
                times.append(own if own <= span.stop + late else None)
                base = self._feed.next_revision(after - late)
                times.append(None if base is None else max(base + late, after + 1))
            if each.lost and span.stop + 1 > after:
                times.append(span.stop + 1)
        return min((time for time in times if time is not None), default=None)


@lru_cache(maxsize=4096)
def _normal(seed: int, key: int, channel: int, block: int) -> Floats:
    """Return a block of the stream of noise of a link's KPI, which nothing may write to."""
    from twin.events.base import EVENT_STREAM

    words = [seed, EVENT_STREAM, key, channel, block]
    drawn = np.random.default_rng(np.random.SeedSequence(words)).standard_normal(BLOCK)
    drawn.setflags(write=False)
    return drawn
