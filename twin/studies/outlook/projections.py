"""Where busy values of all links go: at the growth that is stated, else at that of their past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.core.units import DAY_S, format_duration
from twin.demand.growth import Growth, growth_of
from twin.scenario.load import Scenario
from twin.studies.outlook.projection import Fitted, Projection, Stated, error_of
from twin.studies.outlook.spec import OutlookSpec
from twin.studies.outlook.trend import LEAST_DAYS, Trend, fit
from twin.studies.outlook.windows import measured

_WEEK_S = 7 * DAY_S


class Projections:
    """Projections of all links; with a routing the last one is of all flows together."""

    def __init__(self, scenario: Scenario, spec: OutlookSpec, busy: Floats) -> None:
        """Take the busy values of all windows, [links, windows]."""
        self._spec, self._busy = spec, busy
        stated = spec.growth if spec.growth is not None else scenario.spec.demand.growth
        rates = growth_of(stated or {}, scenario.trace.links)
        self._parts = [_own(rate) for rate in rates]
        if scenario.routing is not None:
            length = int(spec.over_s // scenario.trace.tick_s)
            means = np.nan_to_num(_mean(measured(scenario.trace)[-length:]))
            down = np.zeros(len(scenario.routing.links), dtype=np.bool_)
            self._parts = _shared(rates, scenario.routing.matrix(down), means)
        self._trends = self._fitted()

    def of(self, link: int) -> Projection | str:
        """Return the projection of a link, or why there is none."""
        trend, parts = self._trends[link], self._parts[link]
        if parts is None:
            return (
                trend if isinstance(trend, str) else Fitted(trend, self._spec.curve == "compound")
            )
        busy = float(self._busy[link, -1])
        if not np.isfinite(busy):
            return "too little of the last window is known"
        season = None
        if isinstance(trend, Trend) and trend.harmonics and self._spec.curve == "compound":
            season = trend
        return Stated(busy, parts, error_of(self._busy[link]), season)

    @property
    def seasonal(self) -> bool:
        """Whether any has a season of the year."""
        return any(isinstance(trend, Trend) and trend.harmonics for trend in self._trends)

    def _fitted(self) -> list[Trend | str]:
        """Return the trend of each link, or why there is none."""
        known = np.isfinite(self._busy) & (self._busy > 0)
        trends: list[Trend | str] = [self._too_few(row) for row in known]
        places: Ints = np.arange(known.shape[1]) - (known.shape[1] - 1)
        enough = np.flatnonzero([trend == "" for trend in trends])
        masks, group = np.unique(known[enough], axis=0, return_inverse=True)
        for number, mask in enumerate(masks):
            chosen = enough[group.reshape(-1) == number]
            values = self._busy[chosen][:, mask].T
            curve = np.log(values) if self._spec.curve == "compound" else values
            fits = fit(places[mask], curve, self._spec.over_s)
            for link, trend in zip(chosen.tolist(), fits, strict=True):
                trends[link] = trend
        return trends

    def _too_few(self, known: Bools) -> str:
        """Return why no growth can be fitted to the windows that are known; else no text."""
        if self._spec.over_s % _WEEK_S:
            window = format_duration(self._spec.over_s)
            return f"growth is fitted to windows of whole weeks, not of {window}"
        days = int(known.sum()) * self._spec.over_s / DAY_S
        if days >= LEAST_DAYS:
            return ""
        return (
            f"{days / 7:.0f} weeks with a busy value cannot say how it grows: "
            f"{LEAST_DAYS // 7} are needed"
        )


Parts = Sequence[tuple[float, Growth | None]]


def _own(rate: Growth | None) -> Parts | None:
    return None if rate is None else ((1.0, rate),)


def _shared(rates: list[Growth | None], matrix: Any, means: Floats) -> list[Parts | None]:
    """Return the rates of each link, and of all flows, with the shares of the load they have.

    `matrix` is [links, flows], `means` the mean demand of each flow. None where all that is carried
    has no rate: what has none beside what has one does not grow.
    """
    kinds = list(dict.fromkeys(rates))
    kind = np.array([kinds.index(rate) for rate in rates])
    by_kind = np.stack([np.where(kind == i, means, 0.0) for i in range(len(kinds))])
    loads = np.vstack([(matrix @ by_kind.T), by_kind.sum(axis=1)])
    parts: list[Parts | None] = []
    for load in loads:
        carried = [(share, rate) for share, rate in zip(load, kinds, strict=True) if share > 0]
        # What carries nothing grows by nothing, at any rate.
        carried = carried or [(1.0, kinds[0])]
        total = sum(share for share, _ in carried)
        shares = [(float(share / total), rate) for share, rate in carried]
        parts.append(None if all(rate is None for _, rate in shares) else shares)
    return parts


def _mean(values: Floats) -> Floats:
    """Return the means over what is known, [flows], NaN where nothing is."""
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    sums = np.where(known, values, 0.0).sum(axis=0)
    return np.asarray(np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0))
