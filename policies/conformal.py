"""A forecast that keeps the SLA."""

from copy import copy

import numpy as np

from twin import AdaptiveMargin, History, Observation, Policy, Share


class Conformal(Policy):
    """Any forecast plus a margin that adapts so that the SLA target is held on every link.

    `model` is the name or file of a forecaster, `persistence`, or `auto`: what did best on the
    history of each link. `target` is the share of intervals that may be short, by default the
    scenario's `sla.target`. A decision covers all intervals until the next one can be in force.
    """

    model: str = "auto"
    target: Share | None = None

    def models(self, kpis: tuple[str, ...]) -> tuple[str, ...]:
        return (self.model,)

    def fit(self, history: History) -> None:
        target = history.sla_target if self.target is None else self.target
        self._margin = AdaptiveMargin.warmed(history, self.model, target)

    def for_links(self, links: np.ndarray) -> Policy:
        some = copy(self)
        some._margin = self._margin.for_links(links)
        return some

    def allocate(self, observation: Observation) -> np.ndarray:
        self._margin.follow(observation)
        return self._margin.cover(observation, self.model)
