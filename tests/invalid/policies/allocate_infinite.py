import numpy as np

from twin import Policy


class Mine(Policy):
    """Case 232."""

    def allocate(self, observation):
        return np.array([np.inf, 1.0])
