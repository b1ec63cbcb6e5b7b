"""Baseline 2 of the paper."""

import numpy as np

from twin import History, Observation, Policy


class StaticP95(Policy):
    """95th percentile of the history, held constant."""

    def fit(self, history: History) -> None:
        self._level = np.nanpercentile(history.demand_mbps, 95, axis=0)

    def allocate(self, observation: Observation) -> np.ndarray:
        return self._level
