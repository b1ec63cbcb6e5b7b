"""The points of a sweep: which value each varied key has."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.batches.plan.spec import RangeSpec, SamplesSpec, SweepSpec
from twin.core.errors import Loc
from twin.core.units import format_duration

_DIGITS = 5
"""Digits that a drawn number keeps after its first one (log scale) or its range's first one."""

Point = dict[str, Any]
"""The value of each varied key, as it could be written in the scenario."""


def count_of(spec: SweepSpec) -> int:
    """Return how many points there are, without making any."""
    samples = spec.random or spec.latin_hypercube
    beside = len(spec.points) or (samples.samples if samples else 1)
    return math.prod(len(values) for values in spec.grid.values()) * beside


def points_of(spec: SweepSpec) -> Iterator[tuple[Point, dict[str, Loc]]]:
    """Yield all points, each with the location in the sweep's file of each of its values.

    Every combination of the grid with every point that is listed or drawn; the first key varies
    slowest.
    """
    grid = [
        [(key, value, ("grid", key, i)) for i, value in enumerate(values)]
        for key, values in spec.grid.items()
    ]
    beside = _listed(spec)
    for combination in product(*grid):
        for point, places in beside:
            values = {key: value for key, value, _ in combination} | point
            yield values, {key: place for key, _, place in combination} | places


def _listed(spec: SweepSpec) -> list[tuple[Point, dict[str, Loc]]]:
    if spec.points:
        return [
            (dict(point), {key: ("points", i, key) for key in point})
            for i, point in enumerate(spec.points)
        ]
    for block, samples in (("random", spec.random), ("latin_hypercube", spec.latin_hypercube)):
        if samples is not None:
            places: dict[str, Loc] = {key: (block, "keys", key) for key in samples.keys}
            unit = _unit(samples, latin=block == "latin_hypercube")
            return [(_drawn(samples, row), places) for row in unit]
    return [({}, {})]


def _unit(samples: SamplesSpec, *, latin: bool) -> NDArray[np.float64]:
    """Return points of the unit cube, [samples, keys]."""
    rng = np.random.default_rng(samples.seed)
    shape = (samples.samples, len(samples.keys))
    if not latin:
        return rng.random(shape)
    from scipy.stats.qmc import LatinHypercube

    unit: NDArray[np.float64] = LatinHypercube(d=shape[1], rng=rng).random(shape[0])
    return unit


def _drawn(samples: SamplesSpec, unit: NDArray[np.float64]) -> Point:
    return {
        key: _value(spec, float(share))
        for (key, spec), share in zip(samples.keys.items(), unit, strict=True)
    }


def _value(spec: RangeSpec, share: float) -> Any:
    """Return the value at a share of the range, rounded to what a person would type."""
    if spec.values is not None:
        return spec.values[int(share * len(spec.values))]
    low, high = spec.ends
    if spec.whole:
        high += 1
    log = spec.scale == "log"
    value = _between(low, high, share) if log else low + (high - low) * share
    if spec.whole:
        return int(value)
    if spec.kind == "duration":
        return format_duration(round(value))
    digits = _DIGITS - math.floor(math.log10(value if log else high - low))
    return min(max(round(value, digits), low), high)


def _between(low: float, high: float, share: float) -> float:
    """Return the value at a share of a range on a log scale."""
    ratio = high / low
    if math.isfinite(ratio):
        return float(low * ratio**share)
    return math.exp(math.log(low) * (1 - share) + math.log(high) * share)
