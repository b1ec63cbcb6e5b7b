"""A forecast that keeps the SLA."""

import numpy as np

from twin import AdaptiveMargin, History, Observation, Policy, Share, model_for_kpis


class Conformal(Policy):
    """Any forecast plus a margin that adapts until the SLA target is just kept.

    `model` is the name or file of a forecaster, or `persistence`; by default `ridge`, or its
    variant for traffic alone. `target` is the share of intervals that may be short, by default
    the scenario's `sla.target`.
    """

    model: str = "auto"
    target: Share | None = None

    def models(self, kpis: tuple[str, ...]) -> tuple[str, ...]:
        return (model_for_kpis("ridge", kpis) if self.model == "auto" else self.model,)

    def fit(self, history: History) -> None:
        (self._model,) = self.models(tuple(history.kpis))
        target = history.sla_target if self.target is None else self.target
        self._margin = AdaptiveMargin.warmed(history, self._model, target)

    def allocate(self, observation: Observation) -> np.ndarray:
        self._margin.observe(observation.demand_mbps)
        return self._margin.allocate(observation.forecast(self._model))
