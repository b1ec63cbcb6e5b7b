"""A forecast that keeps the SLA."""

import numpy as np

from twin import AdaptiveMargin, History, Observation, Policy, Share, variant


class Conformal(Policy):
    """Any forecast plus a margin that adapts until the SLA target is just kept.

    `model` is the name or file of a forecaster, or `persistence`; by default `ridge`, or its
    variant for traffic alone. `target` is the share of intervals that may be short, by default
    the scenario's `sla.target`.
    """

    model: str = "auto"
    target: Share | None = None

    def models(self, kpis: tuple[str, ...]) -> tuple[str, ...]:
        return (variant("ridge", kpis) if self.model == "auto" else self.model,)

    def fit(self, history: History) -> None:
        (self._model,) = self.models(tuple(history.kpis))
        # Two weeks of 5 minutes settle the margin; forecasts of them are fitted on what is before.
        samples = min(4_032, len(history.demand_mbps) // 2)
        target = history.sla_target if self.target is None else self.target
        forecasts = history.forecasts(self._model, samples)
        demand = history.demand_mbps[-samples:]
        self._margin = AdaptiveMargin(target, demand, forecasts, history.season)
        self._fitted = len(history.demand_mbps)
        self._allocated = False

    def allocate(self, observation: Observation) -> np.ndarray:
        if self._allocated:
            self._margin.learn(observation.demand_mbps[-1])
        else:
            self._margin.skip(len(observation.demand_mbps) - self._fitted)
            self._allocated = True
        return self._margin.allocate(observation.forecast(self._model))
