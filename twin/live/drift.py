"""Drift: links whose demand is no longer what their past says it should be.

A policy that is fitted on history trusts it to stay true. So what is watched is not the error of
the next forecast, which follows a new level within an interval, but that of a slow expectation:
what is usual at this place in the season, times a ratio that follows demand with a half-life of
days (:class:`UsualLevel`).

Let z be that error in units of what is usual at this hour, and q the 99 % quantile of |z| on this
link. Upwards (and the same downwards)

    S <- max(0, S + min(z / q, c) - 1),

a CUSUM (Page 1954) whose allowance is q, so that a link whose errors have heavy tails, or stay on
one side for hours, has a wide one. There is an alarm where S > h. With c = 2.5 and h = 7 no four
samples can raise it; a level that is off by 2.5 q or more does so in five, one by 2 q in eight.
The beginning is where S last was 0. What is off for no longer than a few hours was a surge; what
stays is a shift. Nobody can tell the two apart when they begin, so that the alarm says `change`,
and `surge` or `shift` follows. What did not come, and zeros on a link that is never idle, are
failures of the collection: they are no errors, and are reported as what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.forecast.windows import forward_filled

_DAY_S: Final = 86_400
_HOURS: Final = 24
_ALLOWANCE: Final = 0.99
"""The quantile of |z| that is allowed for."""
_MOST: Final = 2.5
"""The most that an error counts, in allowances."""
_ALARM: Final = 7.0
"""The sum above which there is an alarm."""
_WARIER: Final = 1.15
"""What the allowance is multiplied by after an alarm: what happens often is nothing new."""
_LEAST_Q: Final = 2.5
"""The least allowance, in mean errors: that of normal ones is 3.2."""
_SURGE_S: Final = 4 * 3600
"""What lasts longer is a shift."""
_CALM_S: Final = 1800
"""What is usual again for as long is over."""
_MISSING_S: Final = 1800
"""What does not come for as long is a failure of the collection."""
_RATIO_HALF_LIFE_S: Final = 2 * _DAY_S
_USUAL_WEIGHT: Final = 0.15
"""Weight of the latest season in what is usual."""
_QUANTILE_STEP: Final = 0.02
_LOWEST: Final = 0.05
"""The least that is expected, as a share of the mean: a night says little in proportion."""
_IDLE: Final = 0.002
"""Share of zeros in the past from which a link counts as one that may be idle."""


class Drift(NamedTuple):
    """Something about a link that its past does not explain."""

    link: str
    kind: str
    """``change``, then ``shift`` or ``surge``; ``missing`` telemetry, then ``back``."""
    since: int
    """The first sample of it, counted as :meth:`DriftMonitor.update` was called."""
    at: int
    """The sample after which it is said."""
    direction: int
    """1: demand is above what was expected; -1: below; 0: it is missing."""
    size_mbps: float
    """The mean error since then, Mbit/s."""
    in_scales: float
    """The same in units of the usual mean error."""


class DriftMonitor:
    """Watches the errors of all links at once, one sample at a time."""

    def __init__(
        self, links: Sequence[str], tick_s: int = 300, allowance: Floats | None = None
    ) -> None:
        """Know nothing but, where it was seen, the `allowance` of each link, in mean errors."""
        self.links = tuple(links)
        count = len(self.links)
        self._allowance = np.full(count, 4.0) if allowance is None else allowance.copy()
        self._sum = np.zeros((2, count))
        self._begun = np.zeros((2, count), dtype=np.int64)
        # Since S was last 0, or since the alarm: errors and their scales, summed.
        self._total, self._scaled, self._known = np.zeros((3, 2, count))
        self.off = np.zeros(count, dtype=np.int64)
        """Direction of a change that is not over and not yet a shift, 0 for none, [links]."""
        self._since, self._calm, self._missing = np.zeros((3, count), dtype=np.int64)
        self._surge, self._rest, self._gone = (
            max(seconds // tick_s, 1) for seconds in (_SURGE_S, _CALM_S, _MISSING_S)
        )
        self._samples = 0

    def update(self, errors: Floats, scales: Floats) -> list[Drift]:
        """Take the errors of a sample, Mbit/s, and their usual mean size, [links].

        NaN is missing. Returns what is to be said of any link.
        """
        found: list[Drift] = []
        missing = np.isnan(errors)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(missing | ~(scales > 0), 0.0, errors / scales)
        found += self._take_missing(missing)
        relative = z / self._allowance
        free = (self.off == 0) & ~missing
        for side, sign in enumerate((1, -1)):
            add = np.minimum(sign * relative, _MOST) - 1
            fresh = free & (self._sum[side] == 0) & (add > 0)
            self._restart(side, fresh)
            summed = np.maximum(self._sum[side] + add, 0.0)
            self._sum[side] = np.where(free, summed, self._sum[side])
            self._accumulate(side, errors, z, ~missing)
            for link in np.flatnonzero(free & (self._sum[side] > _ALARM)).tolist():
                self.off[link], self._since[link] = sign, self._begun[side, link]
                self._calm[link] = 0
                self._allowance[link] *= _WARIER
                found.append(self._drift(link, "change", side))
        found += self._settle(relative, missing)
        self._learn_allowance(z, free & (self._sum.max(axis=0) == 0))
        self._samples += 1
        return found

    def _restart(self, side: int, fresh: Bools) -> None:
        self._begun[side][fresh] = self._samples
        for each in (self._total, self._scaled, self._known):
            each[side][fresh] = 0.0

    def _accumulate(self, side: int, errors: Floats, z: Floats, known: Bools) -> None:
        self._total[side] += np.where(known, errors, 0.0)
        self._scaled[side] += z
        self._known[side] += known

    def _drift(self, link: int, kind: str, side: int) -> Drift:
        count = max(self._known[side, link], 1.0)
        direction = 1 if side == 0 else -1
        return Drift(
            self.links[link], kind, int(self._since[link]), self._samples, direction,
            float(self._total[side, link] / count), float(self._scaled[side, link] / count),
        )  # fmt: skip

    def _settle(self, relative: Floats, missing: Bools) -> list[Drift]:
        """Return which changes are over, and which have lasted so long that they are shifts."""
        found = []
        off = (self.off != 0) & ~missing
        usual = off & (self.off * relative < 0.5)
        self._calm = np.where(usual, self._calm + 1, np.where(off, 0, self._calm))
        over = off & (self._calm >= self._rest)
        lasted = off & ~over & (self._samples - self._since >= self._surge) & (self._calm == 0)
        for link in np.flatnonzero(over | lasted).tolist():
            side = 0 if self.off[link] > 0 else 1
            found.append(self._drift(link, "surge" if over[link] else "shift", side))
            self.off[link] = 0
            self._sum[:, link] = 0.0
        return found

    def _take_missing(self, missing: Bools) -> list[Drift]:
        found = []
        before = self._missing
        self._missing = np.where(missing, before + 1, 0)
        for link in np.flatnonzero(self._missing == self._gone).tolist():
            since = self._samples - self._gone + 1
            found.append(Drift(self.links[link], "missing", since, self._samples, 0, 0.0, 0.0))
        for link in np.flatnonzero(~missing & (before >= self._gone)).tolist():
            since = self._samples - int(before[link])
            found.append(Drift(self.links[link], "back", since, self._samples, 0, 0.0, 0.0))
        return found

    def _learn_allowance(self, z: Floats, calm: Bools) -> None:
        """Follow the quantile (Robbins and Monro 1951), on a logarithmic scale."""
        step = _QUANTILE_STEP * ((np.abs(z) > self._allowance) - (1 - _ALLOWANCE))
        moved = self._allowance * np.exp(np.where(calm, step, 0.0))
        self._allowance = np.maximum(moved, _LEAST_Q)


class UsualLevel:
    """What is usual on each link at each place in the season, and how far demand is from it."""

    def __init__(self, past: Floats, tick_s: int) -> None:
        """Learn from the past, Mbit/s, [samples, links]; NaN is missing."""
        day = max(_DAY_S // tick_s, 1)
        samples, links = past.shape
        self._never_idle = (past == 0).mean(axis=0) < _IDLE
        past = np.where((past == 0) & self._never_idle, np.nan, past)
        self._period = next((p for p in (7 * day, day) if samples >= 2 * p), samples)
        self._day, self._sample = day, 0
        filled = forward_filled(past)
        self._least = np.maximum(_LOWEST * filled.mean(axis=0), 1e-9)
        self._share = 1 - 0.5 ** (tick_s / _RATIO_HALF_LIFE_S)
        self._ratio = np.ones(links)
        whole = samples // self._period * self._period
        repeats = filled[samples - whole :].reshape(-1, self._period, links)
        self._scale = np.ones((_HOURS, links))
        self.allowance = np.full(links, 4.0)
        """The quantile of errors that is usual, in mean errors, [links]."""
        self._calibrate(repeats, past[samples - whole :])
        self._usual = _smoothed(np.median(repeats, axis=0))

    def _calibrate(self, repeats: Floats, past: Floats) -> None:
        """Find how large errors are: each season's by what the others were."""
        count = len(repeats)
        relative = np.full(past.shape, np.nan)
        for number in range(count):
            others = np.delete(repeats, number, axis=0) if count > 1 else repeats
            self._usual = _smoothed(np.median(others, axis=0))
            for place in range(self._period):
                self._sample = number * self._period + place
                row = past[self._sample]
                expected = self._expected()
                relative[self._sample] = (row - expected) / expected
                self._follow(row, ~np.isnan(row))
        places = np.arange(len(past)) % self._day * _HOURS // self._day
        size = np.abs(relative)
        overall = np.nan_to_num(np.nanmean(size, axis=0)) + 1e-6
        by_hour = [np.nan_to_num(np.nanmean(size[places == h], axis=0)) for h in range(_HOURS)]
        # Half of what an hour differs by: a week or two say no more of it.
        self._scale = np.sqrt(np.maximum(np.stack(by_hour), 0.25 * overall) * overall)
        scaled = size / self._scale[places]
        quantile = np.nanquantile(scaled, _ALLOWANCE, axis=0)
        self.allowance = np.maximum(np.nan_to_num(quantile, nan=4.0), _LEAST_Q)
        self._sample = len(past)

    def _expected(self) -> Floats:
        usual = self._usual[self._sample % self._period]
        return np.asarray(np.maximum(usual * self._ratio, self._least))

    def errors(self, demand: Floats) -> tuple[Floats, Floats]:
        """Return the errors of the next sample and their usual size, Mbit/s, [links].

        NaN where nothing came: zeros of links that are never idle are failures of the collection.
        """
        expected = self._expected()
        hour = self._sample % self._day * _HOURS // self._day
        failed = np.isnan(demand) | ((demand == 0) & self._never_idle)
        return np.where(failed, np.nan, demand - expected), self._scale[hour] * expected

    def learn(self, demand: Floats, trusted: Bools) -> None:
        """Take that sample where it is trusted, [links], and go on to the next."""
        known = trusted & ~np.isnan(demand) & ~((demand == 0) & self._never_idle)
        self._follow(demand, known)
        place = self._sample % self._period
        usual = self._usual[place]
        level = np.divide(demand, self._ratio, out=usual.copy(), where=known & (self._ratio > 0))
        # What is far off is no new habit yet.
        level = np.clip(level, 0.5 * usual, 2 * usual)
        self._usual[place] = usual + _USUAL_WEIGHT * (level - usual)
        self._sample += 1

    def _follow(self, demand: Floats, known: Bools) -> None:
        usual = np.maximum(self._usual[self._sample % self._period], self._least)
        latest = np.clip(demand / usual, 0.25 * self._ratio, 4 * self._ratio)
        followed = self._ratio + self._share * (latest - self._ratio)
        self._ratio = np.where(known, followed, self._ratio)

    def begin_again(self, links: Ints, level: Floats) -> None:
        """Expect on some links so many times what was expected."""
        self._ratio[links] *= level


def _smoothed(values: Floats, reach: int = 2) -> Floats:
    """Return the mean over neighbours around the season, [places, links]."""
    near = range(-reach, reach + 1)
    return np.asarray(np.mean([np.roll(values, shift, axis=0) for shift in near], axis=0))


class DriftWatch:
    """Finds drift in demand itself: expectation and monitor together."""

    def __init__(self, links: Sequence[str], past: Floats, tick_s: int) -> None:
        """Learn what is usual from the past, Mbit/s, [samples, links]."""
        self.links = tuple(links)
        self._usual = UsualLevel(past, tick_s)
        self.monitor = DriftMonitor(links, tick_s, self._usual.allowance)
        self._place = {link: place for place, link in enumerate(self.links)}
        self._level = np.ones(len(self.links))
        self._recent = 1 - 0.5 ** (tick_s / 1800)

    def update(self, demand: Floats) -> list[Drift]:
        """Take the demand of the interval that has closed, Mbit/s, [links]; NaN is missing.

        What has shifted is expected at its new level from then on.
        """
        errors, scales = self._usual.errors(demand)
        expected = demand - errors
        ratio = np.divide(demand, expected, out=np.ones_like(demand), where=expected > 0)
        known = ~np.isnan(errors)
        followed = self._level + self._recent * (ratio - self._level)
        self._level = np.where(known, followed, self._level)
        found = self.monitor.update(errors, scales)
        for drift in found:
            if drift.kind == "shift":
                place = self._place[drift.link]
                self._usual.begin_again(np.array([place]), self._level[[place]])
                self._level[place] = 1.0
        self._usual.learn(demand, self.monitor.off == 0)
        return found
