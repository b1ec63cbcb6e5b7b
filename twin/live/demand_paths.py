"""Paths that demand may take from now on: a forecast, and the errors that such forecasts made.

Let f(o, h) be a model's forecast, made before sample o, of the demand d(o + h) of a flow. With g, an
increasing scale for each flow (:class:`FlowScale`), a path from now is

    g^-1( g(f(now, h)) + c (g(d(o + h)) - g(f(o, h))) ),    all h, all flows, one past origin o:

the *whole* error of one past forecast, along the path and over all flows. So errors keep their
correlation in time and between flows, and their skewness and tails, whatever these are. A copula
would have to be told of them, and a factor model of a few weeks of errors of a hundred flows is
mostly noise.

Origins are those whose forecast paths looked most like the present one. That stands for the time of
the day, for weekends, and for the state of a flow that has several: a flow that is at its upper
level now does not go up once more.

Why intervals hold: if the errors of such paths are exchangeable, the one to come is as likely to
rank anywhere among n past ones as any of these. So for *any* number T that a path leads to (minutes
of violation under a policy that reacts to it, the highest load), T of what comes lies between the
k-th smallest and the k-th largest of the n with probability 1 - 2 k / (n + 1) (Vovk et al. 2005).
Hence quantiles are those of n + 1 ranks (:func:`ranked`), and the model's seasons and scales are
fitted on what comes before the first origin.

Overlapping paths are worth less than their number. With m paths on end that do not overlap, a
normal error of unknown mean and variance is predicted by a Student distribution, so that a drawn
path is stretched by

    c = sqrt((m + 1) / m) sqrt((m - 1) / chi^2(m - 1)),

the ratio of the two: a few percent for a month of past and paths of 6 hours, a third for a day.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.core.errors import InputError, Problem
from twin.core.units import format_duration
from twin.demand.gaps import Feed
from twin.forecast.feeding import Feeding
from twin.forecast.forecaster import Forecaster
from twin.forecast.windows import forward_filled

PATH_STREAM: Final = 0x9A7
"""Number of the named random stream that paths are drawn from."""
_ORIGINS: Final = 120
"""Past origins, at most: each costs a path of forecasts."""
_ALIKE: Final = 0.5
"""Share of them whose forecasts look most like the present one."""
_FEWEST: Final = 10
"""Past origins, at least."""
_FARTHEST: Final = 4.0
"""The most that a path is stretched by."""
_APART_S: Final = 1800
"""The farthest that the steps at which a forecast is made are apart."""
_REFERENCE_S: Final = 28 * 86_400
"""The end of the past that scales are made from."""


class DemandPaths:
    """The paths that the demand of all flows may take from the present on."""

    def __init__(self, forecast: Floats, errors: Floats, alone: float, scale: FlowScale) -> None:
        """Take past errors on the scale of each flow, [origins, steps, flows].

        They are worth so many paths `alone`, which do not overlap.
        """
        self.forecast = forecast
        """Mbit/s, [steps, flows]"""
        self._errors, self._alone, self._scale = errors, alone, scale

    @classmethod
    def of(
        cls, feed: Feed, kpi: str, model: Forecaster, now: int, steps: int, tick_s: int
    ) -> DemandPaths:
        """Return the paths of a KPI of all flows over `steps` intervals from sample `now` on.

        The model is fitted on the first half of what came before, and forecasts in the second one.
        Raises InputError where that is too short.
        """
        first, last = max(now // 2, model.card.window), now - steps
        stride = max(-(-(last - first) // _ORIGINS), 1)
        origins = np.arange(last, first - 1, -stride)[::-1]
        if len(origins) < _FEWEST:
            what = f"needs more of the past than {format_duration(now * tick_s)}"
            least = format_duration(2 * (steps + max(_FEWEST, model.card.window)) * tick_s)
            raise InputError(Problem(what, "what-if", suggestion=f"wait until it is {least}"))
        seen = known_so_far(feed, kpi, 0, now)
        scale = FlowScale(forward_filled(seen[-max(_REFERENCE_S // tick_s, 1) :]))
        forecasts = _forecasts(feed, model, np.append(origins, now), first, steps, tick_s)
        paths, forecast = scale.of(forecasts[:-1]), forecasts[-1]
        apart = np.nanmean((paths - scale.of(forecast)) ** 2, axis=(1, 2))
        alike = np.sort(np.argsort(apart)[: max(int(_ALIKE * len(origins)), _FEWEST)])
        outcome = scale.of(np.stack([seen[o : o + steps] for o in origins[alike]]))
        alone = (now - first) / steps * len(alike) / len(origins)
        return cls(forecast, _without_gaps(outcome - paths[alike]), max(alone, 2.0), scale)

    def draw(self, replications: int, seed: int) -> Floats:
        """Return paths that demand may take, Mbit/s, at least 0, [replications, steps, flows].

        The same for the same seed.
        """
        rng = np.random.default_rng(np.random.SeedSequence([seed, PATH_STREAM]))
        # One origin of each of as many parts of the past, so that they come again only where
        # there are fewer of them than paths.
        places = (np.arange(replications) + rng.uniform()) * len(self._errors) / replications
        errors = self._errors[rng.permutation(places.astype(np.int64))]
        errors = errors * _stretches(self._alone, replications, rng)[:, None, None]
        paths = self._scale.back(self._scale.of(self.forecast) + errors)
        return np.maximum(paths, 0.0, out=paths)


class _Closed:
    """A feed of which nothing is ready but what has closed before a forecast."""

    def __init__(self, feed: Feed) -> None:
        self._feed, self.ready = feed, 0
        self.kpis = feed.kpis
        self.rows, self.revisions = feed.rows, feed.revisions
        self.next_revision = feed.next_revision


def _forecasts(
    feed: Feed, model: Forecaster, origins: Ints, fitted: int, steps: int, tick_s: int
) -> Floats:
    """Return a model's paths from before `origins`, Mbit/s, [origins, steps, flows].

    Seasons and scales are fitted on the first samples, as many as `fitted`. Far ahead a forecast
    changes little from one interval to the next, so that it is made at some and interpolated.
    """
    closed = _Closed(feed)
    forecaster = model.join(Feeding(closed, fitted, fitted, None), steps=steps)
    apart = max(_APART_S // tick_s, 1)
    made = [1]
    while made[-1] < steps:
        made.append(min(made[-1] + int(np.clip(made[-1] // 3, 1, apart)), steps))
    paths = []
    for origin in origins.tolist():
        closed.ready = origin
        if not paths:
            # What reaches farthest comes first: it decides what is learnt.
            forecaster.path(origin, 0, steps)
        paths.append(np.stack([forecaster.at(origin, step - 1) for step in made]))
    return _interpolated(np.nan_to_num(np.stack(paths)), made, steps)


def _interpolated(paths: Floats, made: list[int], steps: int) -> Floats:
    """Return paths that are given at the steps `made`, [origins, made, flows], at all steps."""
    step = np.arange(1, steps + 1)
    right = np.searchsorted(made, step)
    left = np.maximum(right - 1, 0)
    at = np.asarray(made)
    share = np.where(right > left, (step - at[left]) / np.maximum(at[right] - at[left], 1), 0.0)
    return np.asarray(paths[:, left] + share[:, None] * (paths[:, right] - paths[:, left]))


class FlowScale:
    """For each flow, an increasing scale on which its errors are alike wherever it is.

    Half of it is the demand in units of its standard deviation, and half the normal score of its
    rank in the past: the quantile of the standard normal distribution at the share of the past that
    was below. The former alone lets a flow that alternates between two levels jump above the upper
    one; the latter alone does not know how far anything outside the past is.
    """

    def __init__(self, past: Floats) -> None:
        """Take the past, Mbit/s, [samples, flows], without gaps."""
        from scipy.special import ndtr

        score = np.linspace(-_OUTERMOST, _OUTERMOST, _KNOTS)
        spread = past.std(axis=0) + 1e-9 * np.abs(past).max(axis=0, initial=0.0) + 1e-9
        demand = np.quantile(past, ndtr(score), axis=0)
        # Where much of the past was the same, the scale still rises.
        demand = demand + 1e-4 * score[:, None] * spread
        inner = int(np.searchsorted(score, _INNER))
        width = score[-1] - score[inner]
        upper, lower = demand[-1] - demand[inner], demand[-1 - inner] - demand[0]
        upper, lower = (np.maximum(each / width, 0.05 * spread) for each in (upper, lower))
        self._demand = np.vstack([demand[0] - _FAR * lower, demand, demand[-1] + _FAR * upper])
        score = np.concatenate([[score[0] - _FAR], score, [score[-1] + _FAR]])
        self._value = (score[:, None] + self._demand / spread) / 2

    def of(self, demand: Floats) -> Floats:
        """Return demand, Mbit/s, on the scale, [..., flows]."""
        return _between(demand, self._demand, self._value)

    def back(self, values: Floats) -> Floats:
        """Return values of the scale as demand, Mbit/s, [..., flows]."""
        return _between(values, self._value, self._demand)


_OUTERMOST: Final = 2.33
"""Normal score of the outermost quantiles of the past: a percent is beyond."""
_INNER: Final = 1.28
"""And of those that, with them, say how steep the scale is beyond: a tenth is."""
_KNOTS: Final = 81
_FAR: Final = 50.0
"""How far beyond it goes on, in normal scores."""


def _between(values: Floats, knots: Floats, results: Floats) -> Floats:
    """Interpolate each flow's results at its knots, [knots, flows]; NaN stays."""
    return np.stack(
        [np.interp(values[..., i], knots[:, i], results[:, i]) for i in range(knots.shape[1])],
        axis=-1,
    )


def known_so_far(feed: Feed, kpi: str, first: int, closed: int) -> Floats:
    """Return samples first <= i < closed as they are known now, [samples, flows]; NaN is missing."""
    rows = feed.rows(kpi, first, closed).copy()
    for revision in feed.revisions(first, closed):
        if revision.kpi == kpi:
            start, stop = max(revision.first, first), revision.first + len(revision.values)
            values = revision.values[start - revision.first :]
            rows[start - first : stop - first, revision.series] = values
    return rows


def _without_gaps(errors: Floats) -> Floats:
    """Return the errors, those that are not known replaced by the path before, or by none."""
    missing = np.isnan(errors)
    if missing.any():
        flat = forward_filled(errors.reshape(len(errors), -1))
        return np.asarray(np.nan_to_num(flat).reshape(errors.shape))
    return errors


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
