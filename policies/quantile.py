"""A model's own quantile, held to its word."""

from statistics import NormalDist

import numpy as np

from twin import AdaptiveMargin, History, Observation, Policy, Share, model_for_kpis

SAY = 0.25
"""Weight of the model's spread in the geometric mean with the errors that were seen of late."""
FLOOR = 0.02
"""Least spread, as a share of the mean spread of the history: links that sleep wake up."""

LEAST = 0.75
"""Least level that the spread is taken at, where the target asks for less."""


class Quantile(Policy):
    """The quantile of a model that forecasts quantiles, recalibrated until the SLA target is kept.

    `model` is by default `quantile`, or its variant for traffic alone; `target` is the share of
    intervals that may be short, by default the scenario's `sla.target`. The model's quantile for
    it, between two of its levels or beyond them on the scale of the normal distribution, lies some
    distance above its median. An adaptive margin over the median learns from the errors how much
    of this spread it takes. Errors are divided by the spread to the power of 0.25, which makes the
    margin a geometric mean of what the model expects and what was seen of late at this phase of
    the season: alone, the model's spread wastes a tenth more on the same violations.
    """

    model: str = "auto"
    target: Share | None = None

    def models(self, kpis: tuple[str, ...]) -> tuple[str, ...]:
        return (model_for_kpis("quantile", kpis) if self.model == "auto" else self.model,)

    def fit(self, history: History) -> None:
        (self._model,) = self.models(tuple(history.kpis))
        self._target = history.sla_target if self.target is None else self.target
        samples = min(4_032, len(history.demand_mbps) // 2)
        middle, spread = self._parts(*history.quantiles(self._model, samples))
        known = ~np.isnan(spread)
        total = np.where(known, spread, 0.0).sum(axis=0)
        self._floor = FLOOR * total / np.maximum(known.sum(axis=0), 1)
        scores = (history.demand_mbps[-samples:] - middle) / self._unit(spread)
        nothing = np.zeros_like(scores)
        self._margin = AdaptiveMargin(self._target, scores, nothing, history.season)
        self._fitted = len(history.demand_mbps)
        self._allocated = False

    def allocate(self, observation: Observation) -> np.ndarray:
        if self._allocated:
            self._margin.learn((observation.demand_mbps[-1] - self._middle) / self._last_unit)
        else:
            self._margin.skip(len(observation.demand_mbps) - self._fitted)
            self._allocated = True
        self._middle, spread = self._parts(*observation.quantiles(self._model))
        self._last_unit = self._unit(spread)
        return self._middle + self._last_unit * self._margin.allocate(np.zeros_like(spread))

    def _unit(self, spread: np.ndarray) -> np.ndarray:
        """Return what errors are divided by; 1 on links that never did anything."""
        floored = np.maximum(spread, self._floor)
        return np.where(floored > 0, floored, 1.0) ** SAY

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
