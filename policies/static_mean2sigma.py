"""Baseline 1 of the paper."""

import numpy as np

from twin import History, Observation, Policy


class StaticMean2Sigma(Policy):
    """Mean plus two standard deviations of the history, held constant."""

    def fit(self, history: History) -> None:
        demand = history.demand_mbps
        self._level = np.nanmean(demand, axis=0) + 2 * np.nanstd(demand, axis=0)

    def allocate(self, observation: Observation) -> np.ndarray:
        return self._level
