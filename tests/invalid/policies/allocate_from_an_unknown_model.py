import numpy as np

from twin import Policy


class Mine(Policy):
    """Case 241."""

    def allocate(self, observation):
        return observation.forecast("bilsmt")
