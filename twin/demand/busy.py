"""The busy value of a link: what it carries when it is busy, over the time before an instant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from pydantic import BeforeValidator, WithJsonSchema

from twin.core.arrays import Floats
from twin.core.errors import show
from twin.core.units import DAY_S

_PERCENTILE: Final = re.compile(r"p([0-9]{1,2}(?:\.[0-9]+)?)")
_NAMES: Final = ("max", "mean", "busy_hour")
_KNOWN: Final = 0.75
"""The least share of samples by which the busy value of a window is told."""
_HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True)
class BusyStatistic:
    """A statistic of the samples in a window: a percentile, the maximum, the mean, or busy_hour.

    ``busy_hour`` is the average daily peak hour (ITU-T E.492): the mean over the hour of each day
    in which it is greatest, averaged over the days. Hours and days are counted from the end of the
    window back.
    """

    name: str
    """As it is written: ``p95``, ``max``, ``mean`` or ``busy_hour``."""

    @classmethod
    def of(cls, text: object) -> BusyStatistic:
        """Return the statistic of a name. Raises ValueError for any other."""
        if isinstance(text, str) and (text in _NAMES or _PERCENTILE.fullmatch(text)):
            return cls(text)
        raise ValueError(f"is written 'p95', 'max', 'mean' or 'busy_hour', not {show(text)}")

    def windows(self, demand: Floats, window_s: float, tick_s: int) -> Floats:
        """Return the value of each whole window, counted back from the end, [links, windows].

        `demand` is [samples, links]. NaN where fewer than three quarters of the samples are known.
        Raises ValueError for a window that is no whole number of ticks, or of days for `busy_hour`.
        """
        samples, rest = divmod(window_s, tick_s)
        if rest or samples < 1:
            raise ValueError("must be a whole number of ticks")
        if self.name == "busy_hour" and (window_s % DAY_S or tick_s > _HOUR_S):
            raise ValueError("must be a whole number of days, and the tick up to 1h, for busy_hour")
        length = int(samples)
        count = len(demand) // length
        # By link, so that a window is contiguous.
        whole = np.array(demand[len(demand) - count * length :].T, order="C")
        values = whole.reshape(demand.shape[1], count, length)
        known = ~np.isnan(values.sum(axis=-1))
        result = np.full(values.shape[:2], np.nan)
        if known.all():
            return self._of(values, tick_s)
        result[known] = self._of(values[known], tick_s)
        share = (~np.isnan(values)).mean(axis=-1)
        for link, window in np.argwhere(~known & (share >= _KNOWN)).tolist():
            result[link, window] = self._with_gaps(values[link, window], tick_s)
        return result

    def _of(self, values: Floats, tick_s: int) -> Floats:
        """Return the statistic over the last axis, on which nothing is missing."""
        if not values.size:
            return np.full(values.shape[:-1], np.nan)
        if self.name == "max":
            return np.asarray(values.max(axis=-1))
        if self.name == "mean":
            return np.asarray(values.mean(axis=-1))
        if self.name == "busy_hour":
            hours = values.reshape(*values.shape[:-1], -1, 24, _HOUR_S // tick_s)
            return np.asarray(hours.mean(axis=-1).max(axis=-1).mean(axis=-1))
        level = float(self.name[1:])
        return np.asarray(np.percentile(values, level, axis=-1, overwrite_input=True))

    def _with_gaps(self, values: Floats, tick_s: int) -> float:
        """Return the statistic of one window of which some samples are missing."""
        if self.name != "busy_hour":
            return float(self._of(values[~np.isnan(values)], tick_s))
        hours = values.reshape(-1, 24, _HOUR_S // tick_s)
        # An hour of which less than half is known is no hour; a day counts with those it has.
        half = (~np.isnan(hours)).mean(axis=-1) >= 0.5
        sums, counts = np.nansum(hours, axis=-1), (~np.isnan(hours)).sum(axis=-1)
        means = np.where(half, sums / np.maximum(counts, 1), -np.inf).max(axis=-1)
        return float(means[np.isfinite(means)].mean())


def _checked(value: Any) -> str:
    return BusyStatistic.of(value).name


StatisticName = Annotated[
    str,
    BeforeValidator(_checked),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(p[0-9]{1,2}(\.[0-9]+)?|max|mean|busy_hour)$",
            "examples": ["p95", "busy_hour"],
        }
    ),
]
"""The name of a statistic of a window."""
