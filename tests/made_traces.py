"""Made traces with jumps, level shifts, zeros and bursts, and what forecasters err by on them.

    python tests/made_traces.py [SEED]...

prints, for each kind of trace, the MAE of every shipped model of traffic over persistence's. No
model was trained on these traces, or chosen by those of the default seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twin.demand.gaps import ArrayFeed
from twin.forecast.forecaster import Forecaster

Floats = NDArray[np.float64]
Random = np.random.Generator

MODELS = Path(__file__).parents[1] / "models"
HISTORY, SAMPLES, LINKS = 2_016, 3_016, 4
SEEDS = (11, 12, 13)
_SHAPE = (SAMPLES, LINKS)


def _day(rng: Random) -> Floats:
    turns = np.arange(SAMPLES)[:, None] / 288
    return 100 * (2 + np.sin(2 * np.pi * turns + rng.uniform(0, 6, LINKS)))


def _often(rng: Random, share: float | Floats) -> NDArray[np.bool_]:
    return rng.uniform(size=_SHAPE) < share


def _square(rng: Random) -> Floats:
    low, high = rng.uniform(20, 100, LINKS), rng.uniform(120, 200, LINKS)
    turn = _often(rng, 1 / rng.integers(20, 120, LINKS)).cumsum(axis=0)
    return np.where(turn % 2, low, high)


def _clock(rng: Random) -> Floats:
    period = rng.integers(12, 96, LINKS)
    on = np.arange(SAMPLES)[:, None] % period < rng.uniform(0.2, 0.8, LINKS) * period
    return np.where(on, rng.uniform(120, 300, LINKS), 100.0)


def _steps(rng: Random) -> Floats:
    turn = _often(rng, 1 / rng.integers(30, 200, LINKS)).cumsum(axis=0)
    return np.take_along_axis(rng.uniform(50, 300, _SHAPE), turn, axis=0)


def _jumps(rng: Random) -> Floats:
    jumps = (_often(rng, 0.02) * rng.normal(0, 60, _SHAPE)).cumsum(axis=0)
    return np.abs(jumps) + 50


def _zeros(rng: Random) -> Floats:
    level = _day(rng)
    for link in range(LINKS):
        for first in rng.integers(0, SAMPLES, 12):
            level[first : first + rng.integers(3, 60), link] = 0
    return level


def _shifts(rng: Random) -> Floats:
    return _day(rng) * np.exp((_often(rng, 0.004) * rng.normal(0, 0.4, _SHAPE)).cumsum(axis=0))


def _drops(rng: Random) -> Floats:
    return _day(rng) * np.where(_often(rng, 0.01).cumsum(axis=0) % 2, 0.1, 1)


def _spikes(rng: Random) -> Floats:
    spikes = _often(rng, 0.02) * rng.exponential(100, _SHAPE)
    return _day(rng) + spikes + 0.5 * np.roll(spikes, 1, axis=0)


def _bursts(rng: Random) -> Floats:
    level = np.full(_SHAPE, 30.0)
    for link in range(LINKS):
        first = 0
        while first < SAMPLES:
            first += int(rng.exponential(60)) + 1
            last = first + int(rng.exponential(10)) + 2
            level[first:last, link] += rng.uniform(50, 400)
            first = last
    return level


def _walk(rng: Random) -> Floats:
    return 1000 * np.exp((0.01 * rng.standard_t(2.2, _SHAPE)).cumsum(axis=0))


KINDS: dict[str, Callable[[Random], Floats]] = {
    "square": _square, "clock": _clock, "steps": _steps, "jumps": _jumps, "zeros": _zeros,
    "shifts": _shifts, "drops": _drops, "spikes": _spikes, "bursts": _bursts, "walk": _walk,
}  # fmt: skip
NOISES = ("normal", "uniform", "relative", "rounded")


def made(kind: str, noise: str, seed: int) -> Floats:
    """Return the traffic of a few links, [samples, links]."""
    rng = np.random.default_rng((seed, list(KINDS).index(kind), NOISES.index(noise)))
    level = KINDS[kind](rng)
    size = rng.uniform(0.005, 0.05, LINKS) * np.abs(level).mean(axis=0)
    values = {
        "normal": lambda: level + rng.normal(size=_SHAPE) * size,
        "uniform": lambda: level + rng.uniform(-1.7, 1.7, _SHAPE) * size,
        "relative": lambda: level * (1 + 0.03 * rng.normal(size=_SHAPE)),
        "rounded": lambda: np.round(level * (1 + 0.01 * rng.normal(size=_SHAPE)) / size) * size,
    }[noise]()
    return np.where(level == 0, 0.0, np.maximum(values, 0))


def mase(model: Forecaster, demand: Floats) -> float:
    """Return the MAE after the history over that of persistence."""
    bound = model.bind(ArrayFeed({"internet": demand}), HISTORY, HISTORY, stop=SAMPLES)
    forecast = np.stack([bound.at(sample) for sample in range(HISTORY, SAMPLES)])
    error = np.abs(forecast - demand[HISTORY:]).mean()
    return float(error / np.abs(np.diff(demand[HISTORY - 1 :], axis=0)).mean())


def table(names: list[str], seeds: tuple[int, ...]) -> Iterator[tuple[str, str, list[float]]]:
    """Yield kind, noise and the mean over `seeds` of what each model scores."""
    models = [Forecaster.load(MODELS / f"{name}.onnx") for name in names]
    for kind in KINDS:
        for noise in NOISES:
            traces = [made(kind, noise, seed) for seed in seeds]
            yield (
                kind,
                noise,
                [float(np.mean([mase(model, trace) for trace in traces])) for model in models],
            )


def main(seeds: tuple[int, ...]) -> None:
    """Print the table, and its means."""
    names = [path.stem for path in sorted(MODELS.glob("*_traffic.onnx"))]
    print("kind     noise    " + " ".join(f"{name.removesuffix('_traffic'):>9}" for name in names))
    rows = []
    for kind, noise, scores in table(names, seeds):
        rows.append(scores)
        print(f"{kind:8} {noise:8} " + " ".join(f"{score:9.4f}" for score in scores), flush=True)
    for name, values in (("mean", np.mean(rows, axis=0)), ("worst", np.max(rows, axis=0))):
        print(f"{name:17} " + " ".join(f"{value:9.4f}" for value in values))


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or SEEDS)
