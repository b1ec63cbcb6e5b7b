import numpy as np

from twin import Policy


class Mine(Policy):
    """Case 239."""

    def allocate(self, observation):
        return ["1", "2"]
