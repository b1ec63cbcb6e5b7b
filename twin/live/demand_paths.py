"""Paths that demand may take from now on: what came after past instants, moved to the present.

Let f(o, h) be a model's forecast, made before sample o, of a flow's demand d(o + h), and e = d - f
its error. With a past origin o, the same for all flows and the whole path, and a running mean S
over two hours, a path from now is, not below 0,

    d(o + h) + b S[f(now, .) - f(o, .)](h) + (c - 1) S[e(o, .)](h).

Were it not for S, and with b = c = 1, that is f(now, h) + e(o, h): the whole error of one past
forecast. So errors keep their correlation in time and between flows, and their skewness and tails,
whatever these are. A copula would have to be told of them, and a factor model of a few weeks of
errors of a hundred flows is mostly noise. S keeps the fine structure of what came: where a
forecast knows of a jump at one instant and the outcome had it at another, their sum would jump
twice, and a policy that follows demand would be short twice. (For the same reason errors are not
scaled: on flows with two levels, what is noise at one of them would be stretched between the two.)

How far a path is moved is up to what moving would have told in the past. Between two origins,
forecasts differ and so do outcomes; b, from 0 to 1, is how much of the former difference shows in
the latter, by least squares, for each flow. Where forecasts mean much, as on a link that has its
day, that is near 1. On one that jumps by a clock or bursts at random, what came after another
origin, as it was, is as likely to come again, and moved it would be like nothing that ever came.

Origins are those whose forecast paths looked most like the present one, which stands for the time
of the day, for weekends, and for the state of a flow that has several.

Why intervals hold: if such paths are exchangeable, the one to come is as likely to rank anywhere
among n past ones as any of these. So for *any* number T that a path leads to (minutes of violation
under a policy that reacts to it, the highest load), T of what comes lies between the k-th smallest
and the k-th largest of the n with probability 1 - 2 k / (n + 1) (Vovk et al. 2005). Hence
quantiles are those of n + 1 ranks (:func:`ranked`), and the model's seasons and scales are fitted
on what comes before the first origin.

Overlapping paths are worth less than their number. With m paths on end that do not overlap, a
normal error of unknown mean and variance is predicted by a Student distribution, so that the slow
part of each error (of the fast part there are thousands) is stretched by

    c = sqrt((m + 1) / m) sqrt((m - 1) / chi^2(m - 1)),

the ratio of the two: a few percent for a month of past and paths of 6 hours, a third for a day.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem
from twin.core.units import format_duration
from twin.demand.gaps import Feed, known
from twin.forecast.forecaster import Forecaster
from twin.live.path_forecasts import (
    PastFeed,
    PastOrigins,
    PathForecasts,
    usual_paths,
)

PATH_STREAM: Final = 0x9A7
"""Number of the named random stream that paths are drawn from."""
_ORIGINS: Final = 120
"""Past origins, at most, but for a few: each costs a path of forecasts."""
_ALIKE: Final = 2
"""Of so many the one whose forecast looks most like the present one is taken."""
_VALUES: Final = 10_000_000
"""Numbers in the past forecasts, at most."""
_FEWEST: Final = 10
"""Past origins, at least."""
_FARTHEST: Final = 4.0
"""The most that a path is stretched by."""
_SMOOTH_S: Final = 7200
"""What changes over this long is slow."""


class DemandPaths:
    """The paths that the demand of all flows may take from the present on."""

    def __init__(
        self, forecast: Floats, came: Floats, forecasts: Floats, alone: float, reach: int
    ) -> None:
        """Take a forecast from now, and past ones with what came, [origins, steps, flows].

        They are worth so many paths `alone`, which do not overlap. What is slow is a mean over
        `reach` samples to either side.
        """
        self.forecast = forecast
        """Mbit/s, [steps, flows]"""
        self._came, self._forecasts, self._alone = came, forecasts, alone
        self._reach = reach
        self._shown = _shown(_smoothed(forecasts, reach), _smoothed(came, reach))

    @classmethod
    def of(
        cls,
        feed: Feed,
        kpi: str,
        model: Forecaster | None,
        now: int,
        steps: int,
        tick_s: int,
        kept: PathForecasts | None = None,
    ) -> DemandPaths:
        """Return the paths of a KPI of all flows over `steps` intervals from sample `now` on.

        The model is fitted on the first half of what came before, or what is older than two weeks
        and up to a day, and forecasts in the rest; without one, what is usual at the time of the
        day is forecast.
        `kept` are that model's forecasts of so many steps, of which only what has come since it
        was handed over last is made. Raises InputError where the past is too short.
        """
        window = max(3600 // tick_s, 1) if model is None else model.card.window
        flows = feed.rows(kpi, 0, 0).shape[1]
        most = int(np.clip(_VALUES // (steps * flows), 2 * _FEWEST, _ORIGINS))
        places = PastOrigins.of(now, window, steps, most, tick_s)
        now -= places.skipped
        origins = places.upto(now - steps)
        if len(origins) < _FEWEST:
            what = f"needs more of the past than {format_duration(now * tick_s)}"
            least = format_duration(2 * (steps + max(_FEWEST, window)) * tick_s)
            raise InputError(Problem(what, "what-if", suggestion=f"wait until it is {least}"))
        seen = known(PastFeed(feed, places.skipped), kpi, now)
        if model is None:
            forecasts = usual_paths(seen, np.append(origins, now), steps, tick_s)
        else:
            kept = PathForecasts(model, steps, tick_s) if kept is None else kept
            forecasts = kept.of(feed, places, now)
        # What began after the last origin has not come to its end yet.
        earlier, forecast = forecasts[: len(origins)], forecasts[-1]
        size = np.maximum(np.nanstd(seen, axis=0), 1e-9)
        apart = (((earlier - forecast) / size) ** 2).mean(axis=(1, 2))
        alike = np.sort(np.argsort(apart, kind="stable")[: max(len(origins) // _ALIKE, _FEWEST)])
        came = np.stack([seen[o : o + steps] for o in origins[alike]])
        # Where nothing came, what was forecast stands in.
        came = np.where(np.isnan(came), earlier[alike], came)
        alone = (now - places.first) / steps * len(alike) / len(origins)
        reach = max(_SMOOTH_S // tick_s // 2, 1)
        return cls(forecast, came, earlier[alike], max(alone, 2.0), reach)

    def draw(self, replications: int, seed: int) -> Floats:
        """Return paths that demand may take, Mbit/s, at least 0, [replications, steps, flows].

        The same for the same seed.
        """
        rng = np.random.default_rng(np.random.SeedSequence([seed, PATH_STREAM]))
        # One origin of each of as many parts of the past, so that they come again only where
        # there are fewer of them than paths.
        places = (np.arange(replications) + rng.uniform()) * len(self._came) / replications
        picked = rng.permutation(places.astype(np.int64))
        came, forecasts = self._came[picked], self._forecasts[picked]
        stretch = _stretches(self._alone, replications, rng)[:, None, None]
        slow = self._shown * (self.forecast - forecasts) + (stretch - 1) * (came - forecasts)
        return np.asarray(np.maximum(came + _smoothed(slow, self._reach), 0.0))


def _shown(forecasts: Floats, came: Floats) -> Floats:
    """Return how much of what differs between forecasts differs between what came, [flows].

    Both are [origins, steps, flows]. At each step the sum over all pairs of origins is that of
    what is apart from their mean, times their number.
    """
    apart = forecasts - forecasts.mean(axis=0)
    both = (apart * (came - came.mean(axis=0))).sum(axis=(0, 1))
    square = (apart**2).sum(axis=(0, 1))
    shown = np.divide(both, square, out=np.ones_like(both), where=square > 0)
    return np.asarray(np.clip(shown, 0.0, 1.0))


def _smoothed(paths: Floats, reach: int) -> Floats:
    """Return running means along paths [..., steps, flows], `reach` to either side."""
    total = np.cumsum(paths, axis=1)
    total = np.concatenate([np.zeros_like(total[:, :1]), total], axis=1)
    step = np.arange(paths.shape[1])
    first, last = np.maximum(step - reach, 0), np.minimum(step + reach + 1, paths.shape[1])
    return np.asarray((total[:, last] - total[:, first]) / (last - first)[:, None])


def _stretches(alone: float, replications: int, rng: np.random.Generator) -> Floats:
    """Return what to stretch each path by, given how many `alone` the past is worth."""
    from scipy.special import gammaincinv

    freedom = max(alone - 1, 1.0)
    # Quantiles in the middle of as many parts, in any order, are nearer to the distribution.
    share = (rng.permutation(replications) + 0.5) / replications
    square = 2 * gammaincinv(freedom / 2, share)
    return np.asarray(np.minimum(np.sqrt((alone + 1) / alone * freedom / square), _FARTHEST))


def ranked(values: Floats, level: float) -> Floats:
    """Return the value that the next one is at or below with probability `level`, over axis 0.

    The next of n is in each of the n + 1 gaps between them with equal probability.
    """
    ordered, n = np.sort(values, axis=0), len(values)
    place = min(max(level * (n + 1) - 1, 0.0), n - 1.0)
    low = int(place)
    below, above = ordered[low], ordered[min(low + 1, n - 1)]
    # Where both are infinite, there is nothing between.
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(below == above, below, below + (place - low) * (above - below)))
