import numpy as np

from twin import Policy


class Mine(Policy):
    """Case 228."""

    def allocate(self, observation):
        raise ValueError("no\nidea")
