"""The effect of each varied key: means at its values, and the share of variance it explains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from twin.batches.report.formatting import format_number, format_value, kind, number
from twin.batches.report.source import OVER, RATE, BatchData
from twin.batches.statistics.estimate import Estimate, estimate
from twin.core.arrays import Floats, Ints

EFFECTS = (RATE, OVER)
"""The metrics by which factors are ordered."""
MOST_VALUES = 12
"""Up to this many values, each is a level; more numbers than that are put into classes."""
LEVELS_SHOWN = 24
"""Levels of a key that a table shows at the most."""
_MOST_CLASSES = 6
_POINTS_IN_CLASS = 5


@dataclass(frozen=True, slots=True)
class Factor:
    """One varied key. Arrays of levels are in the order of `labels`."""

    key: str
    labels: tuple[str, ...]
    """Its values, or classes of them."""
    levels: Ints
    """The level of each point."""
    numbers: Floats
    """The number at each point, NaN for text; shares in percent, durations in seconds."""
    unit: str
    """``share``, ``duration``, ``number`` or ``text``."""
    classed: bool
    """Whether levels are classes."""
    log: bool
    """Whether its values were drawn on a log scale."""
    explained: Floats
    """Share of the variance between points that its levels explain, [metrics, policies]."""
    spread: Floats
    """Highest less lowest mean of a level, [metrics, policies]."""
    correlation: Floats
    """Spearman's rank correlation with each metric, [metrics, policies]; NaN for text."""

    def size(self, policies: tuple[int, ...]) -> float:
        """Return the larger of the shares that it explains, as a mean over policies."""
        return max(float(row[list(policies)].mean()) for row in self.explained)


def measure_factors(batch: BatchData) -> list[Factor]:
    """Return all keys that differ between finished points, largest effect first."""
    if not len(batch.points):
        return []
    # The first run of each point, in the order of points.
    first = batch.done_runs.iloc[np.unique(batch.points, return_index=True)[1]]
    means = np.stack([_filled(batch.at_points(name)) for name in EFFECTS])
    measured = [_factor(batch, key, first[key].tolist(), means) for key in batch.keys]
    whose = batch.ranked or tuple(range(len(batch.policies)))
    return sorted((f for f in measured if f is not None), key=lambda f: -f.size(whose))


def at_levels(batch: BatchData, factor: Factor, metric: str) -> list[Estimate]:
    """Return the mean of a metric at each of the first levels, over the points that are there."""
    levels, values = factor.levels[batch.points], batch.values(metric)
    return [
        estimate(values[mask], batch.points[mask], batch.replications[mask])
        for mask in (levels == i for i in range(min(len(factor.labels), LEVELS_SHOWN)))
    ]


def _filled(means: Floats) -> Floats:
    """Return means of points, [points, policies]; a missing one is the mean of all others."""
    known = np.isfinite(means)
    filled = np.where(known, means, 0.0)
    return np.where(known, means, filled.sum(axis=0) / np.maximum(known.sum(axis=0), 1))


def _factor(batch: BatchData, key: str, values: list[Any], means: Floats) -> Factor | None:
    values = [None if isinstance(v, float) and math.isnan(v) else v for v in values]
    distinct = list(dict.fromkeys(values))
    if len(distinct) < 2:
        return None
    kinds = {kind(value) for value in distinct if value is not None}
    unit = kinds.pop() if len(kinds) == 1 else "text"
    numbers = np.array([number(value) if unit != "text" else math.nan for value in values])
    classed = len(distinct) > MOST_VALUES and unit != "text" and None not in distinct
    if classed:
        levels, labels = _classes(numbers, unit)
    else:
        levels, labels = _levels(values, distinct, unit)
    return Factor(
        key, labels, levels, numbers, unit, classed, _log(batch, key),
        _explained(means, levels, adjusted=classed), _spread(means, levels),
        np.array([_spearman(numbers, table) for table in means]),
    )  # fmt: skip


def _levels(values: list[Any], distinct: list[Any], unit: str) -> tuple[Ints, tuple[str, ...]]:
    if unit != "text":
        # The scenario's own value, which is None here, comes first.
        distinct = sorted(distinct, key=lambda v: -math.inf if v is None else number(v))
    place = {value: i for i, value in enumerate(distinct)}
    labels = tuple(format_value(value) for value in distinct)
    return np.array([place[value] for value in values]), labels


def _classes(numbers: Floats, unit: str) -> tuple[Ints, tuple[str, ...]]:
    """Return classes of about the same number of points."""
    count = max(2, min(_MOST_CLASSES, len(numbers) // _POINTS_IN_CLASS))
    limits = np.unique(np.quantile(numbers, np.arange(1, count) / count))
    _, levels = np.unique(np.searchsorted(limits, numbers, side="left"), return_inverse=True)
    parts = [numbers[levels == i] for i in range(int(levels.max()) + 1)]
    labels = (
        f"{format_number(part.min(), unit)} to {format_number(part.max(), unit)}" for part in parts
    )
    return levels, tuple(labels)


def _log(batch: BatchData, key: str) -> bool:
    sweep = batch.facts["sweep"]
    drawn = sweep.get("random") or sweep.get("latin_hypercube") or {"keys": {}}
    return bool(drawn["keys"].get(key, {}).get("scale") == "log")


def _explained(means: Floats, levels: Ints, *, adjusted: bool) -> Floats:
    """Return the share of the variance between points that levels explain, [metrics, policies].

    `adjusted` subtracts what the same number of classes would explain by chance.
    """
    count, points = int(levels.max()) + 1, len(levels)
    parts = [means[:, levels == i] for i in range(count)]
    inside = np.stack([part.var(axis=1) * part.shape[1] for part in parts])
    left: Floats = inside.sum(axis=0) / points
    if adjusted and points > count:
        left = left * (points - 1) / (points - count)
    whole = means.var(axis=1)
    varies = whole > 1e-24
    return np.where(varies, np.clip(1 - left / np.where(varies, whole, 1), 0, 1), 0.0)


def _spread(means: Floats, levels: Ints) -> Floats:
    at = np.stack([means[:, levels == i].mean(axis=1) for i in range(int(levels.max()) + 1)])
    spread: Floats = at.max(axis=0) - at.min(axis=0)
    return spread


def _spearman(numbers: Floats, table: Floats) -> Floats:
    """Return the rank correlation of a key with each column, NaN where either is constant."""
    import pandas as pd

    frame = pd.DataFrame(table)
    ranks, own = frame.rank(), pd.Series(numbers).rank()
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(ranks.corrwith(own), dtype=np.float64)
