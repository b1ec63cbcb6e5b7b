"""A generated matrix: demand from site to site over some weeks, for those who have none.

The mean demand from i to j is size_i size_j f(distance) times a factor of the pair: gravity models
explain real matrices to about that (Roughan 2005). It follows the day as links of the default trace
do, at the local time of both ends, mostly of the one that receives. The logarithm of the noise
is a sum of what a source, a target and the pair have in common over all their demands, each part
white and part slow; it is less where demand is more.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.core.units import DAY_S
from twin.demand.synthetic import usual_course

_MATRIX_STREAM: Final = 0x6D61
_SIZE_SIGMA, _PAIR_SIGMA = 0.3, 0.6
"""Of the logarithms of a site's size and of a pair's factor."""
_RECEIVES: Final = 0.7
"""Share of a demand that follows the day of the site that receives it."""
_NOISE: Final = 0.12
"""Sigma of the noise, over the demand, of one of mean size."""
_SHARED: Final = (0.5, 0.5, 0.7071)
"""Parts of the noise of source, target and pair; their squares add up to 1."""
_SLOW_S: Final = 7200.0
"""Time in which the slow part of the noise forgets."""
_EARTH_KM: Final = 6371.0
_FAR_KM: Final = 1000.0
"""Distance at which demand is less by a factor of the square root of 2."""


class PlacedSite(NamedTuple):
    """What the demand of a site depends on."""

    name: str
    size: float
    """Relative to that of others."""
    longitude: float | None = None
    """Degrees."""
    latitude: float | None = None


def generate(
    seed: int, sites: Sequence[PlacedSite], pairs: Ints, samples: int, step_s: int
) -> Floats:
    """Return the demand of pairs of sites, [samples, pairs]; its mean over all of it is 1.

    `pairs` [pairs, 2] are positions of sites. The first sample is at midnight at the mean
    longitude. What a site or a pair draws depends on its name alone.
    """
    here, there = pairs.T
    mean = _means(seed, sites, pairs)
    day: Floats = np.arange(samples, dtype=np.float64) * (step_s / DAY_S)
    local = np.stack([usual_course(day - shift) for shift in _shifts(sites)])
    course = (1 - _RECEIVES) * local[here] + _RECEIVES * local[there]
    sources, targets = (
        np.stack([_noise(seed, f"{end} {site.name}", samples, step_s) for site in sites])
        for end in ("from", "to")
    )
    demand = np.empty((samples, len(pairs)))
    sigma = _NOISE * np.clip((mean / mean.mean()) ** -0.25, 0.5, 2.5)
    for pair, (a, b) in enumerate(pairs.tolist()):
        own = _noise(seed, f"{sites[a].name}>{sites[b].name}", samples, step_s)
        noise = _SHARED[0] * sources[a] + _SHARED[1] * targets[b] + _SHARED[2] * own
        # The mean of exp(s n) is exp(s^2 / 2).
        level = mean[pair] * np.exp(sigma[pair] * noise - sigma[pair] ** 2 / 2)
        demand[:, pair] = level * course[pair]
    return np.asarray(demand / demand.mean())


def _stream(seed: int, name: str) -> np.random.Generator:
    key = zlib.crc32(name.encode())
    return np.random.default_rng(np.random.SeedSequence([seed, _MATRIX_STREAM, key]))


def _means(seed: int, sites: Sequence[PlacedSite], pairs: Ints) -> Floats:
    """Return the mean demand of each pair, in a unit of its own, [pairs]."""
    drawn = [_stream(seed, f"size {site.name}").normal(0, _SIZE_SIGMA) for site in sites]
    size = np.array([site.size for site in sites]) * np.exp(drawn)
    names = [f"pair {sites[a].name}>{sites[b].name}" for a, b in pairs.tolist()]
    factor = np.exp([_stream(seed, name).normal(0, _PAIR_SIGMA) for name in names])
    apart = _distances(sites)[pairs[:, 0], pairs[:, 1]]
    return np.asarray(size[pairs[:, 0]] * size[pairs[:, 1]] * factor / np.sqrt(1 + apart))


def _distances(sites: Sequence[PlacedSite]) -> Floats:
    """Return how far sites are apart, in units of _FAR_KM, [sites, sites]; 1 if not known."""
    if not _on_earth(sites):
        return np.ones((len(sites), len(sites)))
    degrees = np.array([site[2:] for site in sites], dtype=np.float64)
    longitude, latitude = np.radians(degrees).T
    half = (
        np.sin((latitude[:, None] - latitude) / 2) ** 2
        + np.cos(latitude[:, None])
        * np.cos(latitude)
        * np.sin((longitude[:, None] - longitude) / 2) ** 2
    )
    km = 2 * _EARTH_KM * np.arcsin(np.sqrt(np.minimum(half, 1.0)))
    return np.asarray(km / _FAR_KM)


def _shifts(sites: Sequence[PlacedSite]) -> Floats:
    """Return by how many days each site's day is late, [sites]: the sun goes west."""
    if not _on_earth(sites):
        return np.zeros(len(sites))
    longitude = np.array([site.longitude for site in sites], dtype=np.float64)
    return np.asarray((longitude.mean() - longitude) / 360)


def _on_earth(sites: Sequence[PlacedSite]) -> bool:
    """Return whether all coordinates are there, and may be degrees."""
    return all(
        site.longitude is not None
        and site.latitude is not None
        and abs(site.longitude) <= 180
        and abs(site.latitude) <= 90
        for site in sites
    )


def _noise(seed: int, name: str, samples: int, step_s: int) -> Floats:
    """Return noise of sigma 1, [samples]: half of its variance white, half forgotten slowly."""
    from scipy.signal import lfilter

    rng = _stream(seed, f"noise {name}")
    white, driven = rng.standard_normal((2, samples))
    keeps = np.exp(-step_s / _SLOW_S)
    driven[1:] *= np.sqrt(1 - keeps**2)
    slow = lfilter([1.0], [1.0, -keeps], driven)
    return np.asarray((white + slow) / np.sqrt(2))
