"""An adaptive margin over any forecast, such that a stated share of intervals is short.

A decision covers the intervals of its *commitment*: with a lead time, those that begin later; with
a cooldown, many on end. Let f be the highest forecast among them. Three margins compete, each a
number of scales c_i times a scale s_i (Mbit/s): how much the forecast errs lately at this place in
the season, how much it errs in the long run, and the latter in proportion to the forecast; and each
with a short and a long memory. The allocation of a link is

    max(f + sum_i w_i min(c_i s_i, m), 0).

- c_i is the quantile of the scores (d - f) / s_i of past intervals, d being the demand, that only
  the share aimed at exceeds: split conformal inference (Vovk et al. 2005), over a window of the
  latest. Scores are those of decisions as they were taken, known as late as they really are. (A
  margin that moves at each violation, as adaptive conformal inference does, explodes when it hears
  of them late.)
- The share aimed at is what the error budget leaves: see :mod:`twin.policy.budget`.
- w_i is the trust in a margin, the greater the less it lost lately (Freund and Schapire 1997;
  Zaffran et al. 2022 for conformal margins), so that a link that sleeps, jumps or hums gets what
  suits it.
- m is more than the largest d - f of late, by the more the less that stands out: where a scale that
  was tiny is normal again, no margin exceeds by far what ever was needed.
- Where a link has collapsed, f is at least what it carried before, while its return is likely
  enough: see :mod:`twin.policy.collapse`.

Work per interval is a few dozen operations on arrays of links, and one for each interval that a
decision covers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from twin.core.arrays import Bools, Floats, Ints, of_columns
from twin.core.weights import trust
from twin.policy.base import History, Observation
from twin.policy.budget import ErrorBudget
from twin.policy.collapse import Collapses
from twin.policy.commitment import Commitment
from twin.policy.forecast_errors import SCALES, WARM_UP, ForecastErrors, HorizonSettings, follow
from twin.policy.histogram import WindowedQuantiles

_COUNTED: Final = 16
"""Samples of the history between two quantiles of the scores."""
_HIGHEST_HALF_LIFE: Final = 4_000
"""Samples after which the largest excesses of demand over forecast have shrunk by half."""
_SCARCEST: Final = 0.1
"""A shortfall is worth no more than where this part of the target is aimed at."""


class AdaptiveMargin:
    """Allocations over forecasts of the same links, learning from each interval that closes."""

    def __init__(
        self,
        target: float,
        season: Ints,
        *,
        period: int,
        commitment: Commitment | None = None,
    ) -> None:
        """Know nothing yet: :meth:`settle` on the past before the first decision.

        `target` is the share of intervals that may exceed the allocation in each `period`
        intervals; `season` is each link's period in samples, 0 for none, [links]; `commitment` is
        what a decision covers.
        """
        links = len(season)
        self._terms = terms = Commitment.at_once(links) if commitment is None else commitment
        self._target = target
        self._budget = ErrorBudget(target, period, terms.last)
        self._ahead = int(terms.first.min())
        self._horizon = HorizonSettings(terms.last, target)
        self._errors = ForecastErrors(season, self._horizon)
        self._collapses = Collapses(links)
        self._scores = WindowedQuantiles(np.repeat(self._horizon.windows[:, None], SCALES, axis=1))
        self._losses = np.zeros((2, SCALES, links))
        self._judged = 0
        self._highest = np.zeros((2, links))
        # Of each interval to come: what was decided, in a ring.
        self._room = int(terms.last.max()) + 2
        self._forecasts = np.zeros((self._room, links))
        self._tops = np.zeros((self._room, links))
        self._scaled = np.zeros((self._room, SCALES, links))
        self._margins = np.zeros((self._room, 2, SCALES, links))
        self._allocations = np.zeros((self._room, links))
        self._asked = np.zeros(links)
        self._written = np.full(self._room, -1)
        self._sample = 0
        self._decided = False

    @classmethod
    def warmed(cls, history: History, model: str, target: float) -> AdaptiveMargin:
        """Return a margin over the forecasts of `model`, settled on the end of the history."""
        margin = cls.of(history, target)
        terms = history.commitment
        first, count = terms.span
        demand, samples = history.demand_mbps, margin.settled_on(history)
        if count == 1:
            rows = history.forecasts(model, samples, first)
            margin.settle(demand, samples, lambda i: (rows[i][None], None))
        else:
            start = len(demand) - samples - first
            margin.settle(
                demand,
                samples,
                lambda i: (history.forecast_path(model, start + i, count, first), None),
            )
        return margin

    @classmethod
    def of(cls, history: History, target: float) -> AdaptiveMargin:
        """Return a margin for the links of a history, which has not settled yet."""
        return cls(
            target, history.season, period=history.sla_intervals, commitment=history.commitment
        )

    def for_links(self, links: Ints) -> AdaptiveMargin:
        """Return a margin that goes on as this one does, for some links.

        They are columns of its own, and may come several times.
        """
        some = of_columns(self, links, apart=("_written",))
        some._terms = self._terms.for_links(links)
        some._written = self._written.copy()
        some._budget = of_columns(self._budget, links)
        some._horizon = of_columns(self._horizon, links)
        some._errors = self._errors.for_links(links)
        some._collapses = self._collapses.for_links(links)
        some._scores = self._scores.for_links(links)
        return some

    def settled_on(self, history: History) -> int:
        """Return the samples at the end of a history to settle on.

        Half of what a decision reaches back to is left to what forecasts. Raises ValueError where
        there is nothing.
        """
        length, ahead = history.samples, self.covered[1] - 1
        samples = min(WARM_UP, (length - ahead) // 2)
        if samples < 1:
            what = f"a history of {length} samples is no longer than what a decision covers"
            raise ValueError(f"{what}, {ahead + 1} intervals")
        return samples

    @property
    def covered(self) -> tuple[int, int]:
        """First interval after the coming one that decisions cover, and the end of the last."""
        first, count = self._terms.span
        return first, first + count

    def settle(
        self,
        demand: Floats,
        samples: int,
        path: Callable[[int], tuple[Floats, Floats | None]],
    ) -> None:
        """Settle on the last `samples` before the replay, each forecast from its own past alone.

        `demand` [all samples, links] is all that is known, NaN where missing. `path(i)` returns the
        forecasts [intervals, links] of the i-th of these samples and those after it, as a decision
        that covers these would know them, and what the forecaster says of their spread, [links], if
        anything.
        """
        for row in demand[:-samples]:
            self._collapses.learn(row)
        self._sample = len(demand)
        demand = demand[-samples:]
        links = demand.shape[1]
        held = self._terms.last - self._terms.first + 1
        # Per sample: the forecast, the highest one of its decision, and what that is measured in.
        forecasts, tops = np.full((2, *demand.shape), np.nan)
        scales = np.full((len(demand), SCALES, links), np.nan)
        for i in range(len(demand)):
            takes = i % held == 0
            if takes.any():
                self._cover(*path(i), takes, i, forecasts, tops, scales)
            if (known := i - self._ahead) >= 0:
                self._errors.learn(demand[known], forecasts[known], scales[known, 0])
                self._collapses.learn(demand[known])
        for known in range(max(len(demand) - self._ahead, 0), len(demand)):
            self._errors.learn(demand[known], forecasts[known], scales[known, 0])
            self._collapses.learn(demand[known])
        settled = len(demand) // 4  # before that the scales are not settled
        excess = (demand - tops)[settled:]
        usable = (scales[settled:] > 0) & ~np.isnan(excess)[:, None]
        scores = np.divide(
            excess[:, None], scales[settled:], out=np.full(usable.shape, np.nan), where=usable
        )
        self._highest = _two_highest(excess, self._highest)
        aimed = np.full(links, self._target)
        counts: list[Floats] = []
        for i in range(len(scores) + self._ahead):
            # What a decision for i knows is what came before it was taken.
            if i < len(scores) and i % _COUNTED == 0:
                counts.append(self._scores.quantiles(aimed))
            if (known := i - self._ahead) < 0:
                continue
            both = np.broadcast_to(scores[known], self._losses.shape)
            self._scores.add(both, ~np.isnan(both))
            margins = counts[known // _COUNTED] * scales[settled + known]
            self._lose(excess[known] - margins, ~np.isnan(excess[known]))

    def _cover(
        self,
        rows: Floats,
        spread: Floats | None,
        takes: Bools,
        start: int,
        forecasts: Floats,
        tops: Floats,
        scales: Floats,
    ) -> None:
        """Write what decisions at `start` of the history are over into the samples they cover."""
        covered = self._terms.covered & takes
        top = np.where(covered, rows, -np.inf).max(axis=0)
        top = np.where(takes, top, 0.0)
        scale = self._errors.scales(top, *_middle(self._terms), spread)
        top = self._raised(top, scale, np.full(len(top), self._target), self._terms)
        stop = min(start + len(rows), len(tops))
        for j in range(start, stop):
            some = covered[j - start]
            forecasts[j, some] = rows[j - start, some]
            tops[j, some] = top[some]
            scales[j][:, some] = scale[:, some]

    def observe(self, demand: Floats) -> None:
        """Take all that is known at a tick, Mbit/s, [samples, links], before deciding at it.

        Learns from the last interval, or, at the first tick, passes over the samples that nothing
        was decided for.
        """
        self._close(len(demand), demand[-1])

    def follow(self, observation: Observation) -> None:
        """Take what has closed, as :meth:`observe` does of all that is known."""
        self._close(observation.closed, observation.latest_mbps)

    def _close(self, closed: int, latest: Floats) -> None:
        if self._decided:
            self.learn(latest)
        else:
            self._errors.skip(closed - self._sample)
        self._sample = closed

    def cover(self, observation: Observation, model: str) -> Floats:
        """Return the allocation over the forecasts of `model`, Mbit/s, [links]."""
        return self.decide(
            observation.commitment,
            lambda first, count: (observation.forecast_path(model, count, first), None),
        )

    def decide(
        self, terms: Commitment, path: Callable[[int, int], tuple[Floats, Floats | None]]
    ) -> Floats:
        """Return the allocation for the intervals that a decision covers, Mbit/s, [links].

        `path(first, count)` returns the forecasts of so many intervals from the `first` on,
        [count, links], and what the forecaster says of their spread, [links], if anything. While a
        cooldown runs on a link, it stays as it was asked for.
        """
        if not terms.open.any():
            return self._asked
        first, count = terms.span
        if (needed := first + count + 1) > self._room:
            self._make_room(needed)
        rows, spread = path(first, count)
        if count == 1 and terms.open.all():
            top, covered = rows[0], None
        else:
            covered = terms.covered & terms.open
            top = np.where(covered, rows, -np.inf).max(axis=0)
            top = np.where(terms.open, top, 0.0)
        scales = self._errors.scales(top, *_middle(terms), spread)
        share = self._budget.share()
        top = self._raised(top, scales, share, terms)
        counts = self._scores.quantiles(share)
        margins = np.minimum(counts * scales, self._most())
        margin = (trust(self._losses, axis=(0, 1)) * margins).sum(axis=(0, 1))
        allocation = _ordered(np.maximum(top + margin, 0.0), terms)
        granted = terms.granted(allocation)
        for i in range(count):
            place = (self._sample + first + i) % self._room
            self._written[place] = self._sample + first + i
            some = slice(None) if covered is None else covered[i]
            self._forecasts[place, some] = rows[i, some]
            self._tops[place, some] = top[some]
            self._scaled[place][:, some] = scales[:, some]
            self._margins[place][..., some] = margins[..., some]
            self._allocations[place, some] = granted[some]
        self._asked = np.where(terms.open, allocation, self._asked)
        self._decided = True
        return self._asked

    def learn(self, demand: Floats) -> None:
        """Take the demand of the interval that has closed, Mbit/s, [links]; NaN teaches nothing."""
        place = self._sample % self._room
        if self._written[place] != self._sample:
            # Until a later decision is in force, the one before stays.
            for ring in self._rings:
                ring[place] = ring[place - 1]
        top, scales = self._tops[place], self._scaled[place]
        excess = demand - top
        known = ~np.isnan(excess)
        usable = (scales > 0) & known
        scores = np.divide(excess, scales, out=np.zeros_like(scales), where=usable)
        self._scores.add(
            np.broadcast_to(scores, self._losses.shape),
            np.broadcast_to(usable, self._losses.shape),
        )
        self._lose(excess - self._margins[place], known)
        shrunk = 0.5 ** (1 / _HIGHEST_HALF_LIFE) * self._highest
        self._highest = np.where(known, _two_highest(excess[None], shrunk), self._highest)
        self._budget.learn(demand > self._allocations[place], known)
        self._errors.learn(demand, self._forecasts[place], scales[0])
        self._collapses.learn(demand)

    def _raised(self, top: Floats, scales: Floats, share: Floats, terms: Commitment) -> Floats:
        """Return the forecasts, at least what links that have collapsed are likely to be back at.

        Elsewhere, one shortfall less costs about a scale over the `share` aimed at: with errors
        that have an exponential tail, a margin of -s ln p is short in a share p, and -dm/dp = s/p.
        """
        if not self._collapses.any:
            return top
        price = scales[1] / np.maximum(share, _SCARCEST * self._target)
        return np.maximum(top, self._collapses.floor(top, price, terms.last))

    def _most(self) -> Floats:
        """Return the greatest margin, Mbit/s, [links]."""
        return np.asarray((self._horizon.most * self._highest).max(axis=0))

    @property
    def _rings(self) -> tuple[Floats, ...]:
        return self._forecasts, self._tops, self._scaled, self._margins, self._allocations

    def _make_room(self, room: int) -> None:
        """Let the rings hold more intervals to come: decisions cover more than they did."""
        old, self._room = self._room, room
        to_come = np.arange(self._sample, self._sample + old)
        larger = []
        for ring in (*self._rings, self._written):
            new = np.zeros((room, *ring.shape[1:]), dtype=ring.dtype)
            new[to_come % room] = ring[to_come % old]
            larger.append(new)
        (
            self._forecasts, self._tops, self._scaled, self._margins, self._allocations,
            self._written,
        ) = larger  # fmt: skip

    def _lose(self, beyond: Floats, known: Bools) -> None:
        """Take the demand beyond each margin, Mbit/s, where it is known.

        Its pinball loss is (1 - target) x where x > 0, else target |x|; the mean of that is least
        where P(x > 0) = target.
        """
        loss = np.where(beyond > 0, 1 - self._target, -self._target) * beyond
        # At first the mean of what there is.
        self._judged += 1
        half_life = np.minimum(self._horizon.losses, np.log(2) * self._judged)
        follow(self._losses, loss, half_life, known)


def _two_highest(excess: Floats, before: Floats) -> Floats:
    """Return the two highest of the excess [samples, links] and those `before`, [2, links]."""
    excess = np.where(np.isnan(excess), 0.0, excess)
    return np.sort(np.vstack([before, excess]), axis=0)[-2:]


def _middle(terms: Commitment) -> tuple[Ints, Ints]:
    """Return the middle of the intervals that a decision covers, and how many they are, [links]."""
    return (terms.first + terms.last) // 2, terms.last - terms.first + 1


def _ordered(wanted: Floats, terms: Commitment) -> Floats:
    """Return what to ask for so that at least `wanted` is ordered, whatever the hysteresis."""
    needed = (wanted > terms.ordered_mbps) & (terms.ordered_mbps > 0) & (terms.hysteresis_up > 0)
    if not needed.any():
        return wanted
    least = terms.ordered_mbps * (1 + terms.hysteresis_up) * (1 + 1e-9)
    return np.where(needed, np.maximum(wanted, least), wanted)
