"""Traces for training: many short links, as different as those that a forecaster may meet."""

from __future__ import annotations

from typing import Final

import numpy as np

from twin.core.arrays import Floats
from twin.demand.kpis import KPIS

Random = np.random.Generator

_SEASONS: Final = (24, 96, 144, 288, 288, 288, 288, 288, 400, 1440)
"""Samples in a season, drawn from for each link; seasons other than a day are among them."""


def varied(seed: int, links: int, samples: int = 2_400) -> dict[str, Floats]:
    """Return the KPIs of `links` unlike links, each [samples, links], complete and >= 0.

    Levels range over ten decades, the noise over 0.2 to 10 % of the level. The changes from
    sample to sample range from alternating (noise of the measurement on a smooth curve) to
    persistent (ramps, and walks that return slowly).
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    traffic = _latent(rng, links, samples)
    kpis = {KPIS[0]: _measured(rng, traffic)}
    for name in KPIS[1:]:
        related = rng.uniform(0.3, 1.2, links) * _some(rng, links, 0.7)
        apart = rng.uniform(0, 0.8, links) * _latent(rng, links, samples)
        kpis[name] = _measured(rng, related * _led(rng, traffic) + apart)
    return kpis


def _some(rng: Random, links: int, share: float) -> Floats:
    """Return 1 for about `share` of the links and 0 for the others."""
    return (rng.uniform(size=links) < share).astype(np.float64)


def _log_uniform(rng: Random, low: float, high: float, links: int) -> Floats:
    return np.asarray(np.exp(rng.uniform(np.log(low), np.log(high), links)))


def _latent(rng: Random, links: int, samples: int) -> Floats:
    """Return the logarithm of a KPI before noise, mean about 0, [samples, links]."""
    season = _season(rng, links, samples)
    return season + _walk(rng, season) + _shifts(rng, links, samples) + _held(rng, links, samples)


def _season(rng: Random, links: int, samples: int) -> Floats:
    """Return seasons, from flat to peaky, [samples, links]: sums of six decaying harmonics."""
    cycles = np.arange(samples)[:, None] / rng.choice(_SEASONS, links)
    decay = rng.uniform(0.6, 2.5, links)
    total = np.zeros((samples, links))
    for harmonic in range(1, 7):
        size = rng.normal(0, 1, links) / harmonic**decay
        total += size * np.sin(2 * np.pi * (harmonic * cycles + rng.uniform(0, 1, links)))
    # In some, each seventh season or two is lower, as at a weekend.
    place = (cycles + rng.uniform(0, 7, links)) % 7
    depth = _log_uniform(rng, 0.05, 0.7, links) * _some(rng, links, 0.5)
    weekend = depth * (place < rng.choice((1, 2), links))
    return np.asarray(_log_uniform(rng, 0.01, 0.7, links) * total - weekend)


def _walk(rng: Random, season: Floats) -> Floats:
    """Return mean-reverting random walks, [samples, links].

    value[t] = back * value[t-1] + step[t] + slope[t], with step[t] = carry * step[t-1] + shock[t]:
    steps are independent or correlated, shocks may be heavy-tailed and grow with the season, and a
    slope that changes slowly makes ramps.
    """
    samples, links = season.shape
    size = _log_uniform(rng, 0.001, 0.06, links) * _some(rng, links, 0.75)
    back = 1 - 1 / _log_uniform(rng, 20, 5000, links)
    kind = rng.uniform(size=links)
    carry = np.where(kind < 0.5, 0.0, rng.uniform(-0.4, 0.7, links))
    shocks = rng.standard_t(_log_uniform(rng, 2.1, 60, links), (samples, links))
    shocks *= size * np.exp(rng.uniform(-0.7, 0.7, links) * season) * np.sqrt(1 - carry**2)
    ramp = rng.uniform(0, 0.5, links) * size * _some(rng, links, 0.5)
    slope = _smoothed(rng, samples, links) * ramp
    walk, step, value = np.empty_like(shocks), np.zeros(links), np.zeros(links)
    for sample in range(samples):
        step = carry * step + shocks[sample]
        value = back * value + step + slope[sample]
        walk[sample] = value
    return walk


def _smoothed(rng: Random, samples: int, links: int) -> Floats:
    """Return noise that changes slowly, [samples, links]: lines between knots of sigma 1.

    Knots are 6 to 60 samples apart, for each link another number.
    """
    knots = rng.standard_normal((samples, links))
    lasts = rng.integers(6, 61, links)
    place = np.arange(samples)[:, None] / lasts
    left = place.astype(np.int64)
    share, column = place - left, np.arange(links)
    return np.asarray(
        knots[left, column] * (1 - share) + knots[np.minimum(left + 1, samples - 1), column] * share
    )


def _shifts(rng: Random, links: int, samples: int) -> Floats:
    """Return lasting level shifts and decaying spikes, for some of the links, [samples, links]."""
    shape = (samples, links)
    often = 0.0008 * _some(rng, links, 0.4), 0.003 * _some(rng, links, 0.4)
    lasting, spike = (
        (rng.uniform(size=shape) < chance) * rng.normal(0, 0.3, shape) for chance in often
    )
    often_more = _log_uniform(rng, 0.003, 0.03, links) * _some(rng, links, 0.15)
    spike += (rng.uniform(size=shape) < often_more) * np.abs(rng.normal(0, 0.5, shape))
    decay = rng.uniform(0, 0.9, links)
    passing = sum(np.roll(spike, later, axis=0) * decay**later for later in range(6))
    return np.asarray(np.cumsum(lasting, axis=0) + passing)


def _held(rng: Random, links: int, samples: int) -> Floats:
    """Return piecewise constant levels, for some of the links, [samples, links].

    A link either switches between two levels, or draws a new one each time.
    """
    shape = (samples, links)
    piece = np.cumsum(rng.uniform(size=shape) < 1 / _log_uniform(rng, 5, 400, links), axis=0)
    two = _some(rng, links, 0.5) > 0
    level = np.take_along_axis(rng.standard_normal(shape), np.where(two, piece % 2, piece), axis=0)
    return np.asarray(level * _log_uniform(rng, 0.03, 3, links) * _some(rng, links, 0.4))


def _led(rng: Random, traffic: Floats) -> Floats:
    """Return `traffic` [samples, links], each link moved by up to two samples either way."""
    lead = rng.choice((-2, -1, 0, 0, 0, 1, 2), traffic.shape[1])
    rows = np.clip(np.arange(len(traffic))[:, None] + lead, 0, len(traffic) - 1)
    return np.asarray(np.take_along_axis(traffic, rows, axis=0))


def _measured(rng: Random, latent: Floats) -> Floats:
    """Return a KPI as it is collected, [samples, links], from its logarithm `latent`.

    Adds noise; subtracts a floor from some links, rounds some, and scales each to a level.
    """
    samples, links = latent.shape
    noise = rng.standard_normal((samples + 1, links))
    noise = noise[1:] - rng.uniform(-0.2, 0.7, links) * noise[:-1]
    noise *= _log_uniform(rng, 0.002, 0.1, links) * _some(rng, links, 0.75)
    noise *= np.exp(rng.uniform(-0.7, 0.7, links) * latent)
    values = np.exp(np.clip(latent, -6, 6)) * np.maximum(1 + noise, 0)
    floor = np.quantile(values, rng.uniform(0.02, 0.3), axis=0) * _some(rng, links, 0.1)
    values = np.maximum(values - floor, 0)
    grid = _log_uniform(rng, 1e-3, 0.1, links)
    values = np.where(_some(rng, links, 0.2) > 0, np.round(values / grid) * grid, values)
    values *= _collected(rng, links, samples)
    return np.asarray(values * _log_uniform(rng, 0.1, 1e10, links))


def _collected(rng: Random, links: int, samples: int) -> Floats:
    """Return the share of a KPI that is collected, [samples, links]: 1 but for short failures.

    They come on some of the links, last up to eight samples and lose all, or one of two sources.
    """
    begin = rng.uniform(size=(samples, links)) < 0.002 * _some(rng, links, 0.3)
    lasts = rng.geometric(0.4, (samples, links)).clip(1, 8)
    until = np.maximum.accumulate(np.where(begin, np.arange(samples)[:, None] + lasts, 0), axis=0)
    failing = np.arange(samples)[:, None] < until
    left = np.where(_some(rng, links, 0.5) > 0, 0.0, rng.uniform(0.3, 0.7, links))
    return np.where(failing, left, 1.0)
