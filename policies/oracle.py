"""What no policy can beat."""

from typing import ClassVar

import numpy as np

from twin import Margin, Observation, Policy


class Oracle(Policy):
    """The coming interval's demand itself, plus a margin: a bound, not a policy.

    It knows the mean over the interval, not what changes inside it; where the demand is missing,
    the last known one counts.
    """

    bound: ClassVar[bool] = True

    margin: Margin = 0.0

    def allocate(self, observation: Observation) -> np.ndarray:
        coming = observation.coming_mbps
        known = np.where(np.isnan(coming), observation.last_known_mbps, coming)
        return known * (1 + self.margin)
