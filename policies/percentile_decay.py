"""A percentile that forgets, as Kubernetes' vertical pod autoscaler recommends resources."""

import numpy as np

from twin import (
    Commitment,
    History,
    Margin,
    Observation,
    Percentile,
    Policy,
    RelativeMargin,
    Window,
    seconds,
)

GROWTH = 1.05
"""How much wider each bucket of the histogram is than the one below it."""
LOWEST, BUCKETS = 1e-5, 430
"""Upper edge of the first bucket in units of the link, and how many there are: 9 decades."""
HEAVIEST = 1e100
"""Weight of a sample at which all are made lighter, long before they overflow."""


class PercentileDecay(Policy):
    """The `q`-th percentile of a histogram that forgets with `half_life`, plus a margin.

    As the recommender of Kubernetes' vertical pod autoscaler does it: buckets that grow
    exponentially, and samples that weigh twice as much as those a half-life before. The unit of a
    link's buckets is its first demand above 0. Only the bucket of the percentile moves, so the
    work per interval does not grow with the number of buckets. The margin of a decision that takes
    time is what past decisions would have needed, at least `margin`.
    """

    q: Percentile = 95.0
    half_life: Window = seconds("1d")
    margin: Margin = 0.15

    def fit(self, history: History) -> None:
        self._growth = 2 ** (history.tick_s / self.half_life)
        self._weight = 1.0
        links = len(history.links)
        self._columns = np.arange(links)
        self._unit, self._total = np.zeros(links), np.zeros(links)
        self._histogram = np.zeros((BUCKETS, links))
        # The bucket that holds the percentile, and the weight in those below it.
        self._bucket, self._below = np.zeros(links, dtype=np.int64), np.zeros(links)
        self._seen = 0
        self._margin = RelativeMargin(history, self.margin, self._percentile)

    def allocate(self, observation: Observation) -> np.ndarray:
        return self._margin.cover(observation)

    def _percentile(
        self, demand: np.ndarray, last_known: np.ndarray, commitment: Commitment
    ) -> np.ndarray:
        """Return the percentile of the demand so far, which is the same for all that comes."""
        for sample in demand[self._seen :]:
            self._add(sample)
        self._seen = len(demand)
        self._seek()
        return self._unit * LOWEST * GROWTH**self._bucket

    def _add(self, demand: np.ndarray) -> None:
        """Put one sample of each link into its bucket; NaN leaves all as it is."""
        weight = np.where(np.isnan(demand), 0.0, self._weight)
        self._unit = np.where((self._unit == 0) & (demand > 0), demand, self._unit)
        scaled = np.ones_like(demand)
        np.divide(demand, self._unit * LOWEST, out=scaled, where=(self._unit > 0) & (demand > 0))
        bucket = np.ceil(np.log(scaled) / np.log(GROWTH)).clip(0, BUCKETS - 1).astype(np.int64)
        self._histogram[bucket, self._columns] += weight
        self._total += weight
        self._below += np.where(bucket < self._bucket, weight, 0.0)
        self._weight *= self._growth
        if self._weight > HEAVIEST:
            for weights in (self._histogram, self._total, self._below):
                weights /= self._weight
            self._weight = 1.0

    def _seek(self) -> None:
        """Move each link's bucket to where the percentile is."""
        # A hair less, since sums of the same weights in another order differ in their last digits.
        wanted = self.q / 100 * self._total * (1 - 1e-9)
        while True:
            here = self._histogram[self._bucket, self._columns]
            up = (self._below + here < wanted) & (self._bucket < BUCKETS - 1)
            if not up.any():
                break
            self._below += np.where(up, here, 0.0)
            self._bucket += up
        while (down := (self._below >= wanted) & (self._bucket > 0)).any():
            self._bucket -= down
            self._below -= np.where(down, self._histogram[self._bucket, self._columns], 0.0)
