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

from twin.forecast.card import Normalisation

Floats = NDArray[np.float64]

_LINKS_AT_ONCE: Final = 64
_FITTED_SAMPLES: Final = 8_064
"""The fit reads at most this much of the end of the history: four weeks of 5 minutes."""


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
    """Makes windows of KPIs, with a scale and linear weights per link fitted on the history."""

    values: tuple[Floats, ...]
    """Per feature [samples, links], gaps filled with the last known value."""
    known_from: NDArray[np.int64]
    """[links]: the first sample at which the first feature is known."""
    window: int
    how: Normalisation
    scale: Floats
    """[features, links]: mean absolute difference of the history."""
    weights: Floats
    """[features, window - 1, links]: of the scaled differences, the latest first."""

    @classmethod
    def fit(
        cls,
        kpis: Mapping[str, Floats],
        features: Sequence[str],
        window: int,
        how: Normalisation,
        history: int,
    ) -> Windows:
        """Fit on the first `history` samples of `kpis`, each [samples, links]; NaN is a gap."""
        raw = [np.asarray(kpis[name], dtype=np.float64) for name in features]
        known = ~np.isnan(raw[0])
        known_from = np.where(known.any(axis=0), known.argmax(axis=0), len(known))
        values = tuple(forward_filled(column) for column in raw)
        links = values[0].shape[1]
        scale = np.empty((len(values), links))
        weights = np.zeros((len(values), window - 1, links))
        for first in range(0, links, _LINKS_AT_ONCE):
            some = slice(first, min(first + _LINKS_AT_ONCE, links))
            changes = _changes([column[:history, some] for column in values])
            scale[:, some] = np.abs(changes).mean(axis=-1)
            if how.reference == "linear":
                weights[:, :, some] = _linear_weights(changes, scale[:, some], window - 1, how)
        return cls(values, known_from, window, how, scale, weights)

    def block(self, start: int, stop: int) -> Block:
        """Return the windows that end before each sample of [start, stop); start >= window."""
        before = slice(start - self.window, stop - 1)
        shape = (stop - start, self.scale.shape[1], self.window, len(self.values))
        inputs = np.empty(shape, dtype=np.float32)
        reference = scale = np.empty(0)
        for feature in reversed(range(len(self.values))):
            values = self.values[feature][before]
            scale = self._block_scale(values, feature)
            reference = values[self.window - 1 :]
            if feature == 0 and self.how.reference == "linear":
                reference = reference + self.scale[0] * self._next_change(before)
            views = sliding_window_view(values, self.window, axis=0)
            scaled = _over(views - reference[..., None], scale[..., None])
            inputs[..., feature] = np.clip(scaled, -self.how.clip, self.how.clip)
        return Block(inputs, reference, scale)

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

    def _next_change(self, before: slice) -> Floats:
        """Return the linear forecast of the next difference over `scale`, [samples, links]."""
        count = self.window - 1
        total = np.zeros((before.stop - before.start - count, self.scale.shape[1]))
        for feature, column in enumerate(self.values):
            changes = _limited(np.diff(column[before], axis=0), self.scale[feature], self.how)
            for lag in range(count):
                latest = count - 1 - lag
                total += self.weights[feature, lag] * changes[latest : latest + len(total)]
        return total


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


def _changes(values: Sequence[Floats]) -> Floats:
    """Return the differences, [features, links, samples]; the last axis lies contiguously."""
    recent = [np.ascontiguousarray(column[-_FITTED_SAMPLES:].T) for column in values]
    return np.diff(np.stack(recent), axis=-1)


def _over(changes: Floats, scale: Floats) -> Floats:
    """Return changes / scale (broadcast); 0 where the scale is 0."""
    return np.divide(changes, scale, out=np.zeros_like(changes), where=scale > 0)


def _limited(changes: Floats, scale: Floats, how: Normalisation) -> Floats:
    """Return changes over scale (broadcast), limited."""
    return np.clip(_over(changes, scale), -how.outlier, how.outlier)


def _linear_weights(changes: Floats, scale: Floats, lags: int, how: Normalisation) -> Floats:
    """Return the weights [features, lags, links] that best forecast the first feature's change.

    Yule-Walker: the autocovariances of the scaled changes [features, links, samples], all
    divided by the same count, so that they are those of some stationary process.
    """
    scaled = _limited(changes, scale[..., None], how)
    features, links, samples = scaled.shape
    lagged = np.zeros((lags + 1, features, features, links))
    for lag in range(min(lags + 1, samples)):
        for now in range(features):
            for then in range(features):
                later, earlier = scaled[now, :, lag:], scaled[then, :, : samples - lag]
                lagged[lag, now, then] = np.einsum("ls,ls->l", later, earlier) / samples
    matrix = np.empty((links, features, lags, features, lags))
    for row in range(lags):
        for column in range(lags):
            block = lagged[column - row] if column >= row else lagged[row - column].swapaxes(0, 1)
            matrix[:, :, row, :, column] = block.transpose(2, 0, 1)
    size = features * lags
    square = matrix.reshape(links, size, size) + how.ridge * np.eye(size)
    target = lagged[1:, 0].transpose(2, 1, 0).reshape(links, size, 1)
    solved = np.linalg.solve(square, target).reshape(links, features, lags)
    return np.ascontiguousarray(solved.transpose(1, 2, 0))
