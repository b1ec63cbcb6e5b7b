"""What has been observed so far, as policies see it."""

from __future__ import annotations

import numpy as np

from twin.core.arrays import Bools, Floats, Ints, of_columns
from twin.core.sealed import sealed
from twin.core.tail import ShownTable
from twin.demand.gaps import Feed, Revision, known


class Observed:
    """The KPIs of a feed as they are known now, copied as they are asked for.

    It hands out views of arrays that hold the past alone, whatever the feed holds, and that nobody
    can write to.
    """

    def __init__(self, feed: Feed, series: int, capacity: int) -> None:
        """Take a feed of `series` series, and room for `capacity` samples."""
        self._feed, self._series, self._capacity = feed, series, capacity
        self._tables: dict[str, ShownTable] = {}
        self._latest: Floats = np.zeros(series)
        self._latest_at = np.full(series, -1, dtype=np.int64)
        self._latest_upto = 0

    def for_series(self, feed: Feed, series: Ints) -> Observed:
        """Return what goes on from here of some series, as `feed` has them."""
        some = of_columns(self, series)
        some._feed, some._series, some._tables = feed, len(series), {}
        return some

    def values(self, kpi: str, closed: int) -> Floats:
        """Return a KPI as it is known once `closed` samples are seen, [samples, series]."""
        table = self._tables.get(kpi)
        if table is None:
            table = self._tables[kpi] = ShownTable(self._series, self._capacity)
        if table.rows < closed:
            first = table.rows
            table.append(self._feed.rows(kpi, first, closed))
            for revision in self._feed.revisions(first, closed):
                if revision.kpi == kpi:
                    table.put(revision.first, revision.series, revision.values)
        return table.view(0, closed)

    def intact(self) -> bool:
        """Return whether what was handed out is still what the feed says."""
        return all(
            np.array_equal(table.view(), known(self._feed, kpi, table.rows), equal_nan=True)
            for kpi, table in self._tables.items()
        )

    def last_known(self, kpi: str, closed: int) -> Floats:
        """Return the latest value before sample `closed` that was not missing, [series].

        0 for a series that has none.
        """
        if closed > self._latest_upto:
            first = self._latest_upto
            rows = self._feed.rows(kpi, first, closed)
            latest = np.array(rows[-1])
            missing = np.isnan(latest)
            if not missing.any():
                self._latest_at[:] = closed - 1
            else:
                self._latest_at[~missing] = closed - 1
                known_rows = ~np.isnan(rows)[::-1]
                place = len(rows) - 1 - known_rows.argmax(axis=0)
                newer = missing & known_rows.any(axis=0)
                latest = np.where(missing, self._latest, latest)
                latest[newer] = rows[place, np.arange(self._series)][newer]
                self._latest_at[newer] = first + place[newer]
            for revision in self._feed.revisions(first, closed):
                self._take_later(revision, kpi, latest)
            self._latest, self._latest_upto = sealed(latest), closed
        return sealed(self._latest)

    def unseen(self, kpi: str, closed: int) -> Bools:
        """Return the series that have no value that is known before sample `closed`, [series]."""
        self.last_known(kpi, closed)
        return np.asarray(self._latest_at < 0)

    def _take_later(self, revision: Revision, kpi: str, latest: Floats) -> None:
        """Let a sample that became known later count where it is the newest of its series."""
        present = np.flatnonzero(~np.isnan(revision.values))
        if revision.kpi != kpi or not len(present):
            return
        at = revision.first + int(present[-1])
        if at > self._latest_at[revision.series]:
            self._latest_at[revision.series] = at
            latest[revision.series] = revision.values[present[-1]]
