"""Persistence: what was, will be."""

import numpy as np

from twin import Margin, Observation, Policy


class LastValue(Policy):
    """The last known demand, plus a margin."""

    margin: Margin = 0.0

    def allocate(self, observation: Observation) -> np.ndarray:
        return observation.last_known_mbps * (1 + self.margin)
