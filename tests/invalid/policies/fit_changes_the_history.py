import numpy as np

from twin import Policy


class Mine(Policy):
    """Fit too."""

    def fit(self, history):
        history.kpis["internet"] = 3

    def allocate(self, observation):
        return np.zeros(len(observation.links))
