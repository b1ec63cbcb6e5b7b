"""A forecast with a margin that prices decide, within the SLA."""

from copy import copy
from dataclasses import replace

import numpy as np

from twin import AdaptiveMargin, History, Observation, Policy, Prices

CAPACITY, SHORTFALL = 1.0, 10.0
"""Prices of idle capacity and of shortfall where neither scenario nor parameters state any."""
RAREST = 1e-4
"""The least share of short intervals that is aimed at, where capacity costs next to nothing."""
STEP, STEPS = 3.0, 5
"""Shares that are tried where a violated interval has a price of its own: each is a third of the
one before."""


class CostAware(Policy):
    """Any forecast plus the margin that costs least, with the SLA as a constraint.

    The newsvendor: where a Mbit/s too much costs c in an interval, and one that lacks costs u, the
    cheapest allocation is the quantile u / (u + c) of the demand, so that the share c / (u + c) of
    the intervals is short (Arrow, Harris and Marschak 1951). From the scenario's `prices`, c is
    that of capacity, and u that of unmet demand less c, since what lacks was not paid for. Where a
    violated interval has a price of its own, v, the share is chosen for each link: of some, the
    one for which c m + (u + c) E(e - m)+ + v P(e > m) is least, e being the forecast's errors in
    the history and m their quantile. The share is never above `sla.target`, and in each period of
    the SLA no more intervals are risked than it allows. `capacity_price`, of idle capacity, and
    `shortfall_price` take the place of the scenario's prices; without any, a shortfall costs 10
    times as much as idle capacity. `model` makes the forecasts, by default what did best on the
    history of each link. A decision covers all intervals until the next one can be in force. What
    a change costs is not weighed.
    """

    capacity_price: float | None = None
    shortfall_price: float | None = None
    model: str = "auto"

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        if any(price is not None and price <= 0 for price in self._own):
            raise ValueError("capacity_price and shortfall_price must be above 0")

    @property
    def _own(self) -> tuple[float | None, float | None]:
        return self.capacity_price, self.shortfall_price

    def models(self, kpis: tuple[str, ...]) -> tuple[str, ...]:
        return (self.model,)

    def fit(self, history: History) -> None:
        shares = self._shares(history)
        # One margin for all links that aim at the same share.
        self._margins = [
            (shares == share, self._margin(history, float(share))) for share in np.unique(shares)
        ]

    def for_links(self, links: np.ndarray) -> Policy:
        some = copy(self)
        some._margins = [(own[links], margin.for_links(links)) for own, margin in self._margins]
        return some

    def allocate(self, observation: Observation) -> np.ndarray:
        allocation = np.empty(len(observation.links))
        for links, margin in self._margins:
            margin.follow(observation)
            allocation[links] = margin.cover(observation, self.model)[links]
        return allocation

    def _margin(self, history: History, share: float) -> AdaptiveMargin:
        """Return a margin that aims at a share, and spends no more than a period of the SLA allows.

        What one period allows is made to last for as many as the share is smaller than the target:
        floor(share x periods x intervals) <= floor(target x intervals).
        """
        periods = max(int(history.sla_target / share), 1)
        longer = replace(history, sla_intervals=periods * history.sla_intervals)
        return AdaptiveMargin.warmed(longer, self.model, share)

    def _shares(self, history: History) -> np.ndarray:
        """Return the share of short intervals that costs least, [links]."""
        links, target = len(history.links), max(history.sla_target, RAREST)
        prices = self._prices(history.prices)
        # With nothing to pay for a shortfall, the SLA alone bounds it.
        share = min(prices.capacity / prices.unmet, target) if prices.unmet > 0 else target
        if prices.violated == 0:
            return np.full(links, max(share, RAREST))
        tried = np.maximum(target / STEP ** np.arange(STEPS), RAREST)
        costs = self._costs(history, prices, tried)
        return tried[costs.argmin(axis=0)]

    def _prices(self, stated: Prices | None) -> Prices:
        """Return the prices of an interval; that of unmet demand as if all capacity were paid."""
        if stated is not None and self._own == (None, None):
            return stated
        capacity, shortfall = self.capacity_price or CAPACITY, self.shortfall_price or SHORTFALL
        return Prices(capacity, capacity + shortfall, 0.0)

    def _costs(self, history: History, prices: Prices, shares: np.ndarray) -> np.ndarray:
        """Return what margins would have cost over the end of the history, [shares, links].

        Errors are those of the last interval that a decision covers, the largest of them.
        """
        samples = AdaptiveMargin.of(history, history.sla_target).settled_on(history)
        ahead = int(history.commitment.last.max())
        forecasts = history.forecasts(self.model, samples, ahead)
        errors = history.demand_mbps[-samples:] - forecasts
        margins = np.nanquantile(errors, 1 - shares, axis=0)
        beyond = errors - margins[:, None]
        return (
            prices.capacity * margins
            + prices.unmet * np.nanmean(np.maximum(beyond, 0), axis=1)
            + prices.violated * np.nanmean(beyond > 0, axis=1)
        )
