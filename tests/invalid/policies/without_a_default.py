import numpy as np

from twin import Policy


class Mine(Policy):
    """A."""

    margin: float

    def allocate(self, observation):
        return np.zeros(len(observation.links))
