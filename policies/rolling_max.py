"""The highest of the recent past."""

import numpy as np

from twin import Margin, Observation, Policy, Window, seconds


class RollingMax(Policy):
    """Maximum of the demand in the last `window`, plus a margin."""

    window: Window = seconds("1h")
    margin: Margin = 0.1

    def allocate(self, observation: Observation) -> np.ndarray:
        samples = max(1, round(self.window / observation.tick_s))
        # fmax passes over missing samples; where all are missing the last known one counts.
        highest = np.fmax.reduce(observation.demand_mbps[-samples:], axis=0)
        known = np.where(np.isnan(highest), observation.last_known_mbps, highest)
        return known * (1 + self.margin)
