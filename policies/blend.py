"""Several forecasts, trusted as much as they lately deserved."""

from collections import deque
from copy import copy

import numpy as np

from twin import AdaptiveMargin, History, Observation, Policy, Share

HALF_LIFE = 36
"""Samples in which an error is half forgotten."""
RATE = 40.0
"""How fast trust falls: a member a tenth worse than the best has exp(-4) of its weight."""


class Blend(Policy):
    """Forecasts of several members, weighted by their recent errors, plus an adaptive margin.

    Each link weights each member by exp(-rate x its error / the best member's), of absolute errors
    that are forgotten exponentially: multiplicative weights (Freund and Schapire 1997) with a
    memory, so that the best of late leads. Errors as remembered, weighted like this, are at most
    0.7 % above those of the better of two members. `auto` is what did best on the history of each
    link. The margin holds `target`, the share of intervals that may be short, by default the
    scenario's `sla.target`. A decision covers all intervals until the next one can be in force;
    the errors are those of the first of them.
    """

    members: tuple[str, ...] = ("persistence", "auto")
    target: Share | None = None

    def __init__(self, **parameters: object) -> None:
        super().__init__(**parameters)
        if not self.members:
            raise ValueError("members must name at least one model")

    def models(self, kpis: tuple[str, ...]) -> tuple[str, ...]:
        return self.members

    def fit(self, history: History) -> None:
        target = history.sla_target if self.target is None else self.target
        self._margin = AdaptiveMargin.of(history, target)
        first, stop = self._margin.covered
        samples = self._margin.settled_on(history)
        # [ahead, members, samples, links]
        forecasts = np.stack(
            [
                np.stack([history.forecasts(model, samples, k) for model in self.members])
                for k in range(first, stop)
            ]
        )
        places = np.arange(stop - first)
        self._errors = np.zeros((len(self.members), len(history.links)))
        self._waiting: deque[tuple[int, np.ndarray]] = deque()
        start = len(history.demand_mbps) - samples

        def path(i: int) -> tuple[np.ndarray, None]:
            self._learn(history.demand_mbps, start + i - first)
            covered = np.minimum(i + places, samples - 1)
            rows = np.stack([forecasts[k, :, j] for k, j in zip(places, covered, strict=True)])
            self._waiting.append((start + i, rows[0]))
            return self._blended(rows), None

        self._margin.settle(history.demand_mbps, samples, path)
        self._first = first

    def for_links(self, links: np.ndarray) -> Policy:
        some = copy(self)
        some._margin = self._margin.for_links(links)
        some._errors = self._errors[:, links]
        some._waiting = deque((sample, each[:, links]) for sample, each in self._waiting)
        return some

    def allocate(self, observation: Observation) -> np.ndarray:
        demand = observation.demand_mbps
        self._learn(demand, len(demand))
        forecast = [observation.forecast(model, self._first) for model in self.members]
        self._waiting.append((len(demand) + self._first, np.stack(forecast)))

        def path(first: int, count: int) -> tuple[np.ndarray, None]:
            paths = [observation.forecast_path(model, count, first) for model in self.members]
            return self._blended(np.stack(paths, axis=1)), None

        self._margin.observe(demand)
        return self._margin.decide(observation.commitment, path)

    def _blended(self, forecasts: np.ndarray) -> np.ndarray:
        """Return the weighted means of forecasts [intervals, members, links]."""
        best = self._errors.min(axis=0)
        # Where the best never erred, whoever did has no say.
        worse = np.where(self._errors > best, np.inf, 1.0)
        np.divide(self._errors, best, out=worse, where=best > 0)
        weights = np.exp(-RATE * (worse - 1))
        return (weights * forecasts).sum(axis=1) / weights.sum(axis=0)

    def _learn(self, demand: np.ndarray, closed: int) -> None:
        """Judge the forecasts of all samples before `closed`; a missing one teaches nothing."""
        while self._waiting and self._waiting[0][0] < closed:
            sample, forecasts = self._waiting.popleft()
            errors = np.abs(demand[sample] - forecasts)
            step = (1 - 0.5 ** (1 / HALF_LIFE)) * (errors - self._errors)
            self._errors += np.where(np.isnan(errors), 0.0, step)
