"""What is usual on a link at each place in the season, and how far off demand usually is."""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.arrays import Bools, Floats
from twin.forecast.windows import forward_filled

_DAY_S: Final = 86_400
_HOURS: Final = 24
ALLOWANCE: Final = 0.99
"""The quantile of errors, in mean errors, that is allowed for."""
LEAST_ALLOWANCE: Final = 2.5
"""The least allowance, in mean errors: that of normal ones is 3.2."""
_RATIO_HALF_LIFE_S: Final = 4 * _DAY_S
_USUAL_WEIGHT: Final = 0.15
"""Weight of the latest season in what is usual."""
_LEAST_SCALE: Final = 0.03
"""The least mean error, as a share of what is expected: no change of a few percent counts."""
_LOWEST: Final = 0.05
"""The least that is expected, as a share of the mean: a night says little in proportion."""
_IDLE: Final = 0.002
"""Share of zeros in the past from which a link counts as one that may be idle."""
_SURELY_IDLE: Final = 0.03
"""The same of a link that is never near 0 otherwise: its zeros are more likely failures."""
_NEAR_ZERO: Final = 0.05
"""What is near 0, as a share of the median."""


class UsualLevel:
    """What is usual on each link at each place in the season, and how far demand is from it."""

    def __init__(self, past: Floats, tick_s: int) -> None:
        """Learn from the past, Mbit/s, [samples, links]; NaN is missing."""
        day = max(_DAY_S // tick_s, 1)
        samples, links = past.shape
        self._never_idle = ~_may_be_idle(past)
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
        scale = np.sqrt(np.maximum(np.stack(by_hour), 0.25 * overall) * overall)
        self._scale = np.maximum(scale, _LEAST_SCALE)
        scaled = size / self._scale[places]
        quantile = np.nanquantile(scaled, ALLOWANCE, axis=0)
        self.allowance = np.maximum(np.nan_to_num(quantile, nan=4.0), LEAST_ALLOWANCE)
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

    def ratio(self, demand: Floats) -> Floats:
        """Return how many times what is usual the next sample is, [links]."""
        return np.asarray(
            demand / np.maximum(self._usual[self._sample % self._period], self._least)
        )

    def ratios(self, past: Floats) -> Floats:
        """Return the same of the samples before the next one, [samples, links]."""
        places = np.arange(self._sample - len(past), self._sample) % self._period
        return np.asarray(past / np.maximum(self._usual[places], self._least))

    def expect(self, link: int, ratio: float) -> None:
        """Expect on a link so many times what is usual."""
        self._ratio[link] = ratio

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

    def rescale(self, link: int, factor: float) -> None:
        """Expect on a link so many times what was expected."""
        self._ratio[link] *= factor


def _may_be_idle(past: Floats) -> Bools:
    """Return which links are at times without demand, so that a zero is no failure, [links]."""
    share = (past == 0).mean(axis=0)
    may = np.asarray(share >= _IDLE)
    for link in np.flatnonzero(may & (share < _SURELY_IDLE)).tolist():
        above = past[past[:, link] > 0, link]
        low, middle = np.quantile(above, [0.01, 0.5])
        may[link] = low < _NEAR_ZERO * middle
    return may


def _smoothed(values: Floats, reach: int = 2) -> Floats:
    """Return the mean over neighbours around the season, [places, links]."""
    near = range(-reach, reach + 1)
    return np.asarray(np.mean([np.roll(values, shift, axis=0) for shift in near], axis=0))
