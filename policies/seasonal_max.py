"""The highest of the same time in seasons past."""

import numpy as np

from twin import History, Margin, Observation, Policy

HOUR_S = 3600


class SeasonalMax(Policy):
    """Maximum of the same slot of past seasons and its neighbours, plus a margin.

    How long a season lasts is found in each link's history; a link without one gets the maximum
    of the last hour. The last known demand counts too, so that a lasting jump is followed at once.
    """

    seasons: int = 7
    neighbours: int = 1
    margin: Margin = 0.1

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        if self.seasons < 1 or self.neighbours < 0:
            raise ValueError("seasons must be at least 1 and neighbours at least 0")

    def fit(self, history: History) -> None:
        recent = max(1, round(HOUR_S / history.tick_s))
        turns = np.arange(1, self.seasons + 1)[:, None]
        near = np.arange(-self.neighbours, self.neighbours + 1)
        season = history.season[:, None, None]
        # How many samples ago each link looks: [links, slots], the same number for all links.
        past = (season * turns - near).reshape(len(history.links), -1)
        hour = np.minimum(np.arange(past.shape[1]), recent - 1) + 1
        self._ago = np.where(season[..., 0] > 0, past, hour).T

    def allocate(self, observation: Observation) -> np.ndarray:
        demand = observation.demand_mbps
        at = len(demand) - self._ago
        slots = np.take_along_axis(demand, np.clip(at, 0, len(demand) - 1), axis=0)
        slots[(at < 0) | (at >= len(demand))] = np.nan
        highest = np.fmax(np.fmax.reduce(slots, axis=0), observation.last_known_mbps)
        return highest * (1 + self.margin)
