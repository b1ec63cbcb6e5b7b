"""Samples: the windows that a network is trained on, and those that its training is judged by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.core.arrays import Floats
from twin.core.errors import InputError
from twin.demand.kpis import KPIS
from twin.demand.synthetic import generate
from twin.demand.trace import Trace
from twin.demand.varied import varied
from twin.forecast.card import Normalisation
from twin.forecast.windows import TraceWindows

FACILITIES: Final = 24
FACILITY_WINDOWS: Final = 1_500
TRACE_WINDOWS: Final = 150_000
GENERATED_SEEDS: Final = 1_000_000
"""Added to the seed, so that no trace that a scenario generates was trained on."""

Source = Literal["unlike links", "default facility"]
"""What is trained on without a trace: all kinds of links, or the history of the default trace."""

_VALIDATION = 0.2
_SCALED = 0.5
_FITTED = 0.5
_WORST_TARGET = 8.0
_MOST_WEIGHT = 5.0


@dataclass(frozen=True, slots=True)
class TrainingSamples:
    """Windows with what the network should answer."""

    inputs: NDArray[np.float32]
    """[windows, window, features and channels]"""
    targets: NDArray[np.float32]
    """[windows, steps]: (value - reference) / scale, limited unless the scale is 1.

    NaN for a horizon that is beyond what may be learnt from.
    """
    weights: NDArray[np.float32]
    """[windows]: scale over the link's, limited: a loss counts in the link's unit."""
    persistence: Floats
    """[windows]: absolute error of the last value over scale, one step ahead, weighted."""
    linear: Floats
    """[windows]: the same of the linear forecast."""
    answers: Floats
    """[windows]: the answer without an error, one step ahead, not limited."""


class Varied(NamedTuple):
    """How many generated, unlike links are trained on."""

    links: int = 800
    windows: int = 275
    """Of a link, on average."""
    samples: int = 8_064
    """Of a link: long enough for a week to be found, and for the linear reference to settle."""


class _Part(NamedTuple):
    """KPIs, each [samples, links], and the windows to take of each link on average."""

    kpis: Mapping[str, Floats]
    per_link: int


def make(
    trace: Trace | None,
    share: float,
    seed: int,
    features: Sequence[str],
    window: int,
    how: Normalisation,
    source: Source = "unlike links",
    unlike: Varied = Varied(),  # noqa: B008
    steps: Sequence[int] = (1,),
) -> tuple[TrainingSamples, TrainingSamples, str]:
    """Return windows for training and for validation, and a text that says where from.

    They come from the first `share` of `trace`, or without one from `source`, which may be as
    much of `unlike` links. What is to be answered is `steps` ahead. Raises InputError where there
    are none.
    """
    if trace is None and source == "default facility":
        trace, seed = _default_facility(), 0
    parts, origin = _generated(seed, unlike) if trace is None else _history(trace, share, features)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    split = [_split(part, features, window, how, steps, rng) for part in parts]
    training, validation = (joined([each[i] for each in split]) for i in range(2))
    if not len(training.inputs) or not len(validation.inputs):
        raise InputError(f"the history is too short, or too flat, to train on: {origin}")
    return training, validation, origin


def _default_facility() -> Trace:
    """Return the first facility of the default trace, which the paper's figures show."""
    kpis = generate(1, 1)
    return Trace(("facility-1",), kpis, 300, origin="generated trace, seed 1", digest=_digest(kpis))


def _generated(seed: int, many: Varied) -> tuple[list[_Part], str]:
    seed += GENERATED_SEEDS
    unlike, alike = varied(seed, many.links, many.samples), generate(seed, FACILITIES)
    origin = (
        f"generated traces: {many.links} varied links of {len(unlike[KPIS[0]])} samples, "
        f"{FACILITIES} facilities of {len(alike[KPIS[0]])} samples, seed {seed}, "
        f"sha256 {_digest(unlike, alike)}"
    )
    return [_Part(unlike, many.windows), _Part(alike, FACILITY_WINDOWS)], origin


def _history(trace: Trace, share: float, features: Sequence[str]) -> tuple[list[_Part], str]:
    history = int(share * trace.samples)
    kpis = {name: trace.kpis[name][:history] for name in features}
    origin = (
        f"{trace.origin or 'a trace'}: samples 0 to {history} of {trace.samples}, "
        f"{len(trace.links)} links, sha256 {trace.digest or 'unknown'}"
    )
    return [_Part(kpis, max(TRACE_WINDOWS // len(trace.links), 1))], origin


def _digest(*traces: Mapping[str, Floats]) -> str:
    digest = hashlib.sha256()
    for kpis in traces:
        for values in kpis.values():
            digest.update(values.tobytes())
    return digest.hexdigest()


def _split(
    part: _Part,
    features: Sequence[str],
    window: int,
    how: Normalisation,
    steps: Sequence[int],
    rng: np.random.Generator,
) -> tuple[TrainingSamples, TrainingSamples]:
    """Return windows for training and, from a later part of each link, for validation.

    Linear forecasts are of samples that they were not fitted on: a network that knew them from
    its own windows would trust them more than they will deserve.
    """
    demand = part.kpis[features[0]]
    samples = len(demand)
    cut = int((1 - _VALIDATION) * samples)
    start = window if how.reference in ("none", "last") else max(int(_FITTED * samples), window)
    scaled = max(int(_SCALED * samples), min(window, samples))
    windows = TraceWindows(part.kpis, features, window, how, scaled, since=start, steps=steps)
    later = max(part.per_link // 4, 1)
    return (
        _samples(windows, demand[:cut], start, part.per_link, steps, rng),
        _samples(windows, demand, cut + window, later, steps, rng),
    )


def _samples(
    trace: TraceWindows,
    demand: Floats,
    start: int,
    per_link: int,
    steps: Sequence[int],
    rng: np.random.Generator,
) -> TrainingSamples:
    """Return at most `per_link` windows a link (on average) that end at `start` or later.

    Nothing beyond `demand` is to be answered.
    """
    stop, links = demand.shape
    beyond = np.full((steps[-1], links), np.nan)
    demand, kept = np.concatenate([demand, beyond]), []
    for first in range(start, stop, 256):
        last = min(first + 256, stop)
        trace.upto(first)
        windows = trace.upto(last)
        share = min(per_link / (stop - start), 1.0)
        # [steps, samples, links]
        values = np.stack([demand[first + step - 1 : last + step - 1] for step in steps])
        chosen = ~np.isnan(values[0]) & (windows.scale[0] > 0)
        chosen &= np.arange(first, last)[:, None] > windows.known_from
        chosen &= rng.uniform(size=(last - first, links)) < share
        batch = windows.batch(first, last)
        units = [batch.scale * windows.growth(first, last, step) for step in steps]
        references = [windows.reference(first, last, step) for step in steps]
        scale, value = np.stack(units)[:, chosen], values[:, chosen]
        answer = (value - np.stack(references)[:, chosen]) / scale
        unit = np.broadcast_to(windows.scale[0], chosen.shape)[chosen]
        worst = np.inf if windows.how.reference == "none" else _WORST_TARGET
        before = windows.values(first - 1, last - 1)[chosen]
        linear = before + windows.change(first, last)[chosen]
        weight = np.clip(scale[0] / unit, 0, _MOST_WEIGHT)
        kept.append(
            TrainingSamples(
                batch.inputs[chosen],
                np.clip(answer, -worst, worst).astype(np.float32).T,
                weight.astype(np.float32),
                np.abs(value[0] - before) / scale[0] * weight,
                np.abs(value[0] - linear) / scale[0] * weight,
                answer[0],
            )
        )
    return joined(kept)


def joined(parts: Sequence[TrainingSamples]) -> TrainingSamples:
    """Return all samples as one."""
    if not parts:
        none = np.empty(0)
        few = np.empty(0, dtype=np.float32)
        return TrainingSamples(few.reshape(0, 1, 1), few.reshape(0, 1), few, none, none, none)
    return TrainingSamples(
        *(np.concatenate([_column(part, i) for part in parts]) for i in range(6))
    )


def _column(samples: TrainingSamples, place: int) -> NDArray[Any]:
    name = tuple(TrainingSamples.__dataclass_fields__)[place]
    column: NDArray[Any] = getattr(samples, name)
    return column
