"""Scores of a forecast, alone and against persistence on the same samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from twin.core.arrays import Floats

RESAMPLES: Final = 1_000
_STREAM: Final = 0x6D6263
"""Stream id, so that resampling shares no random numbers with anything else."""


@dataclass(frozen=True, slots=True)
class Errors:
    """A forecast's errors and persistence's, [samples, links], on the samples that count.

    A sample counts where the demand and both forecasts are known; the others are NaN in both.
    """

    error: Floats
    """Forecast - demand, Mbit/s."""
    reference: Floats
    """Absolute error of persistence, Mbit/s."""

    @classmethod
    def of(cls, forecast: Floats, demand: Floats, persistence: Floats) -> Errors:
        """Return the errors of a forecast; all arguments [samples, links], NaN where missing."""
        error, reference = forecast - demand, np.abs(persistence - demand)
        left_out = np.isnan(error) | np.isnan(reference)
        return cls(np.where(left_out, np.nan, error), np.where(left_out, np.nan, reference))

    def sums(self) -> dict[str, Floats]:
        """Return what the scores of every link are made of: sums over the samples, [links]."""
        values = {
            "n": np.isfinite(self.error),
            "absolute": np.abs(self.error),
            "squared": np.square(self.error),
            "signed": self.error,
            "reference": self.reference,
        }
        return {name: np.nansum(each, axis=0, dtype=float) for name, each in values.items()}

    def per_link(self) -> dict[str, Floats]:
        """Return the scores of every link, and after them those of all samples together."""
        return scored(self.sums())

    def per_tick(self) -> tuple[Floats, Floats]:
        """Return the sums over links of absolute errors, the forecast's and persistence's."""
        return np.nansum(np.abs(self.error), axis=1), np.nansum(self.reference, axis=1)


def scored(sums: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the scores that :meth:`Errors.sums` add up to, [links + 1], the last one of all."""
    total = {name: np.append(values, values.sum()) for name, values in sums.items()}
    n = total["n"]
    return {
        "mae": ratio(total["absolute"], n),
        "rmse": np.sqrt(ratio(total["squared"], n)),
        "mase": ratio(total["absolute"], total["reference"]),
        "bias": ratio(total["signed"], n),
        "n": n,
    }


def ratio(above: Floats, below: Floats) -> Floats:
    """Return above / below, NaN where `below` is 0."""
    quotient = np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0)
    return np.asarray(quotient)


def ratio_interval(own: Floats, reference: Floats, block: int, seed: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of sum(own) / sum(reference), each [ticks].

    A moving-block bootstrap (Kuensch 1989): whole blocks of `block` ticks, a day, are drawn
    from any place, of both series at once, so that what is alike within a day stays together
    and the two are compared on the same samples. NaN where there are fewer than two blocks.
    """
    ticks = len(own)
    if ticks < 2 * block:
        return np.nan, np.nan
    # Each method is drawn for alike, so that their intervals compare too.
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_STREAM,)))
    starts = rng.integers(0, ticks - block + 1, (RESAMPLES, -(-ticks // block)))
    sums = []
    for series in (own, reference):
        total = np.concatenate([[0.0], np.cumsum(series)])
        sums.append((total[starts + block] - total[starts]).sum(axis=1))
    ratios = ratio(sums[0], sums[1])
    if np.isnan(ratios).any():
        return np.nan, np.nan
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)


def quantile_sums(
    quantiles: Floats, levels: tuple[float, ...], demand: Floats
) -> dict[str, Floats]:
    """Return pinball loss (Mbit/s) and samples at or below, summed, and n, [levels, links].

    `quantiles` is [samples, links, levels], `demand` [samples, links]. Samples missing in either
    are left out.
    """
    above = demand[..., None] - quantiles
    level = np.asarray(levels)
    known = np.isfinite(above)
    covered = known & (above <= 0)
    parts = {
        "pinball": np.where(known, np.maximum(level * above, (level - 1) * above), 0.0),
        "coverage": covered.astype(np.float64),
        "n": known.astype(np.float64),
    }
    return {name: values.sum(axis=0).T for name, values in parts.items()}


def quantiles_scored(sums: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return mean pinball loss (Mbit/s), coverage (a share) and n, [levels, links + 1].

    `sums` are those of :func:`quantile_sums`; the last column pools all links.
    """
    total = {
        name: np.concatenate([values, values.sum(axis=1, keepdims=True)], axis=1)
        for name, values in sums.items()
    }
    means = {name: ratio(total[name], total["n"]) for name in ("pinball", "coverage")}
    return means | {"n": total["n"]}


def quantile_scores(
    quantiles: Floats, levels: tuple[float, ...], demand: Floats
) -> dict[str, Floats]:
    """Return the scores of quantiles [samples, links, levels], as :func:`quantiles_scored` does."""
    return quantiles_scored(quantile_sums(quantiles, levels, demand))
