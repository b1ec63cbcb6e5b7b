import numpy as np

from twin import Policy


class Mine(Policy):
    """Case 238."""

    def allocate(self, observation):
        return "plenty"
