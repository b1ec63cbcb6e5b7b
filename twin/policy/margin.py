"""An adaptive margin over any forecast, such that a stated share of intervals is short.

Three margins compete. Each is a number of scales c_i times a scale s_i (Mbit/s): how much the
forecast errs lately at this place in the season, how much it errs in the long run, and the latter
in proportion to the forecast. With the forecast f, the allocation of a link is

    max(f + exp(u) sum_i w_i c_i s_i, 0).

- c_i follows a quantile of the errors. After every interval it rises by much if its margin was too
  small, and else falls by little, so that the share of short intervals approaches the target
  whatever the distribution of the errors (Gibbs and Candes 2021, adaptive conformal inference; here
  in the logarithm, so that a margin stays positive and needs no unit).
- w_i is the trust in a margin, the greater the less it lost lately (Freund and Schapire 1997;
  Zaffran et al. 2022 for conformal margins), so that a link that sleeps, jumps or hums gets what
  suits it.
- u makes up for the past. When the errors of a link double, a score of intervals too many is short
  before c_i has doubled. While a link has overdrawn its error budget by more than a tolerance, u is
  above 0; while it has spent as much too little, u is below 0; in both cases c_i moves faster
  (after the integrator of Angelopoulos, Candes and Tibshirani 2023, conformal PID control).

Work per interval is a few dozen operations on arrays of links.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.policy.base import History

WARM_UP: Final = 4_032
"""Samples of the history that settle a margin: two weeks of 5 minutes."""

_RECENT_HALF_LIFE: Final = 10
"""Samples after which a recent error counts half."""
_LONG_HALF_LIFE: Final = 2_000
"""Samples after which an error of the long run counts half."""
_SEASON_HALF_LIFE: Final = 3
"""Seasons after which an error at a place in the season counts half."""
_SEASON_SHARE: Final = 0.45
"""Weight of the season's error in its geometric mean with the recent one."""
_AROUND: Final = np.arange(-3, 4)[:, None]
"""Places in the season, from this one, that count as this one."""
_OUTLIER: Final = 8.0
"""Errors above this many scales count as this many: one jump is not the new normal."""
_FLOOR: Final = 0.02
"""Least recent error, as a share of that of the long run: links that sleep wake up."""
_LEVEL_FLOOR: Final = 0.2
"""The share of the margin in proportion to the forecast that does not fall with it."""

_SCALES: Final = 3
"""Scales: the recent error, that of the long run, and the latter in proportion to the forecast."""
_STEP: Final = 0.05
"""Least learning rate of ln c_i."""
_FEWEST_SCALES: Final = 0.02
_LOSS_HALF_LIFE: Final = 500
"""Samples after which a loss of a margin counts half."""
_RATE: Final = 40.0
"""How fast trust falls: a margin that lost a tenth more than the best counts exp(-4) as much."""

_BUDGET_HALF_LIFE: Final = 10_000
"""Samples after which the error budget and what was spent of it count half: five weeks."""
_CREDIT: Final = 4.0
"""Short intervals added to the budget, so that it does not matter when the first one comes."""
_TOLERANCE: Final = 0.2
"""Share of the budget by which it may be missed either way: that is chance, no wrong margin."""
_GAIN: Final = 4.0
"""What u rises by for each budget that is overdrawn beyond the tolerance."""
_MOST: Final = 1.0
"""The greatest u: a budget that is gone early is not made up for at any price."""


class AdaptiveMargin:
    """Allocations over forecasts of the same links, learning from each interval that closes."""

    def __init__(self, target: float, demand: Floats, forecasts: Floats, season: Ints) -> None:
        """Settle on forecasts of the last samples before the replay, each made from its past alone.

        `target` is the share of intervals that may exceed the allocation; `demand` and
        `forecasts`, Mbit/s, [samples, links], are those of these samples, NaN where missing;
        `season` is each link's period in samples, 0 for none, [links].
        """
        self._target = target
        self._seen = 0
        self._waits = False
        self._errors = _Errors(demand, forecasts, season)
        self._forecast = self._allocation = self._urgency = np.zeros(len(season))
        self._short = np.zeros(len(season))
        self._budget = np.zeros(len(season))
        scales = np.empty((_SCALES, *demand.shape))
        for i in range(len(demand)):
            scales[:, i] = self._errors.scales(forecasts[i])
            self._errors.learn(demand[i])
        first = len(demand) // 4  # before that the scales are not settled
        excess = (demand - forecasts)[first:]
        settled = [self._settled(excess, scale[first:]) for scale in scales]
        self._counts = np.array([count for count, _ in settled])
        self._losses = np.array([loss for _, loss in settled])
        self._margins = np.zeros_like(self._counts)

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

        Learns from the last interval, or, at the first tick, passes over the samples that nothing
        was allocated for.
        """
        if self._waits:
            self.learn(demand[-1])
        else:
            self.skip(len(demand) - self._seen)
        self._waits = True

    def allocate(self, forecast: Floats) -> Floats:
        """Return the allocation over a forecast for the coming interval, Mbit/s, [links]."""
        self._forecast = forecast
        self._margins = self._counts * self._errors.scales(forecast)
        margin = (_trust(self._losses) * self._margins).sum(axis=0)
        self._urgency = self._asked_by_budget()
        self._allocation = np.maximum(forecast + np.exp(self._urgency) * margin, 0.0)
        return self._allocation

    def skip(self, samples: int) -> None:
        """Pass over samples that nothing was allocated for."""
        self._errors.sample += samples

    def learn(self, demand: Floats) -> None:
        """Take the demand of the interval allocated last, Mbit/s, [links]; NaN teaches nothing."""
        excess = demand - self._forecast
        known = ~np.isnan(excess)
        beyond = excess - self._margins
        # With a the target and g the learning rate: ln c += g (1[excess > c s] - a). The mean of
        # this is 0 where c s is the (1 - a)-quantile of the excess. Over T intervals at one g, ln c
        # rises by g (short - a T): while c is bounded, short / T differs from a by O(1 / T).
        # The further a budget is missed, the more there is to learn: g = _STEP exp(|u|).
        step = _STEP * np.exp(np.abs(self._urgency)) * ((beyond > 0) - self._target)
        grown = self._counts * np.exp(np.where(known, step, 0.0))
        self._counts = np.maximum(grown, _FEWEST_SCALES)
        _follow(self._losses, self._lost(beyond), _LOSS_HALF_LIFE, known)
        kept = np.where(known, 0.5 ** (1 / _BUDGET_HALF_LIFE), 1.0)
        self._short = kept * self._short + (demand > self._allocation)
        self._budget = kept * self._budget + self._target * known
        self._errors.learn(demand)

    def _settled(self, excess: Floats, scale: Floats) -> tuple[Floats, Floats]:
        """Return how many scales keep the target on what is known, and their mean loss, [links].

        `excess`, demand over forecast, and `scale` are in Mbit/s, [samples, links].
        """
        usable = (scale > 0) & ~np.isnan(excess)
        scores = np.divide(excess, scale, out=np.full(excess.shape, np.nan), where=usable)
        # The quantile of split conformal inference: the sample to come is one more, and its score
        # may be the greatest of all.
        share = min((1 - self._target) * (1 + 1 / max(len(scores), 1)), 1.0)
        count = np.maximum(_quantile(scores, share), _FEWEST_SCALES)
        return count, _mean(self._lost(excess - count * scale))

    def _lost(self, beyond: Floats) -> Floats:
        """Return the pinball loss of demand beyond a margin, in the shape of `beyond`, Mbit/s.

        (1 - target) x where x > 0, else target |x|. Its mean is least where P(x > 0) = target.
        """
        loss: Floats = np.where(beyond > 0, 1 - self._target, -self._target) * beyond
        return loss

    def _asked_by_budget(self) -> Floats:
        """Return what the error budget adds to the logarithm of each link's margin, u, [links].

        With S the short intervals, B = target x known intervals (both discounted) and
        o = (S - B) / (B + _CREDIT): u = min(_GAIN x (o beyond +-_TOLERANCE), _MOST).
        """
        overdrawn = (self._short - self._budget) / (self._budget + _CREDIT)
        beyond = overdrawn - np.clip(overdrawn, -_TOLERANCE, _TOLERANCE)
        urgency: Floats = np.minimum(_GAIN * beyond, _MOST)
        return urgency


class _Errors:
    """How much the forecasts of a link err: in the long run, lately, and by place in the season."""

    def __init__(self, demand: Floats, forecasts: Floats, season: Ints) -> None:
        self.sample = 0
        self._period = np.maximum(season, 1)
        self._seasonal = season > 0
        self._links = np.arange(len(season))
        self._usual = np.full((self._period.max(initial=1), len(season)), np.nan)
        self._long = _mean(np.abs(demand - forecasts))
        self._recent = self._long.copy()
        self._level = _mean(np.abs(forecasts))
        self._forecast = self._expected = np.zeros(len(season))

    def scales(self, forecast: Floats) -> Floats:
        """Return what the margin over a forecast may be measured in, Mbit/s, [scales, links]."""
        self._forecast = forecast
        self._expected = self._expected_now()
        relative = np.zeros(len(forecast))
        np.divide(np.abs(forecast), self._level, out=relative, where=self._level > 0)
        in_proportion = (_LEVEL_FLOOR + (1 - _LEVEL_FLOOR) * relative) * self._long
        return np.stack([self._expected, self._long, in_proportion])

    def _expected_now(self) -> Floats:
        """Return the error expected from the recent ones and those usual at this place, [links].

        recent^(1 - q) usual^q, q = _SEASON_SHARE (0 without a season); at least _FLOOR x long.
        """
        usual = _mean(self._usual[(self.sample + _AROUND) % self._period, self._links])
        seasonal = self._seasonal & (usual > 0)
        share = np.where(seasonal, _SEASON_SHARE, 0.0)
        both = self._recent ** (1 - share) * np.where(seasonal, usual, 1.0) ** share
        expected: Floats = np.maximum(both, _FLOOR * self._long)
        return expected

    def learn(self, demand: Floats) -> None:
        """Take the demand that was forecast last, Mbit/s, [links]; NaN teaches nothing."""
        error = np.abs(demand - self._forecast)
        limit = np.where(self._expected > 0, _OUTLIER * self._expected, np.inf)
        error = np.where(np.isnan(error), np.nan, np.minimum(error, limit))
        known = ~np.isnan(error)
        _follow(self._recent, error, _RECENT_HALF_LIFE, known)
        _follow(self._long, error, _LONG_HALF_LIFE, known)
        _follow(self._level, np.abs(self._forecast), _LONG_HALF_LIFE, known)
        place = self.sample % self._period, self._links
        usual = self._usual[place]
        fresh = known & np.isnan(usual)
        usual[fresh] = error[fresh]
        _follow(usual, error, _SEASON_HALF_LIFE, known)
        self._usual[place] = usual
        self.sample += 1


def _trust(losses: Floats) -> Floats:
    """Return weights over the first axis that sum to 1: w_i ~ exp(-_RATE (L_i / min L - 1)).

    The exponential weights of Freund and Schapire. Losses are relative to the least: no unit.
    """
    best = losses.min(axis=0)
    # Where the best never lost, those that did have no say.
    worse = np.where(losses > best, np.inf, 1.0)
    np.divide(losses, best, out=worse, where=best > 0)
    weights = np.exp(-_RATE * (worse - 1))
    trust: Floats = weights / weights.sum(axis=0)
    return trust


def _follow(values: Floats, latest: Floats, half_life: float, known: Bools) -> None:
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


def _quantile(scores: Floats, share: float) -> Floats:
    """Return the quantile over the first axis without NaN; 1 where there is nothing."""
    if not len(scores):
        return np.ones(scores.shape[1])
    empty = np.isnan(scores).all(axis=0)
    quantile: Floats = np.nanquantile(np.where(empty, 1.0, scores), share, axis=0)
    return quantile
