import numpy as np

from twin import Policy


class Mine(Policy):
    """Late."""

    def allocate(self, observation):
        return np.array([1.0, np.nan if observation.interval == 50 else 2.0])
