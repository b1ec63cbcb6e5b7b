"""Any forecast, allocated as it is."""

import numpy as np

from twin import Margin, Observation, Policy


class Forecast(Policy):
    """Point forecast of any model, plus a margin.

    `model` is the name or file of a model, `persistence`, or `auto`: what did best on the history
    of each link.
    """

    model: str = "auto"
    margin: Margin = 0.0

    def models(self, kpis: tuple[str, ...]) -> tuple[str, ...]:
        return (self.model,)

    def for_links(self, links: np.ndarray) -> Policy:
        return self

    def allocate(self, observation: Observation) -> np.ndarray:
        return observation.highest_forecast(self.model) * (1 + self.margin)
