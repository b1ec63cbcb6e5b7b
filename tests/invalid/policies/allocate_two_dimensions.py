import numpy as np

from twin import Policy


class Mine(Policy):
    """Case 234."""

    def allocate(self, observation):
        return np.zeros((1, 2))
