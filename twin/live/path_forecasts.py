"""Forecasts of whole paths, from many past instants and from now, for all flows."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.demand.gaps import Feed, Revision
from twin.forecast.feeding import Feeding
from twin.forecast.forecaster import Forecaster, Forecasts
from twin.forecast.windows import forward_filled

_APART_S: Final = 1800
"""The farthest that the steps at which a forecast is made are apart."""
_DAY_S: Final = 86_400
_DAYS: Final = 4
"""Days that say what is usual at a time of the day, at most."""
_HOUR_S: Final = 3600
_PAST_S: Final = 42 * _DAY_S
"""What is read of the past, at most, but for a day: what a twin has seen in a year costs no more.
"""
_FORECAST_S: Final = 14 * _DAY_S
"""The end of it that past forecasts are made in, at most, but for a day."""
_ROUNDED: Final = 8
"""Origins are the same ones until the past has grown by one of so many parts, or by a day."""


class PastFeed:
    """A feed without its first samples, of which nothing is ready but what `ready` says."""

    def __init__(self, feed: Feed, skipped: int) -> None:
        self.feed, self._skipped, self.ready = feed, skipped, 0
        self.kpis = feed.kpis

    def rows(self, kpi: str, start: int, stop: int) -> Floats:
        """Return samples start <= i < stop as first seen, [samples, flows]."""
        return self.feed.rows(kpi, start + self._skipped, stop + self._skipped)

    def revisions(self, after: int, upto: int) -> list[Revision]:
        """Return what became known once more than `after` and at most `upto` samples were seen."""
        skipped, revisions = self._skipped, []
        for each in self.feed.revisions(after + skipped, upto + skipped):
            values = each.values[max(skipped - each.first, 0) :]
            first = max(each.first - skipped, 0)
            if len(values):
                later = each._replace(closed=each.closed - skipped, first=first, values=values)
                revisions.append(later)
        return revisions

    def next_revision(self, after: int) -> int | None:
        """Return the number of samples seen at the first revision after `after`."""
        found = self.feed.next_revision(after + self._skipped)
        return None if found is None else found - self._skipped


class PastOrigins(NamedTuple):
    """The origins of past forecasts; the same ones, and more of them, as the past grows.

    Until a day has gone by, or less where the past is short: then they begin later.
    """

    skipped: int
    """Samples of the feed that are not read; the others are counted from here."""
    first: int
    """The first origin, before which a model is fitted."""
    stride: int

    @classmethod
    def of(cls, now: int, window: int, steps: int, most: int, tick_s: int) -> PastOrigins:
        """Return where `most` origins or a few more are, of paths of so many `steps`.

        A model reads `window` samples before its first forecast.
        """
        since = now - now % _kept_for(now, tick_s)
        skipped = max(since - _PAST_S // tick_s, 0)
        since -= skipped
        first = max(since // 2, since - _FORECAST_S // tick_s, window)
        return cls(skipped, first, max(-(-(since - steps - first) // most), 1))

    def upto(self, last: int) -> Ints:
        """Return the origins that are `last` or before it."""
        return np.arange(self.first, last + 1, self.stride)


def _kept_for(now: int, tick_s: int) -> int:
    """Return for how many samples origins are the same ones."""
    every = max(_DAY_S // tick_s, 1)
    while every > 1 and every * _ROUNDED > now:
        every //= 2
    return every


def renewed(now: int, tick_s: int) -> bool:
    """Return whether origins are others from sample `now` on: then all is forecast again."""
    return now % _kept_for(now, tick_s) == 0


class PathForecasts:
    """A model's forecasts from past origins and from now, kept as the past grows.

    Only what has come since is read when it is asked again. Far ahead a forecast changes little
    from one interval to the next, so that it is made at some and interpolated.
    """

    def __init__(self, model: Forecaster, steps: int, tick_s: int) -> None:
        self._model, self._steps = model, steps
        apart = max(_APART_S // tick_s, 1)
        self._made = made = [1]
        while made[-1] < steps:
            made.append(min(made[-1] + int(np.clip(made[-1] // 3, 1, apart)), steps))
        self._begun: tuple[PastOrigins, PastFeed, Forecasts] | None = None
        self._paths: dict[int, Floats] = {}

    def of(self, feed: Feed, origins: PastOrigins, now: int) -> Floats:
        """Return the paths from all origins up to sample `now`, and from there.

        Mbit/s, [origins + 1, steps, flows]. The feed holds what it held before, and more. Seasons
        and scales are fitted on what is before the first origin.
        """
        if self._begun is None or self._begun[0] != origins:
            past = PastFeed(feed, origins.skipped)
            fitted = origins.first
            forecasts = self._model.join(Feeding(past, fitted, fitted, None), steps=self._steps)
            self._begun, self._paths = (origins, past, forecasts), {}
        _, past, forecasts = self._begun
        past.feed = feed
        at = origins.upto(now).tolist()
        for origin in at:
            if origin not in self._paths:
                self._paths[origin] = self._path(past, forecasts, origin)
        # Which is no origin for those who ask later, be it one of these or not.
        latest = self._paths[now] if now in self._paths else self._path(past, forecasts, now)
        paths = np.stack([*(self._paths[origin] for origin in at), latest])
        return _interpolated(np.nan_to_num(paths), self._made, self._steps)

    def _path(self, past: PastFeed, forecasts: Forecasts, origin: int) -> Floats:
        past.ready = origin
        if not self._paths:
            # What reaches farthest comes first: it decides what is learnt.
            forecasts.path(origin, 0, self._steps)
        return np.stack([forecasts.at(origin, step - 1) for step in self._made])


def _interpolated(paths: Floats, made: list[int], steps: int) -> Floats:
    """Return paths that are given at the steps `made`, [origins, made, flows], at all steps."""
    step = np.arange(1, steps + 1)
    right = np.searchsorted(made, step)
    left = np.maximum(right - 1, 0)
    at = np.asarray(made)
    share = np.where(right > left, (step - at[left]) / np.maximum(at[right] - at[left], 1), 0.0)
    return np.asarray(paths[:, left] + share[:, None] * (paths[:, right] - paths[:, left]))


def usual_paths(seen: Floats, origins: Ints, steps: int, tick_s: int) -> Floats:
    """Return paths from before `origins`, Mbit/s, at least 0, [origins, steps, flows].

    The mean of the last quarter of an hour, moved as the same time of the last days moved. For so
    many flows that a model would take too long: at 3 to 6 hours on a real backbone it errs by half
    as much again as the linear one.
    """
    filled = forward_filled(seen)
    total = np.concatenate([np.zeros((1, filled.shape[1])), np.cumsum(filled, axis=0)])
    hour, day = max(_HOUR_S // tick_s, 1), max(_DAY_S // tick_s, 1)

    def mean(stop: Ints, count: int = hour) -> Floats:
        stop = np.clip(stop, count, len(filled))
        return np.asarray((total[stop] - total[stop - count]) / count)

    latest = max(hour // 4, 1)
    level = mean(origins, latest)
    paths = np.repeat(level[:, None], steps, axis=1)
    # A path may be longer than a day: then it looks back two.
    back = -(-steps // day) * day
    ahead = origins[:, None] + np.arange(steps) + 1 + hour // 2
    days = [k * day + back for k in range(_DAYS)]
    counts = [origins - each >= hour for each in days]
    seasons = np.maximum(np.sum(counts, axis=0), 1)
    for each, some in zip(days, counts, strict=True):
        moved = mean(np.minimum(ahead, origins[:, None] + back) - each)
        moved -= mean(origins - each + (hour - latest) // 2)[:, None]
        paths += np.where(some, 1 / seasons, 0.0)[:, None, None] * moved
    return np.maximum(paths, 0.0, out=paths)
