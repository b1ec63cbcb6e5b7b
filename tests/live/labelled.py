"""Series in which it is known what happened: level shifts, drift, surges, failed collections."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from twin.core.arrays import Floats

DAY = 288


class Label(NamedTuple):
    """What was done to a link."""

    kind: str
    link: int
    first: int
    """Sample"""
    size: float


def calm(seed: int, samples: int, links: int) -> Floats:
    """Return demand with days, weekends, wandering levels and noise of several sizes and tails."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples)[:, None]
    phase, depth = rng.uniform(0, 0.6, links), rng.uniform(0.2, 0.7, links)
    day = 1 + depth * np.sin(2 * np.pi * (time / DAY + phase))
    day *= 1 + 0.2 * depth * np.sin(4 * np.pi * (time / DAY + rng.uniform(0, 1, links)))
    weekend = np.where(time // DAY % 7 >= 5, rng.uniform(0.6, 1, links), 1.0)
    # An autoregressive wander over hours, and noise with normal or heavy tails.
    wander = np.zeros((samples, links))
    keep = np.exp(-1 / rng.uniform(12, 72, links))
    size = rng.uniform(0.01, 0.05, links)
    drawn = rng.normal(size=(samples, links)) * size * np.sqrt(1 - keep**2)
    for i in range(1, samples):
        wander[i] = keep * wander[i - 1] + drawn[i]
    heavy = rng.standard_t(4, (samples, links)) / np.sqrt(2)
    noise = np.where(rng.random(links) < 0.5, heavy, rng.normal(size=(samples, links)))
    noise *= rng.uniform(0.01, 0.04, links)
    level = 10 ** rng.uniform(1, 3.5, links)
    return np.maximum(level * day * weekend * np.exp(wander) * (1 + noise), 0.01)


def shifted(
    demand: Floats, seed: int, first: int, sizes: tuple[float, ...]
) -> tuple[Floats, list[Label]]:
    """Let the level of every link change once and for good, some time after sample `first`."""
    rng, demand = np.random.default_rng(seed), demand.copy()
    labels = []
    for link in range(demand.shape[1]):
        at = first + int(rng.integers(0, 2 * DAY))
        factor = float(rng.choice(sizes))
        demand[at:, link] *= factor
        labels.append(Label("shift", link, at, factor))
    return demand, labels


def surged(demand: Floats, seed: int, first: int, samples: int) -> tuple[Floats, list[Label]]:
    """Let every link surge once for so many samples, with ramps of a quarter of that."""
    rng, demand = np.random.default_rng(seed), demand.copy()
    labels = []
    ramp = max(samples // 4, 1)
    shape = np.minimum(np.minimum(np.arange(samples) + 1, samples - np.arange(samples)) / ramp, 1)
    for link in range(demand.shape[1]):
        at = first + int(rng.integers(0, 2 * DAY))
        factor = float(rng.uniform(1.8, 3))
        demand[at : at + samples, link] *= 1 + (factor - 1) * shape
        labels.append(Label("surge", link, at, factor))
    return demand, labels
