"""The highest of the same time in seasons past."""

import numpy as np

from twin import Commitment, History, Margin, Observation, Policy, RelativeMargin

HOUR_S = 3600


class SeasonalMax(Policy):
    """Maximum of the same slot of past seasons and its neighbours, plus a margin.

    How long a season lasts is found in each link's history; a link without one gets the maximum
    of the last hour. The last known demand counts too, so that a lasting jump is followed at once.
    A decision that takes time looks at the slots of all intervals that it covers, and its margin
    is what past decisions would have needed, at least `margin`.
    """

    seasons: int = 7
    neighbours: int = 1
    margin: Margin = 0.1

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        if self.seasons < 1 or self.neighbours < 0:
            raise ValueError("seasons must be at least 1 and neighbours at least 0")

    def fit(self, history: History) -> None:
        self._season = history.season
        self._hour = max(1, round(HOUR_S / history.tick_s))
        self._covered = np.empty(0)
        self._margin = RelativeMargin(history, self.margin, self._highest)

    def allocate(self, observation: Observation) -> np.ndarray:
        return self._margin.cover(observation)

    def _highest(
        self, demand: np.ndarray, last_known: np.ndarray, commitment: Commitment
    ) -> np.ndarray:
        """Return the highest of the past that says something of what a decision covers."""
        covered = np.stack([commitment.first, commitment.last])
        if not np.array_equal(covered, self._covered):
            self._covered, self._ago = covered, self._looks_back(*covered)
        at = len(demand) - self._ago
        slots = np.take_along_axis(demand, np.clip(at, 0, len(demand) - 1), axis=0)
        slots[(at < 0) | (at >= len(demand))] = np.nan
        return np.fmax(np.fmax.reduce(slots, axis=0), last_known)

    def _looks_back(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Return how many samples ago to look, the same number for all links, [slots, links]."""
        season = self._season
        width = int((last - first).max()) + 1 + 2 * self.neighbours
        # Places from the coming one on; [places, links].
        places = first - self.neighbours + np.arange(width)[:, None]
        places = np.minimum(places, last + self.neighbours)
        turns = np.arange(1, self.seasons + 1)[:, None, None]
        # In a season from now, a place was seen a season later than it would be else.
        ahead = np.maximum(places // np.maximum(season, 1), 0)
        past = (season * (turns + ahead) - places).reshape(-1, len(season))
        # Without a season: the last hour, or as far back as the decision reaches ahead.
        reach = np.where(season > 0, 1, np.maximum(self._hour, last + 1))
        slots = np.arange(max(len(past), int(reach.max())))[:, None]
        recent = np.minimum(slots, reach - 1) + 1
        return np.where(season > 0, past[np.minimum(slots[:, 0], len(past) - 1)], recent)
