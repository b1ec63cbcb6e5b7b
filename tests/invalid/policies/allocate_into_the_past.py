import numpy as np

from twin import Policy


class Mine(Policy):
    """Case 240."""

    def allocate(self, observation):
        observation.demand_mbps[0] = 1
