"""Adversarial traffic: links asleep for hours, or ten times as busy for minutes or weeks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Random = np.random.Generator

SEASONS = (24, 96, 144, 200, 288, 288, 288, 400)


def adversarial_links(seed: int, links: int, samples: int, *, calm: float = 0.0) -> Floats:
    """Return the demand of `links` unlike links, [samples, links], at least 0.

    Each has up to three properties that make a link hard to provision for. On every other link
    they begin only after the first `calm` share of its samples, so that its history does not warn.
    """
    demand = np.empty((samples, links))
    for link in range(links):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(link,)))
        ordinary = _ordinary(rng, samples)
        adverse = ordinary.copy()
        for change in rng.choice(np.array(CHANGES), rng.integers(4), replace=False):
            adverse = change(rng, adverse)
        first = int(calm * samples) if link % 2 else 0
        demand[:, link] = np.where(np.arange(samples) < first, ordinary, adverse)
        demand[:, link] *= np.exp(rng.uniform(-4, 10))
    return demand


def _ordinary(rng: Random, samples: int) -> Floats:
    """Return demand with a season, a random walk and heavy-tailed noise, [samples]."""
    turns = np.arange(samples) / rng.choice(SEASONS)
    season = sum(
        rng.normal() / harmonic**1.5 * np.sin(2 * np.pi * (harmonic * turns + rng.uniform()))
        for harmonic in range(1, 5)
    )
    steps = rng.standard_t(4, samples)
    walk, kept = np.empty(samples), rng.choice([0.8, 0.95, 0.99])
    value = 0.0
    for sample, step in enumerate(steps):
        value = kept * value + step
        walk[sample] = value
    level = np.exp(rng.choice([0, 0.2, 0.5, 0.9]) * season + rng.uniform(0.005, 0.1) * walk)
    noise = 0.2 ** rng.uniform(1, 4) * rng.standard_t(rng.uniform(2.5, 20), samples)
    return np.asarray(level * np.maximum(1 + noise, 0))


def _episodes(rng: Random, samples: int, every: float, most: float) -> Iterator[slice]:
    """Yield stretches of 1 to `most` samples, of log-uniform length.

    One begins every `every` samples on average.
    """
    for first in rng.integers(0, samples, rng.poisson(samples / every)).tolist():
        yield slice(first, first + int(most ** rng.uniform()))


def _jumps(rng: Random, demand: Floats) -> Floats:
    for during in _episodes(rng, len(demand), rng.uniform(150, 2_000), rng.uniform(2, 500)):
        demand[during] *= rng.uniform(3, 12) ** rng.choice([-1, 1])
    return demand


def _shifts(rng: Random, demand: Floats) -> Floats:
    for during in _episodes(rng, len(demand), 2_000, 8_000):
        demand[during] *= rng.uniform(1.5, 8) ** rng.choice([-1, 1])
    return demand


def _sleep(rng: Random, demand: Floats) -> Floats:
    asleep = (np.arange(len(demand)) / rng.choice(SEASONS) + rng.uniform()) % 1 < rng.uniform(
        0.1, 0.6
    )
    return np.where(asleep, demand * rng.choice([0, 0.001, 0.02]), demand)


def _naps(rng: Random, demand: Floats) -> Floats:
    for during in _episodes(rng, len(demand), rng.uniform(200, 2_000), 200):
        demand[during] = 0
    return demand


def _bursts(rng: Random, demand: Floats) -> Floats:
    hit = rng.uniform(size=len(demand)) < rng.uniform(0.001, 0.03)
    size = np.minimum(rng.pareto(rng.uniform(1.2, 3), len(demand)), 50)
    return np.asarray(demand + hit * size * rng.uniform(0.1, 1) * np.median(demand))


def _regimes(rng: Random, demand: Floats) -> Floats:
    noise = np.zeros(len(demand))
    for during in _episodes(rng, len(demand), 1_500, 3_000):
        noise[during] = rng.uniform(0.05, 0.4)
    return np.asarray(demand * np.maximum(1 + noise * rng.standard_normal(len(demand)), 0))


def _rounding(rng: Random, demand: Floats) -> Floats:
    grid = rng.uniform(0.02, 0.3) * demand.mean()
    return np.asarray(np.round(demand / grid) * grid)


CHANGES = (_jumps, _shifts, _sleep, _naps, _bursts, _regimes, _rounding)
