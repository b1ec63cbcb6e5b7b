"""Where the busy value of a link goes: as stated, or as its trend was fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
from scipy import stats

from twin.core.arrays import Floats
from twin.core.units import YEAR_S
from twin.demand.growth import Growth
from twin.studies.outlook.trend import Trend

LEVEL: Final = 0.9
"""Of every interval."""
_RECENT: Final = 13
"""Windows by whose changes the error of a single busy value is told."""
_LARGEST: Final = 300.0
"""Logarithm of Mbit/s beyond all that can be meant."""
_FEWEST: Final = 3
"""Changes by which it is told at least."""


class Band(NamedTuple):
    """Busy values, Mbit/s, and the ends of their interval; NaN where none can be told."""

    middle: Floats
    low: Floats
    high: Floats


class Yearly(NamedTuple):
    """Growth in the first year as a share of the busy value, and the ends of its interval."""

    share: float
    low: float
    high: float


class Projection(Protocol):
    """The busy value of a link from the end of the trace on."""

    @property
    def source(self) -> str:
        """``stated`` or ``fitted``."""

    def at(self, seconds: Floats) -> Band:
        """Return the busy values at times after the end of the trace."""

    def yearly(self) -> Yearly:
        """Return its growth."""


@dataclass(frozen=True)
class Fitted:
    """A trend goes on, with its season."""

    trend: Trend
    compound: bool
    """Whether the trend is that of the logarithm."""
    source: str = "fitted"

    def at(self, seconds: Floats) -> Band:
        """Return the busy values at times after the end of the trace."""
        years = seconds / YEAR_S
        middle = self.trend.at(years)
        wide = _quantile(self.trend.freedom) * self.trend.deviation(years)
        band = Band(middle, middle - wide, middle + wide)
        if self.compound:
            return Band(*(np.exp(np.minimum(each, _LARGEST)) for each in band))
        return Band(*(np.maximum(each, 0.0) for each in band))

    def yearly(self) -> Yearly:
        """Return its growth; that of a straight line is a share of its level today."""
        slope = float(self.trend.coefficients[1])
        wide = _quantile(self.trend.freedom) * float(np.sqrt(self.trend.scale[1, 1]))
        ends = np.array([slope, slope - wide, slope + wide])
        if self.compound:
            return Yearly(*np.expm1(np.minimum(ends, _LARGEST)).tolist())
        level = float(self.trend.coefficients[0])
        return Yearly(*(ends / level if level > 0 else np.full(3, np.nan)).tolist())


@dataclass(frozen=True)
class Stated:
    """The busy value today grows as stated, by the season of its past where that is known."""

    busy_mbps: float
    parts: Sequence[tuple[float, Growth | None]]
    """Shares of the busy value, and how each grows."""
    error: float
    """Half of the interval of the busy value today, as a logarithm; NaN where it is not told."""
    season: Trend | None = None
    """Of logarithms."""
    source: str = "stated"

    def at(self, seconds: Floats) -> Band:
        """Return the busy values at times after the end of the trace."""
        middle = self._grown(seconds)
        if self.season is not None:
            middle = middle * np.exp(
                self.season.season(seconds / YEAR_S) - self.season.season(np.zeros(1))
            )
        return Band(middle, middle * np.exp(-self.error), middle * np.exp(self.error))

    def _grown(self, seconds: Floats) -> Floats:
        """Return the busy values after times, without a season."""
        grown = np.zeros_like(seconds)
        for share, rate in self.parts:
            part = self.busy_mbps * share
            grown += part if rate is None else rate.grown(seconds, part)
        return grown

    def yearly(self) -> Yearly:
        """Return its growth, which is as stated; NaN for an amount beside nothing."""
        if self.busy_mbps <= 0:
            return Yearly(*(_rate_of(self.parts),) * 3)
        share = float(self._grown(np.array([float(YEAR_S)]))[0]) / self.busy_mbps - 1
        return Yearly(share, share, share)


def _rate_of(parts: Sequence[tuple[float, Growth | None]]) -> float:
    """Return the compound growth that all parts have, NaN where they differ or add amounts."""
    rates = {rate for _, rate in parts}
    rate = rates.pop()
    return rate.yearly_factor - 1 if not rates and rate and not rate.linear else float("nan")


def error_of(busy: Floats) -> float:
    """Return half of the interval of the last of a link's busy values [windows], as a logarithm.

    It follows from the changes d of log(busy) from window to window around their median: were the
    values a level and noise of variance s^2, d would have 2 s^2. NaN with fewer than three changes.
    """
    recent = busy[-_RECENT - 1 :]
    with np.errstate(divide="ignore", invalid="ignore"):
        changes = np.diff(np.log(recent))
    changes = changes[np.isfinite(changes)]
    if len(changes) < _FEWEST:
        return float("nan")
    variance = np.square(changes - np.median(changes)).sum() / (len(changes) - 1) / 2
    return float(_quantile(len(changes) - 1) * np.sqrt(variance))


def _quantile(freedom: int) -> float:
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom))
