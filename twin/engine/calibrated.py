"""Calibrated quantiles of forecasts, for the policies that ask for them."""

from __future__ import annotations

import copy
from typing import Protocol

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.engine.span import ReplaySpan
from twin.forecast.horizon import require
from twin.forecast.names import PERSISTENCE
from twin.forecast.windows import last_known
from twin.policy.calibration import Calibration
from twin.policy.forecast_errors import WARM_UP


class Forecasting(Protocol):
    """What calibrations are made from."""

    def season(self) -> Ints:
        """Return the samples after which each link's demand repeats, 0 for none, [links]."""

    def first_seen(self, start: int, stop: int) -> Floats:
        """Return the demand of samples as they were first seen, [samples, links]."""

    def forecast_before(self, model: str, sample: int, ahead: int) -> Floats:
        """Return the forecast of sample + ahead, for rising samples of the replay, [links]."""

    def settling(self, model: str, samples: int, ahead: int) -> Floats:
        """Return the forecasts made before the last `samples` of the history, [samples, links]."""

    def forget_forecasts(self) -> None:
        """Make forecasts anew, from the start of the replay on."""


class _Calibrated:
    """The quantiles of one model at one horizon, made for sample after sample."""

    def __init__(
        self,
        source: Forecasting,
        span: ReplaySpan,
        model: str,
        ahead: int,
        levels: tuple[float, ...],
    ) -> None:
        self._model, self._ahead, self._first = model, ahead, span.first
        self.next = span.first
        """The next sample before which quantiles are made."""
        samples = min(WARM_UP, span.history // 2)
        start, season = span.history - samples, source.season()
        horizons = np.full(len(season), ahead)
        self._calibration = Calibration(season, horizons, levels, start)
        last = last_known(source.first_seen(0, span.first))
        self._last = last[-1]
        # Before sample i, the last known value is that of i - 1.
        forecasts = (
            last[start - 1 : span.history - 1]
            if model == PERSISTENCE
            else source.settling(model, samples, ahead)
        )
        seen = source.first_seen(start, span.history)
        self._calibration.settle(seen, lambda i: np.asarray(forecasts[i]))
        self._calibration.skip(span.first - span.history)

    def for_links(self, links: Ints) -> _Calibrated:
        """Return those that go on from here for some links, which may come several times."""
        some = copy.copy(self)
        some._calibration, some._last = self._calibration.for_columns(links), self._last[links]
        some.latest = self.latest[links]
        return some

    def advance(self, source: Forecasting) -> None:
        """Learn from the last sample, and make quantiles before the next one."""
        sample = self.next
        if sample > self._first:
            seen = source.first_seen(sample - 1, sample)[0]
            self._calibration.learn(seen)
            self._last = np.where(np.isnan(seen), self._last, seen)
        if self._model == PERSISTENCE:
            forecast = self._last
        else:
            forecast = source.forecast_before(self._model, sample, self._ahead)
        self.latest = self._calibration.quantiles(forecast)
        """[links, levels]"""
        self.next += 1


class CalibratedQuantiles:
    """The calibrated quantiles of all models and horizons that were asked for.

    What is answered does not depend on who asked for what, or when first: errors are those of every
    sample of the replay.
    """

    def __init__(self, span: ReplaySpan) -> None:
        self._span = span
        self._made: dict[tuple[str, int, tuple[float, ...]], _Calibrated] = {}
        self.half_made = False
        """Whether it was interrupted while it learnt."""

    def for_links(self, links: Ints) -> CalibratedQuantiles:
        """Return those that go on from here for some links, which may come several times."""
        some = copy.copy(self)
        some._made = {key: each.for_links(links) for key, each in self._made.items()}
        return some

    def catch_up(self, source: Forecasting, sample: int) -> None:
        """Make quantiles before all samples up to `sample`, while their forecasts are there."""
        made = self._made.values()
        self.half_made = True
        for each in range(min((one.next for one in made), default=sample + 1), sample + 1):
            # All go through the samples together, as the forecasts do.
            for one in made:
                if one.next == each:
                    one.advance(source)
        self.half_made = False

    def at(
        self, source: Forecasting, model: str, sample: int, ahead: int, levels: tuple[float, ...]
    ) -> Floats:
        """Return the quantiles before `sample`, the latest one asked for, [links, levels]."""
        require(ahead)
        key = model, ahead, levels
        if key not in self._made:
            made = _Calibrated(source, self._span, model, ahead, levels)
            self.catch_up(source, sample)
            if sample > self._span.first:
                # Its errors are those of the samples that have gone by as well.
                source.forget_forecasts()
            self._made[key] = made
        self.catch_up(source, sample)
        return self._made[key].latest.copy()
