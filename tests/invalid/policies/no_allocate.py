import numpy as np

from twin import Policy


class Mine(Policy):
    """None."""
