"""A forecast with a margin that its price decides."""

import numpy as np

from twin import AdaptiveMargin, History, Observation, Policy


class CostAware(Policy):
    """Any forecast plus the margin that costs least at a price of idle capacity and of shortfall.

    The newsvendor: with `capacity_price` for each Mbit/s that an interval leaves idle and
    `shortfall_price` for each that it lacks, the cheapest allocation is the quantile
    shortfall / (shortfall + capacity) of the demand, so that capacity / (shortfall + capacity) of
    the intervals are short (Arrow, Harris and Marschak 1951). An adaptive margin over the
    forecasts of `model`, by default what did best on the history of each link, finds it. Only the
    ratio of the prices counts. Where all capacity is paid for and not the idle part alone, what a
    shortfall saves is to be taken off its price. The margin is never negative, so a shortfall
    cheaper than idle capacity gets the forecast. DeepCog's alpha-OMC (INFOCOM 2019) is the same
    trade with a fixed price for any shortfall.
    """

    capacity_price: float = 1.0
    shortfall_price: float = 10.0
    model: str = "auto"

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        if not (self.capacity_price > 0 and self.shortfall_price > 0):
            raise ValueError("capacity_price and shortfall_price must be above 0")

    def models(self, kpis: tuple[str, ...]) -> tuple[str, ...]:
        return (self.model,)

    def fit(self, history: History) -> None:
        target = self.capacity_price / (self.capacity_price + self.shortfall_price)
        self._margin = AdaptiveMargin.warmed(history, self.model, target)

    def allocate(self, observation: Observation) -> np.ndarray:
        self._margin.observe(observation.demand_mbps)
        return self._margin.cover(observation, self.model)
