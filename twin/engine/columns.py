"""Links of several futures as the columns of one feed, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.demand.gaps import Revision
from twin.engine.provisioning import Provisioning
from twin.policy.commitment import Commitment
from twin.telemetry.distorted import LinkFeed


class ColumnFeed:
    """What some links carried, each as often as it comes, and what each of these columns will."""

    def __init__(
        self, feed: LinkFeed, links: Ints, closed: int, ahead: Mapping[str, Floats]
    ) -> None:
        """Take a feed whose first `closed` samples are there, and which of its links to repeat.

        `ahead` is what comes after them, [samples, columns] of each KPI.
        """
        self._feed, self._places, self._closed, self._ahead = feed, links, closed, ahead
        self.links = tuple(np.asarray(feed.links)[links].tolist())

    @property
    def kpis(self) -> tuple[str, ...]:
        """Names of the KPIs."""
        return self._feed.kpis

    @property
    def ready(self) -> int:
        """Number of samples that can be asked for."""
        return self._closed + len(next(iter(self._ahead.values())))

    def rows(self, kpi: str, start: int, stop: int) -> Floats:
        """Return samples start <= i < stop, [samples, columns]."""
        closed = self._closed
        ahead = self._ahead[kpi][max(start - closed, 0) : max(stop - closed, 0)]
        if start >= closed:
            return ahead
        past = self._feed.rows(kpi, start, min(stop, closed))[:, self._places]
        return past if stop <= closed else np.concatenate([past, ahead])

    def revisions(self, after: int, upto: int) -> list[Revision]:
        """Return what becomes known once more than `after` and at most `upto` samples are seen."""
        return [
            revision._replace(series=column)
            for revision in self._feed.revisions(after, upto)
            for column in np.flatnonzero(self._places == revision.series).tolist()
        ]

    def next_revision(self, after: int) -> int | None:
        """Return the number of samples seen at the first revision after `after`."""
        return self._feed.next_revision(after)

    def coming(self, interval: int) -> NoReturn:
        """Raise RuntimeError: who decides for columns is shown no future."""
        raise RuntimeError(f"the demand of interval {interval} is not shown ahead")


class ColumnOrders:
    """The orders of one policy for columns, from tick to tick."""

    def __init__(self, provisioning: Provisioning, links: Ints) -> None:
        """Go on from the orders of the links that are the columns."""
        self._provisioning = provisioning.for_links(links)
        self._under_way = self._provisioning.under_way

    def commitment(self, now: float, tick_s: int) -> Commitment:
        """Return what a decision taken at `now` covers, with what is under way then."""
        # What takes effect at this very instant does so after decisions.
        for order in self._under_way:
            if order.at < now:
                self._provisioning.apply(order)
        self._under_way = [order for order in self._under_way if order.at >= now]
        return self._provisioning.commitment(now, tick_s).sealed()

    def request(self, requested: Floats, now: float) -> None:
        """Take what is decided at `now`, Mbit/s, [columns]."""
        self._under_way += self._provisioning.request(requested, now)
