"""Windows: from the KPIs of many links to the inputs of the graph, and back to traffic.

Nothing here is reduced by BLAS or in an order that depends on how many ticks or links are asked
for at once: a window is the same to the last bit in whatever block it is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from twin.core.arrays import Floats
from twin.forecast.card import Normalisation
from twin.forecast.reference import AHEAD, next_changes, usual_changes

_SCALED_SAMPLES: Final = 8_064
"""Scales are those of at most this much of the end of the history."""


@dataclass(frozen=True, slots=True)
class Block:
    """The windows of all links at some consecutive samples."""

    inputs: NDArray[np.float32]
    """[samples, links, window, features]"""
    reference: Floats
    """[samples, links]: the forecast for an output of 0."""
    scale: Floats
    """[samples, links]: the change of the forecast for a change of the output by 1.

    0 where nothing ever changed.
    """


@dataclass(frozen=True, slots=True)
class Windows:
    """Makes windows of KPIs, with a scale and a linear forecast per link fitted on the history."""

    values: tuple[Floats, ...]
    """Per feature [samples, links], gaps filled with the last known value."""
    channels: tuple[tuple[Floats, Floats], ...]
    """Per channel what its windows hold, and what they are relative to, both [samples, links]."""
    known_from: NDArray[np.int64]
    """[links]: the first sample at which the first feature is known."""
    window: int
    how: Normalisation
    scale: Floats
    """[features, links]: mean absolute difference of the history."""
    change: Floats
    """[samples, links]: forecast of the change to a sample, from the samples before it."""

    @classmethod
    def fit(
        cls,
        kpis: Mapping[str, Floats],
        features: Sequence[str],
        window: int,
        how: Normalisation,
        history: int,
        since: int | None = None,
    ) -> Windows:
        """Fit on the first `history` samples of `kpis`, each [samples, links]; NaN is a gap.

        Windows are wanted from sample `since` (default: `history`) on. What they are made by is
        fitted on samples before them, but for scales and the length of seasons.
        """
        raw = [np.asarray(kpis[name], dtype=np.float64) for name in features]
        known = ~np.isnan(raw[0])
        known_from = np.where(known.any(axis=0), known.argmax(axis=0), len(known))
        values = tuple(forward_filled(column) for column in raw)
        scale = np.stack([_mean_change(column[:history]) for column in values])
        change = np.zeros(values[0].shape)
        usual = np.empty((0, *change.shape))
        if how.reference == "seasonal":
            steps = (np.diff(column, axis=0, prepend=column[:1]) for column in values)
            changes = np.stack([_limited(*each, how) for each in zip(steps, scale, strict=True)])
            usual = usual_changes(changes[0], history)
            start = history if since is None else since
            change = scale[0] * next_changes(changes, usual, known, how, history, start)
        channels = tuple(
            _channel(name, values[0], scale[0] * usual, history) for name in how.channels
        )
        return cls(values, channels, known_from, window, how, scale, change)

    def block(self, start: int, stop: int, step: int = 1) -> Block:
        """Return the windows that end before each `step`th sample of [start, stop).

        `start` must be at least `window`.
        """
        before = slice(start - self.window, stop - 1)
        samples, links = len(range(start, stop, step)), self.scale.shape[1]
        depth = len(self.values) + len(self.channels)
        inputs = np.empty((samples, links, self.window, depth), dtype=np.float32)
        reference, scale = np.zeros((samples, links)), np.ones((samples, links))
        for feature in reversed(range(len(self.values))):
            values = self.values[feature][before]
            if self.how.reference != "none":
                scale = self._block_scale(values, feature)[::step]
                reference = values[self.window - 1 :: step]
                if feature == 0:
                    reference = reference + self.change[start:stop:step]
            self._fill(inputs[..., feature], values, step, reference, scale)
        for place, (values, origin) in enumerate(self.channels, start=len(self.values)):
            unit = scale if self.how.channels[place - len(self.values)] != "level" else 1.0
            apart_from = origin[start - 1 : stop - 1 : step]
            self._fill(inputs[..., place], values[before], step, apart_from, unit)
        return Block(inputs, reference, scale)

    def _fill(
        self,
        inputs: NDArray[np.float32],
        values: Floats,
        step: int,
        origin: Floats,
        scale: Floats | float,
    ) -> None:
        """Write windows of (values - origin) / scale into `inputs` [samples, links, window].

        `values` [samples, links] are those of all windows, each `step` samples after the last.
        """
        scale = np.asarray(scale)
        unit = np.divide(1.0, scale, out=np.zeros(scale.shape), where=scale > 0)
        clip = np.inf if self.how.reference == "none" else self.how.clip
        scaled = sliding_window_view(values, self.window, axis=0)[::step] - origin[..., None]
        scaled *= unit[..., None]
        inputs[...] = np.clip(scaled, -clip, clip, out=scaled)

    def _block_scale(self, values: Floats, feature: int) -> Floats:
        """Return the scale of each window, [samples, links]; 0 where nothing ever changed."""
        changes = np.abs(np.diff(values, axis=0))
        count = self.window - 1
        total = np.zeros_like(changes[count - 1 :])
        for lag in range(count):
            total += changes[lag : len(changes) - (count - 1) + lag]
        scale = (1 - self.how.local) * self.scale[feature] + self.how.local * (total / count)
        # Below this, differences of the values are rounding errors.
        return np.asarray(np.maximum(scale, 1e-9 * np.abs(values[self.window - 1 :])))


def forward_filled(values: Floats) -> Floats:
    """Return `values` [samples, links] with each NaN replaced by the last known value.

    What precedes the first known value gets that value; a link without any is all 0.
    """
    missing = np.isnan(values)
    if not missing.any():
        return values
    rows = np.where(missing, 0, np.arange(len(values))[:, None])
    np.maximum.accumulate(rows, axis=0, out=rows)
    first = (~missing).argmax(axis=0)
    filled = np.take_along_axis(values, np.maximum(rows, first), axis=0)
    return np.nan_to_num(filled, nan=0.0)


def _mean_change(values: Floats) -> Floats:
    """Return the mean absolute difference of `values` [samples, links] of each link.

    A sum along contiguous samples, which is the same for a link whatever others there are.
    """
    recent = np.ascontiguousarray(values[-_SCALED_SAMPLES:].T)
    return np.asarray(np.abs(np.diff(recent, axis=-1)).mean(axis=-1))


def _channel(name: str, values: Floats, usual: Floats, history: int) -> tuple[Floats, Floats]:
    """Return what the windows of a channel hold and are relative to, both [samples, links].

    A season's windows reach AHEAD samples beyond what was seen: the level that is usual then,
    relative to that of the last sample seen. `level` is the traffic over its mean.
    """
    if name == "level":
        mean = np.ascontiguousarray(values[:history].T).mean(axis=-1)
        level = np.divide(values, mean, out=np.zeros(values.shape), where=mean > 0)
        return level, np.ones(values.shape)
    level = np.cumsum(usual[("season", "second_season").index(name)], axis=0)
    return level, np.concatenate([np.zeros((AHEAD, level.shape[1])), level[:-AHEAD]])


def _limited(changes: Floats, scale: Floats, how: Normalisation) -> Floats:
    """Return changes over scale (broadcast), limited; 0 where the scale is 0."""
    scaled = np.divide(changes, scale, out=np.zeros_like(changes), where=scale > 0)
    return np.clip(scaled, -how.outlier, how.outlier)
