"""A percentile of one's own choice."""

import numpy as np

from twin import History, Observation, Percentile, Policy


class StaticPercentile(Policy):
    """The `q`-th percentile of the history, held constant."""

    q: Percentile = 95.0

    def fit(self, history: History) -> None:
        self._level = np.nanpercentile(history.demand_mbps, self.q, axis=0)

    def allocate(self, observation: Observation) -> np.ndarray:
        return self._level
