"""A model's own quantile, held to its word."""

from copy import copy
from statistics import NormalDist

import numpy as np

from twin import AdaptiveMargin, History, Observation, Policy, Share, model_for_kpis

LEAST = 0.75
"""Least level that the spread is taken at, where the target asks for less."""


class Quantile(Policy):
    """The quantile of a model that forecasts quantiles, recalibrated so that the target is held.

    `model` is by default `quantile`, or its variant for traffic alone; `target` is the share of
    intervals that may be short, by default the scenario's `sla.target`. The model's quantile for
    it, between two of its levels or beyond them on the scale of the normal distribution, lies some
    distance above its median. An adaptive margin over the median is measured in the errors seen of
    late, which count as larger where the model expects a larger spread than usual. A decision
    covers all intervals until the next one can be in force.
    """

    model: str = "auto"
    target: Share | None = None

    def models(self, kpis: tuple[str, ...]) -> tuple[str, ...]:
        return (model_for_kpis("quantile", kpis) if self.model == "auto" else self.model,)

    def fit(self, history: History) -> None:
        (self._model,) = self.models(tuple(history.kpis))
        self._target = history.sla_target if self.target is None else self.target
        self._margin = AdaptiveMargin.of(history, self._target)
        samples = self._margin.settled_on(history)
        ahead = range(*self._margin.covered)
        # [ahead, samples, links]; the k-th row of a decision is about the k-th sample it covers.
        parts = [self._parts(*history.quantiles(self._model, samples, k)) for k in ahead]
        middle, spread = (np.stack(each) for each in zip(*parts, strict=True))
        places = np.arange(len(ahead))

        def path(i: int) -> tuple[np.ndarray, np.ndarray]:
            covered = np.minimum(i + places, samples - 1)
            return middle[places, covered], spread[places, covered].max(axis=0)

        self._margin.settle(history.demand_mbps, samples, path)

    def for_links(self, links: np.ndarray) -> Policy:
        some = copy(self)
        some._margin = self._margin.for_links(links)
        return some

    def allocate(self, observation: Observation) -> np.ndarray:
        def path(first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
            ahead = range(first, first + count)
            parts = [self._parts(*observation.quantiles(self._model, k)) for k in ahead]
            middle, spread = (np.stack(each) for each in zip(*parts, strict=True))
            return middle, spread.max(axis=0)

        self._margin.follow(observation)
        return self._margin.decide(observation.commitment, path)

    def _parts(
        self, quantiles: np.ndarray, levels: tuple[float, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the median and how far the quantile for the target is above it, from [..., q]."""
        middle = (quantiles * weights(levels, 0.5)).sum(axis=-1)
        above = (quantiles * weights(levels, max(1 - self._target, LEAST))).sum(axis=-1)
        return middle, np.maximum(above - middle, 0.0)


def weights(levels: tuple[float, ...], level: float) -> np.ndarray:
    """Return what to multiply quantiles at rising `levels` by, to get that at `level`."""
    # No quantile is infinitely far away: one in a million is as far as it goes.
    z = np.array([NormalDist().inv_cdf(min(max(p, 1e-6), 1 - 1e-6)) for p in (*levels, level)])
    answer = np.zeros(len(levels))
    if len(levels) == 1:
        return np.ones(1)
    right = int(np.clip(np.searchsorted(z[:-1], z[-1]), 1, len(levels) - 1))
    share = (z[-1] - z[right - 1]) / (z[right] - z[right - 1])
    answer[right - 1 : right + 1] = 1 - share, share
    return answer
