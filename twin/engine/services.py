"""What the engine answers policies: what was observed, and forecasts."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.core.errors import InputError, Problem
from twin.demand.gaps import known
from twin.engine.load import DEMAND, OfferedLoad
from twin.engine.span import ReplaySpan
from twin.forecast.forecaster import Forecaster, Forecasts
from twin.forecast.windows import forward_filled, season_of
from twin.policy.base import PERSISTENCE
from twin.policy.services import Quantiles
from twin.telemetry.observed import Observed


class Models(Protocol):
    """Forecasters by the name or path that policies use."""

    def get(self, model: str) -> Forecaster:
        """Return a forecaster. Raises InputError where it cannot be used."""


class EngineServices:
    """Answers what policies ask; all policies share one."""

    def __init__(self, load: OfferedLoad, span: ReplaySpan, models: Models) -> None:
        self._load, self._span, self._models = load, span, models
        capacity = span.first + (span.intervals or span.first)
        self._observed = Observed(load, len(load.links), capacity)
        self._bound: dict[str, Forecasts] = {}
        self._past: dict[tuple[str, int], Floats] = {}
        self._past_levels: dict[tuple[str, int], Quantiles] = {}
        self._season: Ints | None = None
        self.closed = span.history
        """Number of samples that have closed."""

    def forget_history(self) -> None:
        """Drop what is only asked for while policies fit."""
        self._past, self._past_levels = {}, {}

    def forget_forecasts(self) -> None:
        """Make forecasts anew when they are next asked for: what is to come has changed."""
        self._bound = {}

    def observed(self, kpi: str, closed: int) -> Floats:
        """Return a KPI as it is known once `closed` samples are seen, [samples, links]."""
        return self._observed.values(kpi, self._past_only(closed))

    def intact(self) -> bool:
        """Return whether no policy has changed what all of them observe."""
        return self._observed.intact()

    def last_known(self, closed: int) -> Floats:
        """Return the latest demand before sample `closed` that was not missing, [links]."""
        return self._observed.last_known(DEMAND, self._past_only(closed))

    def _past_only(self, closed: int) -> int:
        if closed > self.closed:
            raise RuntimeError(f"{closed} samples are asked for, {self.closed} have closed")
        return closed

    def coming(self, closed: int) -> Floats:
        """Return the demand of sample `closed` itself, [links]."""
        return self._load.coming(self._past_only(closed) - self._span.first)

    def forecast(self, model: str, sample: int) -> Floats:
        """Return a model's forecast of the demand in `sample` from those before it, [links]."""
        if model == PERSISTENCE:
            return self.last_known(sample)
        return self._forecasts(model).at(self._past_only(sample))

    def quantiles(self, model: str, sample: int) -> Quantiles:
        """Return the same for its quantiles, [links, quantiles], and their levels."""
        levels = self._levels(model)
        return self._forecasts(model).quantiles_at(self._past_only(sample)), levels

    def _forecasts(self, model: str) -> Forecasts:
        if model not in self._bound:
            span = self._span
            stop = None if span.endless else span.first + span.intervals
            forecaster = self._models.get(model)
            self._bound[model] = forecaster.bind(self._load, span.history, span.first, stop=stop)
        return self._bound[model]

    def _levels(self, model: str) -> tuple[float, ...]:
        levels = () if model == PERSISTENCE else self._models.get(model).card.quantiles
        if not levels:
            problem = Problem(f"'{model}' forecasts no quantiles", suggestion="use 'quantile'")
            raise InputError(problem)
        return tuple(levels)

    # While policies fit. Several may ask the same: in a sweep of one policy's margin, for example.

    def past_forecasts(self, model: str, samples: int) -> Floats:
        """Return what a model would have forecast at the end of the history, [samples, links]."""
        key = model, samples
        if key not in self._past:
            end = self._span.history
            if model == PERSISTENCE:
                # Once the far end of a gap is seen, that is the last known value.
                rows = forward_filled(self._load.rows(DEMAND, 0, end))
                self._past[key] = rows[end - samples - 1 : end - 1]
            else:
                past = self._until_history(model, samples)
                self._past[key] = np.stack([past.at(i) for i in range(end - samples, end)])
        return self._past[key]

    def past_quantiles(self, model: str, samples: int) -> Quantiles:
        """Return the same for its quantiles, [samples, links, quantiles], and their levels."""
        key = model, samples
        if key not in self._past_levels:
            levels, end = self._levels(model), self._span.history
            past = self._until_history(model, samples)
            values = np.stack([past.quantiles_at(i) for i in range(end - samples, end)])
            self._past_levels[key] = values, levels
        return self._past_levels[key]

    def _until_history(self, model: str, samples: int) -> Forecasts:
        start = self._span.history - samples
        return self._models.get(model).bind(self._load, start, start, stop=self._span.history)

    def season(self) -> Ints:
        """Return the samples after which each link's demand repeats, 0 for none, [links]."""
        if self._season is None:
            self._season = season_of(known(self._load, DEMAND, self._span.history))
        return self._season
