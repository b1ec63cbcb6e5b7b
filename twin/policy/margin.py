"""An adaptive margin over any forecast: as much as keeps a stated share of intervals short.

Conformal in spirit: the margin is a number of error scales, and that number is moved after every
interval so that the share of intervals above the allocation approaches the target whatever the
distribution of the errors (Gibbs and Candes 2021, adaptive conformal inference; here in the
logarithm, so that the margin stays positive and needs no unit). The scale is what makes it cheap:
the geometric mean of the error of the last hour or so and of the error usual at this phase of the
season. Work per interval is a few operations on arrays of links.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from twin.policy.base import History

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WARM_UP: Final = 4_032
"""Samples of the history that settle a margin: two weeks of 5 minutes."""

_RECENT_HALF_LIFE: Final = 10
"""Samples in which the recent error is half forgotten."""
_SEASON_HALF_LIFE: Final = 3
"""Seasons in which the error usual at a phase is half forgotten."""
_SEASON_SHARE: Final = 0.45
"""Weight of the season's error in the geometric mean."""
_NEIGHBOURS: Final = 3
"""Phases to either side that count as the same phase."""
_STEP: Final = 0.05
"""How far the number of scales moves, in its logarithm, after a short interval."""
_OUTLIER: Final = 8.0
"""Errors above this many scales count as this many: one jump is not the new normal."""
_FLOOR: Final = 0.02
"""Least scale, as a share of the long-run error: links that sleep wake up."""
_LONG_HALF_LIFE: Final = 2_000
_FEWEST_SCALES: Final = 0.05


class AdaptiveMargin:
    """Allocations over forecasts of the same links, learning from each interval that closes."""

    def __init__(self, target: float, demand: Floats, forecasts: Floats, season: Ints) -> None:
        """Warm up on forecasts that were made honestly before the replay.

        `target` is the share of intervals that may exceed the allocation; `demand` and
        `forecasts`, Mbit/s, [samples, links], are the last samples before the replay, NaN where
        missing; `season` is each link's period in samples, 0 for none, [links].
        """
        self._target = target
        self._season = season
        longest = max(int(season.max(initial=0)), 1)
        self._usual = np.full((longest, len(season)), np.nan)
        self._sample = 0
        self._seen = 0
        self._waits = False
        error = np.abs(demand - forecasts)
        known = np.where(np.isnan(error).all(axis=0), 0.0, 1.0)
        self._long = np.where(known > 0, _mean(error), 0.0)
        self._recent = self._long.copy()
        self._forecast = self._scale = self._allocation = np.zeros(len(season))
        self._scales = np.ones(len(season))
        scores = np.full(demand.shape, np.nan)
        first = len(demand) // 4  # before that the scale is not settled
        for i in range(len(demand)):
            self.allocate(forecasts[i])
            usable = (self._scale > 0) & ~np.isnan(demand[i])
            excess = demand[i] - forecasts[i]
            scores[i, usable] = excess[usable] / self._scale[usable]
            self._learn_scale(demand[i])
        self._scales = np.maximum(_quantile(scores[first:], 1 - target), _FEWEST_SCALES)

    @classmethod
    def warmed(cls, history: History, model: str, target: float) -> AdaptiveMargin:
        """Return a margin over the forecasts of `model`, settled on the end of the history."""
        samples = min(WARM_UP, len(history.demand_mbps) // 2)
        demand = history.demand_mbps[-samples:]
        margin = cls(target, demand, history.forecasts(model, samples), history.season)
        margin._seen = len(history.demand_mbps)
        return margin

    def observe(self, demand: Floats) -> None:
        """Take all that is known at a tick, Mbit/s, [samples, links], before allocating for it.

        Learns from the last interval, or, at the first tick, passes over what nothing was
        allocated for.
        """
        if self._waits:
            self.learn(demand[-1])
        else:
            self.skip(len(demand) - self._seen)
        self._waits = True

    def allocate(self, forecast: Floats) -> Floats:
        """Return the allocation over a forecast for the coming interval, Mbit/s, [links]."""
        self._forecast = forecast
        self._scale = self._current_scale()
        self._allocation = np.maximum(forecast + self._scales * self._scale, 0.0)
        return self._allocation

    def skip(self, samples: int) -> None:
        """Pass over samples that nothing was allocated for."""
        self._sample += samples

    def learn(self, demand: Floats) -> None:
        """Take the demand of the interval allocated last, Mbit/s, [links]; NaN teaches nothing."""
        short = (demand > self._allocation) - self._target
        step = np.where(np.isnan(demand), 0.0, _STEP * short)
        self._scales = np.maximum(self._scales * np.exp(step), _FEWEST_SCALES)
        self._learn_scale(demand)

    def _current_scale(self) -> Floats:
        period = np.maximum(self._season, 1)
        phases = (self._sample + np.arange(-_NEIGHBOURS, _NEIGHBOURS + 1)[:, None]) % period
        usual = _mean(np.take_along_axis(self._usual, phases, axis=0))
        seasonal = (self._season > 0) & (usual > 0)
        share = np.where(seasonal, _SEASON_SHARE, 0.0)
        both = self._recent ** (1 - share) * np.where(seasonal, usual, 1.0) ** share
        scale: Floats = np.maximum(both, _FLOOR * self._long)
        return scale

    def _learn_scale(self, demand: Floats) -> None:
        error = np.abs(demand - self._forecast)
        limit = np.where(self._scale > 0, _OUTLIER * self._scale, np.inf)
        error = np.where(np.isnan(error), np.nan, np.minimum(error, limit))
        known = ~np.isnan(error)
        for values, half_life in (
            (self._recent, _RECENT_HALF_LIFE),
            (self._long, _LONG_HALF_LIFE),
        ):
            values[known] += (1 - 0.5 ** (1 / half_life)) * (error - values)[known]
        phase = (self._sample % np.maximum(self._season, 1))[None]
        usual = np.take_along_axis(self._usual, phase, axis=0)[0]
        share = np.where(np.isnan(usual), 1.0, 1 - 0.5 ** (1 / _SEASON_HALF_LIFE))
        before = np.where(np.isnan(usual), 0.0, usual)
        updated = np.where(known, before + share * (error - before), usual)
        np.put_along_axis(self._usual, phase, updated[None], axis=0)
        self._sample += 1


def _mean(values: Floats) -> Floats:
    """Return the mean over the first axis without NaN; 0 where there is nothing."""
    known = ~np.isnan(values)
    total: Floats = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return total


def _quantile(scores: Floats, share: float) -> Floats:
    """Return the quantile over the first axis without NaN; 1 where there is nothing."""
    if not len(scores):
        return np.ones(scores.shape[1])
    empty = np.isnan(scores).all(axis=0)
    found: Floats = np.nanquantile(np.where(empty, 1.0, scores), share, axis=0)
    return found
