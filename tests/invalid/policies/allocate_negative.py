import numpy as np

from twin import Policy


class Mine(Policy):
    """Case 231."""

    def allocate(self, observation):
        return np.array([1.0, -1.0])
