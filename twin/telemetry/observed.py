"""What has been observed so far, as policies see it."""

from __future__ import annotations

import numpy as np

from twin.core.arrays import Floats
from twin.core.tail import Growing
from twin.demand.gaps import Feed, known


class Observed:
    """The KPIs of a feed as they are known now, copied as they are asked for.

    It hands out views of arrays that hold the past alone, whatever the feed holds.
    """

    def __init__(self, feed: Feed, series: int, capacity: int) -> None:
        """Take a feed of `series` series, and room for `capacity` samples."""
        self._feed, self._series, self._capacity = feed, series, capacity
        self._tables: dict[str, Growing] = {}
        self._latest: Floats = np.zeros(series)
        self._latest_upto = 0

    def values(self, kpi: str, closed: int) -> Floats:
        """Return a KPI as it is known once `closed` samples are seen, [samples, series]."""
        table = self._tables.get(kpi)
        if table is None:
            table = self._tables[kpi] = Growing(self._series, self._capacity)
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
            rows = self._feed.rows(kpi, self._latest_upto, closed)
            latest = rows[-1]
            if np.isnan(latest).any():
                known = ~np.isnan(rows)[::-1]
                ago = known.argmax(axis=0)
                newest = rows[len(rows) - 1 - ago, np.arange(self._series)]
                latest = np.where(known.any(axis=0), newest, self._latest)
            self._latest = np.array(latest)
            self._latest.setflags(write=False)
            self._latest_upto = closed
        return self._latest
