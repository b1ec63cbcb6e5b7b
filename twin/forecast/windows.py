"""Windows: from the KPIs of many links to the inputs of the graph, and back to traffic.

Nothing here is reduced by BLAS or in an order that depends on how many ticks or links are asked
for at once: a window is the same to the last bit whatever it is made with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from twin.core.arrays import Floats, Floats32, Ints
from twin.core.tail import Tail
from twin.forecast.card import Normalisation
from twin.forecast.reference import AHEAD, Origin, Reference
from twin.forecast.season import Profiles, periods

_SCALED_SAMPLES: Final = 8_064
"""Scales are those of at most this much of the end of the history."""
_REVISED: Final = 72
"""Samples before the latest window that a revision may reach."""
_APPENDED: Final = 288
"""Samples of a trace taken at a time, which bounds the memory."""
_NEVER: Final = 2**62
"""The first known sample of a link about which nothing is known yet."""


class WindowBatch(NamedTuple):
    """The windows of all links at some samples."""

    inputs: Floats32
    """[samples, links, window, features and channels]"""
    reference: Floats
    """[samples, links]: the forecast for an output of 0."""
    scale: Floats
    """[samples, links]: the change of the forecast for a change of the output by 1.

    0 where nothing ever changed.
    """


class Windows:
    """Makes windows of KPIs as samples close, with a scale and a linear forecast per link.

    What has closed is taken with :meth:`extend`, in steps of any size, and what a gap hid at first
    with :meth:`revise`; :meth:`batch` then gives the windows before samples up to the next one.
    """

    def __init__(
        self, history: Sequence[Floats], window: int, how: Normalisation, since: int
    ) -> None:
        """Fit scales and seasons on the history, [samples, links] of each feature; NaN is a gap.

        No sample has closed yet; the history is to come with :meth:`extend` like all else. Windows
        are wanted before sample `since` and later ones.
        """
        filled = [forward_filled(values) for values in history]
        samples, links = filled[0].shape
        known = ~np.isnan(history[0])
        self.how, self.window = how, window
        self.scale = np.stack([_mean_change(values) for values in filled])
        """[features, links]: mean absolute difference of the history."""
        self.known_from = np.where(known.any(axis=0), known.argmax(axis=0), _NEVER)
        """[links]: the first sample at which the first feature is known."""
        self._keep = keep = window + AHEAD + _REVISED
        self._values = [Tail(links, keep) for _ in filled]
        # What stands in for samples before the first known one.
        self._last = [values[0] for values in filled]
        self._level_mean = np.ascontiguousarray(filled[0].T).mean(axis=-1)
        seasons: list[Profiles] = []
        self._reference: Reference | None = None
        longest = 1
        if how.reference == "seasonal":
            steps = np.diff(filled[0], axis=0)
            period = periods(_limited(steps, self.scale[0], how))
            seasons = [Profiles(each, AHEAD) for each in period]
            longest = int(period.max(initial=1))
            origin = Origin.of(links, samples, since)
            self._reference = Reference(len(filled), seasons, how.ridge, origin)
        self._changes = Tail(links, longest)
        # Kept only for the channels that read them.
        read = seasons if {"season", "second_season"} & {*how.channels} else []
        self._usual_levels = [Tail(links, keep + AHEAD, -AHEAD) for _ in read]
        for level in self._usual_levels:
            level.append(np.zeros((AHEAD, links)))

    @property
    def closed(self) -> int:
        """Number of samples that have closed."""
        return self._values[0].stop

    def extend(self, rows: Sequence[Floats]) -> None:
        """Take samples that have closed, [samples, links] of each feature; NaN is missing."""
        first = self.closed
        known = ~np.isnan(rows[0])
        unknown = self.known_from >= _NEVER
        if unknown.any():
            appears = unknown & known.any(axis=0)
            self.known_from[appears] = first + known.argmax(axis=0)[appears]
        changes = []
        for feature, (tail, values) in enumerate(zip(self._values, rows, strict=True)):
            last = self._last[feature]
            filled = _filled_after(last, values)
            steps = np.diff(filled, axis=0, prepend=last[None])
            changes.append(_limited(steps, self.scale[feature], self.how))
            tail.append(filled)
            self._last[feature] = filled[-1].copy()
        if self._reference is None:
            return
        self._changes.append(changes[0])
        usual = self._reference.extend(changes, known, self._changes)
        for tail, season in zip(self._usual_levels, usual, strict=False):
            carried = tail.rows(tail.stop - 1, tail.stop)
            # A running sum, in the same order for steps of any size.
            tail.append(np.cumsum(np.concatenate([carried, self.scale[0] * season]), axis=0)[1:])

    def revise(self, feature: int, first: int, link: int, values: Floats) -> None:
        """Replace samples of a link from `first` on that have become known, if they are still kept.

        What was learnt from them so far stays as it is.
        """
        tail, stop = self._values[feature], first + len(values)
        start = max(first, tail.stop - self._keep, 0)
        if start >= min(stop, tail.stop):
            return
        tail.replace(start, link, values[start - first :])
        if stop >= tail.stop:
            self._last[feature][link] = values[-1]
        if self._reference is None:
            return
        # The change to the sample after the last one differs as well.
        start, end = max(start, 1, tail.stop - self._keep + 1), min(stop + 1, tail.stop)
        series = tail.rows(start - 1, end)[:, link]
        changes = _limited(np.diff(series), self.scale[feature, link], self.how)
        if feature == 0:
            self._changes.replace(start, link, changes)
            self._reference.revise(0, start, link, changes[: stop - start], known=True)
        self._reference.revise(feature, start, link, changes, known=False)

    def change(self, start: int, stop: int) -> Floats:
        """Return the forecast of the change to samples start <= i < stop, [samples, links]."""
        if self._reference is None:
            return np.zeros((stop - start, self.scale.shape[1]))
        change: Floats = self.scale[0] * self._reference.changes(start, stop)
        return change

    def values(self, start: int, stop: int) -> Floats:
        """Return the first feature at samples start <= i < stop, forward-filled."""
        rows: Floats = self._values[0].rows(start, stop)
        return rows

    def batch(self, start: int, stop: int, step: int = 1) -> WindowBatch:
        """Return the windows that end before each `step`th sample of [start, stop).

        `start` is at least `window` and as far back as is remembered, `stop` at most one more than
        the samples that have closed.
        """
        samples, links = len(range(start, stop, step)), self.scale.shape[1]
        features, channels = len(self._values), self.how.channels
        shape = (samples, links, self.window, features + len(channels))
        inputs = np.empty(shape, dtype=np.float32)
        reference, scale = np.zeros((samples, links)), np.ones((samples, links))
        before = start - self.window, stop - 1
        for feature in reversed(range(features)):
            values = self._values[feature].rows(*before)
            if self.how.reference != "none":
                scale = self._batch_scale(values, feature)[::step]
                reference = values[self.window - 1 :: step]
                if feature == 0:
                    reference = reference + self.change(start, stop)[::step]
            self._fill(inputs[..., feature], values, step, reference, scale)
        for place, name in enumerate(channels, start=features):
            values, origin = self._channel(name, start, stop)
            unit = scale if name != "level" else 1.0
            self._fill(inputs[..., place], values, step, origin[::step], unit)
        return WindowBatch(inputs, reference, scale)

    def _channel(self, name: str, start: int, stop: int) -> tuple[Floats, Floats]:
        """Return what the windows of a channel hold, and what each of them is relative to.

        Both [samples, links], the first from `window` samples before `start` on. A season's windows
        reach AHEAD samples beyond what was seen: the level that is usual then, relative to that of
        the last sample seen. `level` is the traffic over its mean.
        """
        before = start - self.window, stop - 1
        if name == "level":
            values, mean = self._values[0].rows(*before), self._level_mean
            level = np.divide(values, mean, out=np.zeros(values.shape), where=mean > 0)
            return level, np.ones((stop - start, values.shape[1]))
        usual = self._usual_levels[("season", "second_season").index(name)]
        return usual.rows(*before), usual.rows(start - 1 - AHEAD, stop - 1 - AHEAD)

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

    def _batch_scale(self, values: Floats, feature: int) -> Floats:
        """Return the scale of each window, [samples, links]; 0 where nothing ever changed."""
        changes = np.abs(np.diff(values, axis=0))
        count = self.window - 1
        total = np.zeros_like(changes[count - 1 :])
        for lag in range(count):
            total += changes[lag : len(changes) - (count - 1) + lag]
        scale = (1 - self.how.local) * self.scale[feature] + self.how.local * (total / count)
        # Below this, differences of the values are rounding errors.
        return np.asarray(np.maximum(scale, 1e-9 * np.abs(values[self.window - 1 :])))


class TraceWindows:
    """Windows of a trace that is there as a whole, taken stretch by stretch."""

    def __init__(
        self,
        kpis: Mapping[str, Floats],
        features: Sequence[str],
        window: int,
        how: Normalisation,
        history: int,
        since: int | None = None,
    ) -> None:
        """Fit on the first `history` samples of `kpis`, each [samples, links].

        Windows are wanted from sample `since` (default: `history`) on.
        """
        self._values = [np.asarray(kpis[name], dtype=np.float64) for name in features]
        past = [values[:history] for values in self._values]
        self.windows = Windows(past, window, how, history if since is None else since)

    def upto(self, stop: int) -> Windows:
        """Return the windows with all samples before `stop` closed."""
        for first in range(self.windows.closed, stop, _APPENDED):
            last = min(first + _APPENDED, stop)
            self.windows.extend([values[first:last] for values in self._values])
        return self.windows


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


def _filled_after(last: Floats, values: Floats) -> Floats:
    """Return `values` [samples, links] with each NaN replaced by the value before it.

    `last` are those before the first sample, [links].
    """
    if not np.isnan(values).any():
        return values
    return forward_filled(np.concatenate([last[None], values]))[1:]


def _limited(changes: Floats, scale: Floats, how: Normalisation) -> Floats:
    """Return changes over scale (broadcast), limited; 0 where the scale is 0."""
    scaled = np.divide(changes, scale, out=np.zeros_like(changes), where=scale > 0)
    return np.clip(scaled, -how.outlier, how.outlier)


def season_of(demand: Floats) -> Ints:
    """Return the samples in each link's shortest season, 0 for none, [links].

    `demand` is [samples, links]; NaN is a gap.
    """
    changes = np.diff(forward_filled(demand), axis=0)
    scale = np.abs(changes).mean(axis=0)
    scaled = np.divide(changes, scale, out=np.zeros_like(changes), where=scale > 0)
    # Jumps say nothing about what repeats.
    season: Ints = periods(np.clip(scaled, -6, 6))[0]
    return season
