"""Quantiles around any forecast, calibrated on the errors that were seen.

Let f be the forecast of demand d some intervals ahead, and s how much such forecasts err of late
and at this place in the season, Mbit/s (:class:`twin.policy.forecast_errors.ForecastErrors`). The
quantile at level p >= 1/2 is

    f + s Q(a),    Q(a): what the share a of the latest scores (d - f) / s exceeds,

split conformal inference (Vovk et al. 2005) over a window. The share a begins as the nominal 1 - p,
and moves with each outcome, by a factor exp(theta):

    theta <- theta + step (1 - p - [d above the quantile]) / p,

so that a quantile that is exceeded too often rises (Gibbs and Candes 2021; theta is the logarithm,
so that rare levels move in proportion and a stays positive). What is learnt from is a forecast
whose outcome has come, ahead + 1 intervals after it was made. A step that does not fall with that
delay explodes: it hears of its first miss after many more. Levels below 1/2 are the same upside
down. Work per sample is a few dozen operations on arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from twin.core.arrays import Floats, Ints, of_columns
from twin.core.errors import InputError, Problem
from twin.policy.forecast_errors import WARM_UP, ForecastErrors, HorizonSettings
from twin.policy.histogram import WindowedQuantiles

_STEP: Final = 0.3
"""How far a miss of the coming interval moves the logarithm of the share."""
_FARTHEST: Final = 1.5
"""The farthest it moves, either way."""
_SHIFT: Final = 4.0
"""Added to scores, so that those of forecasts that were too high are above 0 as well."""
_SHARES: Final = (1e-6, 0.98)
_HIGHEST_HALF_LIFE: Final = 4_000
"""Samples after which the largest error has shrunk by half."""
_ABOVE_HIGHEST: Final = 2.0
"""The farthest from the forecast that a quantile lies, over that largest error: where a scale that
was tiny is normal again, scores are too large."""

_BY_LEVEL: Final = ("_levels", "_places", "_side", "_nominal", "_made")
"""What is of levels or samples, and not of columns."""


class Calibration:
    """Quantiles of forecasts that are made sample by sample, learning from each that closes.

    A column is a link, or a link at one of several horizons; columns know nothing of each other.
    """

    def __init__(self, season: Ints, ahead: Ints, levels: Sequence[float], sample: int) -> None:
        """Know nothing before `sample`, the first that a forecast will be made before.

        `season` is each column's period in samples, 0 for none, and `ahead` how many intervals
        after the coming one it forecasts, [columns]. Raises InputError for levels that are not
        between 0 and 1.
        """
        for level in levels:
            if not 0 < level < 1:
                raise InputError(Problem(f"{level:g} is not between 0 and 1", "levels"))
        if not levels:
            raise InputError(Problem("names no level", "levels"))
        # Rising, and where in them the levels that were asked for are.
        self._levels, self._places = np.unique(levels, return_inverse=True)
        columns, shape = len(season), (len(self._levels), len(season))
        self._side = np.where(self._levels >= 0.5, 1.0, -1.0)[:, None]
        self._nominal = np.minimum(self._levels, 1 - self._levels)[:, None]
        self._ahead, self._columns = ahead, np.arange(columns)
        self._step = _STEP / (ahead + 1.0)
        self._errors = ForecastErrors(season, HorizonSettings(ahead, 0.01))
        self._errors.skip(sample)
        self._scores = WindowedQuantiles(np.full(shape, WARM_UP))
        self._scored = np.zeros(columns, dtype=np.int64)
        self._theta, self._highest = np.zeros((2, *shape))
        # Of each sample before which a forecast was made, as long as its outcome is to come.
        self._room = int(ahead.max(initial=0)) + 1
        self._made = np.full(self._room, -1)
        self._forecasts, self._scales = np.full((2, self._room, columns), np.nan)
        self._quantiles = np.full((self._room, *shape), np.nan)
        self._sample = sample

    def for_columns(self, columns: Ints) -> Calibration:
        """Return one that goes on from here for some columns, which may come several times."""
        some = of_columns(self, columns, _BY_LEVEL)
        some._columns = np.arange(len(columns))
        some._errors = self._errors.for_links(columns)
        some._scores = self._scores.for_links(columns)
        some._made = self._made.copy()
        return some

    def settle(self, demand: Floats, forecast: Callable[[int], Floats]) -> None:
        """Take samples that are past, [samples, columns]; `forecast(i)` was made before the i-th.

        It is of the sample `ahead` after that one, [columns].
        """
        for i, row in enumerate(demand):
            self.quantiles(forecast(i))
            self.learn(row)

    def skip(self, samples: int) -> None:
        """Pass over samples that nothing was forecast before."""
        self._errors.skip(samples)
        self._sample += samples

    def quantiles(self, forecast: Floats) -> Floats:
        """Return the quantiles around forecasts made before the coming sample, [columns, levels].

        Mbit/s, at least 0, in the order of the levels asked for, and rising with them; NaN where
        the forecast is.
        """
        scale = self._errors.scales(forecast, self._ahead, np.ones_like(self._ahead))[0]
        share = np.clip(self._nominal * np.exp(self._theta), *_SHARES)
        apart = (self._scores.quantiles(share) - _SHIFT) * scale
        apart = np.minimum(apart, _ABOVE_HIGHEST * self._highest)
        quantiles = forecast + self._side * np.where(self._scored > 0, apart, 0.0)
        place = self._sample % self._room
        self._made[place] = self._sample
        self._forecasts[place], self._scales[place] = forecast, scale
        self._quantiles[place] = quantiles
        rising = np.maximum.accumulate(np.maximum(quantiles, 0.0), axis=0)
        return np.ascontiguousarray(rising[self._places].T)

    def learn(self, demand: Floats) -> None:
        """Take the demand of the sample that has closed, Mbit/s, [columns]; NaN teaches nothing."""
        origin = self._sample - self._ahead
        place = origin % self._room
        made = self._made[place] == origin
        forecast = np.where(made, self._forecasts[place, self._columns], np.nan)
        scale = np.where(made, self._scales[place, self._columns], np.nan)
        quantiles = self._quantiles[place, :, self._columns].T
        error = demand - forecast
        usable = (scale > 0) & ~np.isnan(error)
        missed = self._side * (demand - quantiles) > 0
        moved = self._step * (self._nominal - missed) / (1 - self._nominal)
        theta = np.clip(self._theta + moved, -_FARTHEST, _FARTHEST)
        self._theta = np.where(usable & (self._scored > 0), theta, self._theta)
        beyond = self._side * np.where(usable, error, 0.0)
        scores = beyond / np.where(usable, scale, 1.0)
        self._scores.add(scores + _SHIFT, np.broadcast_to(usable, scores.shape))
        self._scored += usable
        shrunk = 0.5 ** (1 / _HIGHEST_HALF_LIFE) * self._highest
        self._highest = np.where(usable, np.maximum(shrunk, beyond), self._highest)
        self._errors.learn(demand, forecast, scale)
        self._sample += 1
