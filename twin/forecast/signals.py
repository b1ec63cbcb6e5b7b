"""What linear forecasts of a link are made from: its past changes, and the course of its seasons.

With y the last known value at sample o, a season of p samples has a usual level L at each place,
which follows what is seen there by the share :data:`_UPDATE` (by 1/n while there are only n). Let
here(o) be the usual level at the place of o before o was seen, next(o + i) that at the place of
o + i after all up to o were seen, and

    r = (mean of y) / (mean of here), over the last first season,

the size of the season of late: an amplitude that shrinks for a fortnight is followed in a day. A
forecast h steps ahead of o reads, for each season,

    r (next(o + h) - here(o))                 the change that is usual from here to there
    r (next(o + h + d) - next(o + h))         the same around there, d in :data:`NEAR`
    y - r here(o)                             how far the link is from its usual course
    r (here(o) - here(o - l))                 the usual changes up to here, l in :data:`BACK`

and the latest changes from sample to sample. Everything is divided by the link's scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from twin.core.arrays import Bools, Floats, Ints, of_columns
from twin.core.tail import Tail

LAGS: Final = 24
"""Past changes of the traffic that a forecast reads."""
OTHER_LAGS: Final = 3
"""Past changes of each other KPI."""
NEAR: Final = (-4, -3, -2, -1, 1, 2, 3, 4)
BACK: Final = (1, 2, 3, 6, 12)
_PER_SEASON: Final = 2 + len(NEAR) + len(BACK)
_UPDATE: Final = 0.25
"""Share of the latest occurrence in the usual level."""
_OUTLIER: Final = 10.0
"""Levels are learnt from as if they were at most this many times as far off as usual."""
_SIZES: Final = (0.2, 5.0)
"""Bounds of r."""
_LINKS_AT_ONCE: Final = 64
_MARGIN: Final = max(BACK) + max(NEAR) + 2


class LinkGroup(NamedTuple):
    """Some links with the same seasons."""

    links: slice | Ints
    periods: tuple[int, ...]
    """Samples in each season; 0 for none."""
    size: int
    """Number of links."""
    numbers: int
    """Numbers that a forecast reads of each: without a season, there are none of it."""


class Signals:
    """The past of all links, sample by sample, and what a linear forecast reads of it."""

    def __init__(self, features: int, periods: Ints, reach: int, every: int) -> None:
        """Keep enough to forecast `reach` steps ahead, and to learn that from `every` samples.

        `periods` are the samples in each link's seasons, 0 for none, [seasons, links].
        """
        links = periods.shape[1]
        # There is nothing to keep of a second season that no link has.
        periods = periods[: max(int(periods.any(axis=1).sum()), 1)]
        self.lags = [LAGS] + [OTHER_LAGS] * (features - 1)
        self.count = sum(self.lags) + _PER_SEASON * len(periods)
        """The most numbers that a forecast reads of a link."""
        self.past = sum(self.lags)
        """How many of them are past changes: the first ones."""
        self._periods = periods
        self._group()
        learnt = reach + every + _MARGIN
        first_season = int(periods[0].max(initial=0))
        self._changes = [_tail(links, lags + learnt) for lags in self.lags]
        self.values = _tail(links, learnt)
        self.known = Tail(links, learnt, dtype=np.bool_)
        # Running sums, whose differences are means over the last first season.
        self._total = _tail(links, first_season + learnt)
        self._levels = [_tail(links, int(p.max(initial=0)) + learnt) for p in periods]
        self._usual = [_tail(links, first_season + learnt) for _ in periods]
        # How far a season is usually from its usual level: of the last whole one, and so far.
        self._apart, self._apart_sum = np.zeros((2, *periods.shape))

    def _group(self) -> None:
        """Group the links by their seasons."""
        self.link_groups = list(_link_groups(self._periods, self.past))
        self._by_period = [_by_period(each) for each in self._periods]

    def for_links(self, links: Ints) -> Signals:
        """Return those that go on from here for some links, which may come several times."""
        some = of_columns(self, links)
        some._group()
        some._changes = [each.for_columns(links) for each in self._changes]
        some._levels = [each.for_columns(links) for each in self._levels]
        some._usual = [each.for_columns(links) for each in self._usual]
        some.values, some.known, some._total = (
            each.for_columns(links) for each in (self.values, self.known, self._total)
        )
        return some

    @property
    def closed(self) -> int:
        """Number of samples that have closed."""
        return self.values.stop

    def extend(self, values: Floats, changes: Sequence[Floats], known: Bools) -> None:
        """Take samples that have closed, [samples, links]: values without gaps, scaled changes.

        `known` says which of the values were known.
        """
        start, stop = self.closed, self.closed + len(values)
        self.values.append(values)
        self.known.append(known)
        for tail, rows in zip(self._changes, changes, strict=True):
            tail.append(rows)
        self._total.append(np.zeros(values.shape))
        for level, usual in zip(self._levels, self._usual, strict=True):
            level.append(np.zeros(values.shape))
            usual.append(np.zeros(values.shape))
        self._follow(start, stop, slice(None))

    def revise(self, feature: int, first: int, link: int, changes: Floats, values: Floats) -> None:
        """Replace what was seen of a link from sample `first` on by what is known now.

        `changes` are one more than the `values`, which are of the first feature.
        """
        self._changes[feature].replace(first, link, changes)
        if feature == 0:
            self.values.replace(first, link, values)
            self.known.replace(first, link, np.ones(len(values), dtype=np.bool_))
            self._follow(first, self.closed, slice(link, link + 1))

    def _follow(self, start: int, stop: int, some: slice) -> None:
        """Make running sums and usual levels of samples start <= i < stop, for some links."""
        _accumulate(self._total, self.values.rows(start, stop)[:, some], start, stop, some)
        for season, (level, usual) in enumerate(zip(self._levels, self._usual, strict=True)):
            before = np.zeros((stop - start, self.values.columns))
            for period, links in self._by_period[season]:
                if some != slice(None):
                    links = np.intersect1d(links, np.arange(some.start, some.stop))
                first = start
                while first < stop and len(links):
                    # As far as one occurrence of the season goes.
                    last = min(stop, first - first % period + period)
                    self._learn(season, period, links, first, last, revised=some != slice(None))
                    if first >= period:
                        at = level.rows(first - period, last - period)[:, links]
                        before[first - start : last - start, links] = at
                    first = last
            _accumulate(usual, before[:, some], start, stop, some)

    def _learn(
        self, season: int, period: int, links: Ints, first: int, last: int, *, revised: bool
    ) -> None:
        """Let the usual level at the places of first <= i < last follow what was seen there.

        They are of one season. A level that is far off counts as less far: what a failed
        collection reads is not the new normal, while a new normal soon widens what is far.
        """
        level = self._levels[season]
        seen = self.values.rows(first, last)[:, links]
        if first >= period:
            before = level.rows(first - period, last - period)[:, links]
            off = np.where(self.known.rows(first, last)[:, links], seen - before, 0.0)
            far = _OUTLIER * self._apart[season, links]
            np.clip(off, -far, far, out=off, where=far > 0)
            seen = before + max(1 / (first // period + 1), _UPDATE) * off
            if not revised:
                so_far = self._apart_sum[season, links]
                total = np.cumsum(np.concatenate([so_far[None], np.abs(off)]), axis=0)[-1]
                whole = last % period == 0
                self._apart_sum[season, links] = 0.0 if whole else total
                if whole:
                    self._apart[season, links] = total / period
        level.rows(first, last)[:, links] = seen

    def read(self, group: LinkGroup, start: int, stop: int, steps: int, scale: Floats) -> Floats:
        """Return what forecasts from samples start <= o < stop read, [numbers, links, samples].

        They are `steps` ahead; `scale` is each link's, [links of the group], 0 where nothing ever
        changed.
        """
        answer = np.zeros((group.numbers, group.size, stop - start))
        place = 0
        for tail, lags in zip(self._changes, self.lags, strict=True):
            rows = tail.rows(start - lags + 1, stop)[:, group.links].T
            # The latest change first. Slice by slice, which is faster than a window view.
            for lag in range(lags):
                first = lags - 1 - lag
                answer[place + lag] = rows[:, first : first + stop - start]
            place += lags
        unit = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)[:, None]
        for season, period in enumerate(group.periods):
            if not period:
                break
            part = answer[place : place + _PER_SEASON]
            place += _PER_SEASON
            # Before that, the size of the season is not known.
            first = max(start, period + group.periods[0])
            if first < stop:
                self._read_season(part[..., first - start :], group, season, first, stop, steps)
                part *= unit
        return answer

    def _read_season(
        self, part: Floats, group: LinkGroup, season: int, start: int, stop: int, steps: int
    ) -> None:
        # r times the usual levels at o + each offset, as they are known at o.
        backs = _backs(steps, group.periods[season])
        first, last = start + int(backs.min()), stop + int(backs.max())
        rows = self._levels[season].rows(first, last)[:, group.links]
        at = (start - first + backs)[:, None] + np.arange(stop - start)
        usual = rows[at].swapaxes(1, 2) * self._size(group, season, start, stop)
        there, here = usual[0], usual[1]
        near, back = usual[2 : 2 + len(NEAR)], usual[2 + len(NEAR) :]
        np.subtract(there, here, out=part[0])
        np.subtract(self.values.rows(start, stop)[:, group.links].T, here, out=part[1])
        np.subtract(near, there, out=part[2 : 2 + len(NEAR)])
        np.subtract(here, back, out=part[2 + len(NEAR) :])

    def _size(self, group: LinkGroup, season: int, start: int, stop: int) -> Floats:
        """Return r, [links, samples]."""
        window = group.periods[0]

        def mean(tail: Tail) -> Floats:
            last = tail.rows(start, stop)[:, group.links]
            return np.asarray((last - tail.rows(start - window, stop - window)[:, group.links]).T)

        seen, usual = mean(self._total), mean(self._usual[season])
        size = np.divide(seen, usual, out=np.ones_like(seen), where=usual > 0)
        return np.asarray(np.clip(size, *_SIZES))

    def course(
        self,
        season: int,
        start: int,
        stop: int,
        offsets: Sequence[int],
        links: slice | Ints = slice(None),
    ) -> Floats:
        """Return r (next(o + i) - here(o)) of some links, for some offsets i.

        [offsets, samples, links]
        """
        periods = self._periods[:, links]
        answer = np.zeros((len(offsets), stop - start, periods.shape[1]))
        whole = isinstance(links, slice)
        groups = self.link_groups if whole else _link_groups(periods, self.past)
        for places in groups if season < len(periods) else ():
            period = places.periods[season]
            first = max(start, period + places.periods[0])
            if not period or first >= stop:
                continue
            group = (
                places if isinstance(links, slice) else places._replace(links=links[places.links])
            )
            size = self._size(group, season, first, stop)
            rows = self._levels[season].rows
            here = rows(first - period, stop - period)[:, group.links].T
            for place, offset in enumerate(offsets):
                back = _back(offset, period)
                there = rows(first + back, stop + back)[:, group.links].T
                part = answer[place, first - start :]
                part[:, places.links] = (size * (there - here)).T
        return answer


def _back(offset: int, period: int) -> int:
    """Return where the place of o + offset was learnt last, from o on: 0 or less."""
    return offset - max(-(-offset // period), 1) * period


@lru_cache(maxsize=256)
def _backs(steps: int, period: int) -> Ints:
    """Return where usual levels are read for a forecast some steps ahead, from o on.

    There, here, around there and before here.
    """
    offsets = (steps, 0, *(steps + near for near in NEAR), *(-lag for lag in BACK))
    return np.array([_back(offset, period) for offset in offsets])


def _tail(links: int, keep: int) -> Tail:
    """Return a tail that begins with as many rows of 0 as may be asked for before the first."""
    tail = Tail(links, keep, -keep)
    tail.append(np.zeros((keep, links)))
    return tail


def _accumulate(total: Tail, rows: Floats, start: int, stop: int, some: slice) -> None:
    """Put the running sum of `rows` into `total`, in the same order for steps of any size."""
    before = total.rows(start - 1, start)[:, some]
    total.rows(start, stop)[:, some] = np.cumsum(np.concatenate([before, rows]), axis=0)[1:]


def _by_period(period: Ints) -> list[tuple[int, Ints]]:
    """Return each period but 0, and its links."""
    return [(int(p), np.flatnonzero(period == p)) for p in np.unique(period) if p > 0]


def _link_groups(periods: Ints, past: int) -> Iterator[LinkGroup]:
    """Yield the links by their seasons, of which only the last ones may be missing."""
    kinds, kind = np.unique(periods, axis=1, return_inverse=True)
    for number, seasons in enumerate(kinds.T.tolist()):
        members = np.flatnonzero(kind.ravel() == number)
        for first in range(0, len(members), _LINKS_AT_ONCE):
            links = members[first : first + _LINKS_AT_ONCE]
            whole = links[-1] - links[0] + 1 == len(links)
            columns = slice(int(links[0]), int(links[-1]) + 1) if whole else links
            numbers = past + _PER_SEASON * sum(p > 0 for p in seasons)
            yield LinkGroup(columns, tuple(int(p) for p in seasons), len(links), numbers)
