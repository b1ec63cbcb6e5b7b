"""How much the forecasts of links err: what margins over them are measured in."""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.arrays import Bools, Floats, Ints, of_columns

WARM_UP: Final = 4_032
"""Samples of the history that settle a margin: two weeks of 5 minutes."""
SCALES: Final = 3
"""Scales: the recent error, that of the long run, and the latter in proportion to the forecast."""
_RECENT_HALF_LIFE: Final = 10.0
"""Samples after which a recent error counts half; for far horizons longer."""
_LONG_HALF_LIFE: Final = 2_000
"""Samples after which an error of the long run counts half."""
_SEASON_HALF_LIFE: Final = 3
"""Seasons after which an error at a place in the season counts half."""
_AROUND: Final = np.arange(-3, 4)[:, None]
"""Places in the season, from this one, that count as this one."""
_OUTLIER: Final = 8.0
"""Errors above this many scales count as this many: one jump is not the new normal."""
_FLOOR: Final = 0.02
"""Least recent error, as a share of that of the long run: links that sleep wake up."""
_LEAST: Final = 1e-3
"""Least scale, as a share of the greatest error of late. On a link that jumps now and then, and is
forecast without error in between, each jump is an outlier, and the mean of what counts nothing."""
_LEVEL_FLOOR: Final = 0.2
"""The share of the margin in proportion to the forecast that does not fall with it."""
_SPREAD_WEIGHT: Final = 0.25
"""Weight of the spread that a forecaster expects in a geometric mean with the errors seen."""
_SPREADS: Final = (0.05, 20.0)
"""Bounds of that spread over its mean."""
_NEAR: Final = 4
"""Up to this many samples ahead, errors are fresh enough for a short memory to pay."""


class HorizonSettings:
    """What depends on how far ahead the last interval of a decision lies, [links] each."""

    def __init__(self, ahead: Ints, target: float) -> None:
        near = ahead < _NEAR
        steps = ahead + 1.0
        # Fewer scores say nothing about so rare a share.
        short = np.clip(1_000 * steps, 4 / max(target, 1e-6), WARM_UP)
        # Far ahead, errors come by the day: two weeks hold every day of the week, and little else.
        windows = np.stack([np.where(near, short, WARM_UP), np.full(len(ahead), WARM_UP)])
        self.windows = windows.astype(np.int64)
        """Scores that count, [2, links]: a short memory and a long one."""
        self.losses = np.where(near, 150 * steps, 2_000)
        """Half-life of the losses."""
        self.season_share = np.where(near, 0.6, 0.7)
        """Weight of the season's error in its geometric mean with the recent one."""
        self.most = np.stack([np.where(near, 1.6, 0.0), np.full(len(ahead), 1.1)])
        """The greatest margin is the larger of these times the second largest excess of late and
        times the largest one, [2, links]. One that stands alone is not outdone by much; far ahead
        the errors of a day go together, and the second largest says nothing of its own."""
        self.recent = _RECENT_HALF_LIFE * np.sqrt(np.maximum(steps / 4, 1))
        """Half-life of the recent error."""


class ForecastErrors:
    """How much the forecasts of a link err: in the long run, lately, and by place in the season."""

    def __init__(self, season: Ints, horizon: HorizonSettings) -> None:
        self._sample = 0
        self._period = np.maximum(season, 1)
        self._share = np.where(season > 0, horizon.season_share, 0.0)
        self._half_life = horizon.recent
        self._links = np.arange(len(season))
        self._usual = np.full((self._period.max(initial=1), len(season)), np.nan)
        self._long, self._recent, self._level, self._spread = np.zeros((4, len(season)))
        self._greatest = np.zeros(len(season))
        self._count = 0

    def for_links(self, links: Ints) -> ForecastErrors:
        """Return the same for some links, which may come several times."""
        some = of_columns(self, links, apart=("_links",))
        some._links = np.arange(len(links))
        return some

    def skip(self, samples: int) -> None:
        """Pass over samples that nothing was forecast for."""
        self._sample += samples

    def scales(
        self, forecast: Floats, ahead: Ints, held: Ints, spread: Floats | None = None
    ) -> Floats:
        """Return what the margin over a forecast may be measured in, Mbit/s, [scales, links].

        `ahead` is the middle of the `held` intervals that it is for. Where the forecaster says how
        large a `spread` it expects, the recent error grows with it.
        """
        relative = np.zeros(len(forecast))
        np.divide(np.abs(forecast), self._level, out=relative, where=self._level > 0)
        in_proportion = (_LEVEL_FLOOR + (1 - _LEVEL_FLOOR) * relative) * self._long
        expected = self._expected(ahead, held)
        if spread is not None:
            expected = expected * self._relative_spread(spread)
        return np.maximum(np.stack([expected, self._long, in_proportion]), _LEAST * self._greatest)

    def _relative_spread(self, spread: Floats) -> Floats:
        """Return what the spread that is expected now, over its mean, makes of the error, [links].

        It gets a small weight, as a power: alone it wastes a tenth more on the same violations.
        """
        fewest = np.log(2) * (self._count + 1)
        half_life = min(_LONG_HALF_LIFE, fewest)
        follow(self._spread, spread, half_life, ~np.isnan(spread))
        relative = np.ones_like(spread)
        np.divide(spread, self._spread, out=relative, where=(self._spread > 0) & (spread > 0))
        return np.asarray(np.clip(relative, *_SPREADS) ** _SPREAD_WEIGHT)

    def _expected(self, ahead: Ints, held: Ints) -> Floats:
        """Return the error expected from the recent ones and those usual at this place, [links].

        recent^(1 - q) usual^q, q = 0 without a season; at least _FLOOR x long.
        """
        around = _AROUND
        if (longest := int(held.max(initial=1))) > len(_AROUND):
            around = np.arange(-(longest // 2), longest // 2 + 1)[:, None]
        places = (self._sample + ahead + around) % self._period
        near = np.abs(around) <= np.maximum(held // 2, _AROUND[-1, 0])
        usual = _mean(np.where(near, self._usual[places, self._links], np.nan))
        seasonal = (self._share > 0) & (usual > 0)
        share = np.where(seasonal, self._share, 0.0)
        both = self._recent ** (1 - share) * np.where(seasonal, usual, 1.0) ** share
        expected: Floats = np.maximum(both, _FLOOR * self._long)
        return expected

    def learn(self, demand: Floats, forecast: Floats, expected: Floats) -> None:
        """Take the demand that was forecast, Mbit/s, [links]; NaN teaches nothing."""
        error = np.abs(demand - forecast)
        shrunk = 0.5 ** (1 / _LONG_HALF_LIFE) * self._greatest
        self._greatest = np.fmax(shrunk, error)
        limit = np.where(expected > 0, _OUTLIER * expected, np.inf)
        error = np.where(np.isnan(error), np.nan, np.minimum(error, limit))
        known = ~np.isnan(error)
        # At first the mean of what there is.
        self._count += 1
        fewest = np.log(2) * self._count
        for values, half_life in (
            (self._recent, self._half_life), (self._long, _LONG_HALF_LIFE),
        ):  # fmt: skip
            follow(values, error, np.minimum(half_life, fewest), known)
        follow(self._level, np.abs(forecast), min(_LONG_HALF_LIFE, fewest), known)
        place = self._sample % self._period, self._links
        usual = self._usual[place]
        fresh = known & np.isnan(usual)
        usual[fresh] = error[fresh]
        follow(usual, error, _SEASON_HALF_LIFE, known)
        self._usual[place] = usual
        self._sample += 1


def follow(values: Floats, latest: Floats, half_life: Floats | float, known: Bools) -> None:
    """Move `values` [..., links] towards the latest ones where those are known.

    An exponential average: after `half_life` samples a value weighs half of what it did.
    """
    values += np.where(known, (1 - 0.5 ** (1 / half_life)) * (latest - values), 0.0)


def _mean(values: Floats) -> Floats:
    """Return the mean over the first axis without NaN; 0 where there is nothing.

    A sum along contiguous samples, which is the same for a link whatever others there are.
    """
    samples = np.ascontiguousarray(values.T)
    known = ~np.isnan(samples)
    total = np.where(known, samples, 0.0).sum(axis=-1)
    mean: Floats = total / np.maximum(known.sum(axis=-1), 1)
    return mean
