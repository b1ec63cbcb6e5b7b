"""Several forecasts, trusted as much as they lately deserved."""

import numpy as np

from twin import AdaptiveMargin, History, Observation, Policy, Share, model_for_kpis

HALF_LIFE = 36
"""Samples in which an error is half forgotten."""
RATE = 40.0
"""How fast trust falls: a member a tenth worse than the best has exp(-4) of its weight."""


class Blend(Policy):
    """Forecasts of several members, weighted by their recent errors, plus an adaptive margin.

    Each link weights each member by exp(-rate x its error / the best member's), of absolute errors
    that are forgotten exponentially: multiplicative weights (Freund and Schapire 1997) with a
    memory, so that the best of late leads. Errors as remembered, weighted like this, are at most
    0.7 % above those of the better of two members. `auto` is `ridge`, or its variant for traffic
    alone. The margin aims at `target`, the share of intervals that may be short, by default the
    scenario's `sla.target`.
    """

    members: tuple[str, ...] = ("persistence", "auto")
    target: Share | None = None

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        if not self.members:
            raise ValueError("members must name at least one model")

    def models(self, kpis: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(model_for_kpis("ridge", kpis) if m == "auto" else m for m in self.members)

    def fit(self, history: History) -> None:
        self._models = self.models(tuple(history.kpis))
        samples = min(4_032, len(history.demand_mbps) // 2)
        demand = history.demand_mbps[-samples:]
        forecasts = np.stack([history.forecasts(model, samples) for model in self._models])
        self._errors = np.zeros(forecasts.shape[::2])
        blended = np.empty_like(demand)
        for i in range(samples):
            blended[i] = self._blended(forecasts[:, i])
            self._learn(demand[i])
        target = history.sla_target if self.target is None else self.target
        self._margin = AdaptiveMargin(target, demand, blended, history.season)
        self._fitted = len(history.demand_mbps)
        self._allocated = False

    def allocate(self, observation: Observation) -> np.ndarray:
        if self._allocated:
            self._learn(observation.demand_mbps[-1])
            self._margin.learn(observation.demand_mbps[-1])
        else:
            self._margin.skip(len(observation.demand_mbps) - self._fitted)
            self._allocated = True
        forecasts = np.stack([observation.forecast(model) for model in self._models])
        return self._margin.allocate(self._blended(forecasts))

    def _blended(self, forecasts: np.ndarray) -> np.ndarray:
        """Return the weighted mean of forecasts [members, links]."""
        self._forecasts = forecasts
        best = self._errors.min(axis=0)
        # Where the best never erred, whoever did has no say.
        worse = np.where(self._errors > best, np.inf, 1.0)
        np.divide(self._errors, best, out=worse, where=best > 0)
        weights = np.exp(-RATE * (worse - 1))
        return (weights * forecasts).sum(axis=0) / weights.sum(axis=0)

    def _learn(self, demand: np.ndarray) -> None:
        """Take the demand that was forecast last; NaN teaches nothing."""
        errors = np.abs(demand - self._forecasts)
        step = (1 - 0.5 ** (1 / HALF_LIFE)) * (errors - self._errors)
        self._errors += np.where(np.isnan(errors), 0.0, step)
