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

from twin.core.arrays import Floats, Floats32, Ints, of_columns
from twin.core.tail import Tail
from twin.forecast.card import Normalisation
from twin.forecast.reference import Origin, Reference
from twin.forecast.season import periods
from twin.forecast.signals import Signals

AHEAD: Final = 9
"""The windows of a season reach this far ahead of what was seen."""
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
    scale: Floats
    """[samples, links]: the change of a forecast one step ahead for a change of the output by 1.

    0 where nothing ever changed.
    """


class Windows:
    """Makes windows of KPIs as samples close, with a scale and a linear forecast per link.

    What has closed is taken with :meth:`extend`, in steps of any size, and what a gap hid at first
    with :meth:`revise`; :meth:`batch` then gives the windows before samples up to the next one.
    """

    def __init__(
        self,
        history: Sequence[Floats],
        window: int,
        how: Normalisation,
        since: int,
        steps: Sequence[int] = (1,),
    ) -> None:
        """Fit scales and seasons on the history, [samples, links] of each feature; NaN is a gap.

        No sample has closed yet; the history is to come with :meth:`extend` like all else. Windows
        are wanted before sample `since` and later ones. Forecasts are fitted for `steps` ahead.
        """
        filled = [forward_filled(values) for values in history]
        samples, links = filled[0].shape
        known = ~np.isnan(history[0])
        self.how, self.window = how, window
        self.scale = np.stack([_mean_change(values) for values in filled])
        """[features, links]: mean absolute difference of the history."""
        self.known_from = np.where(known.any(axis=0), known.argmax(axis=0), _NEVER)
        """[links]: the first sample at which the first feature is known."""
        self._keep = window + _REVISED
        self._values = [Tail(links, self._keep) for _ in filled]
        # What stands in for samples before the first known one.
        self._last = [values[0] for values in filled]
        self._level_mean = np.ascontiguousarray(filled[0].T).mean(axis=-1)
        self._signals: Signals | None = None
        self._made: tuple[tuple[int, int, int], Floats] | None = None
        if how.reference == "seasonal":
            changes = _limited(np.diff(filled[0], axis=0), self.scale[0], how)
            period = periods(filled[0], changes)
            origin = Origin.of(samples, since)
            self._signals = Signals(len(filled), period, max(steps), origin.every)
            self._reference = Reference(self._signals, self.scale[0], origin, steps)
            self.forget(since)

    def for_links(self, links: Ints) -> Windows:
        """Return those that go on from here for some links, which may come several times."""
        some = of_columns(self, links)
        some._values = [each.for_columns(links) for each in self._values]
        some._last = [each[links] for each in self._last]
        some._made = None
        if self._signals is not None:
            some._signals = self._signals.for_links(links)
            some._reference = self._reference.for_links(some._signals, links)
        return some

    @property
    def closed(self) -> int:
        """Number of samples that have closed."""
        return self._values[0].stop

    def extend(self, rows: Sequence[Floats]) -> None:
        """Take samples that have closed, [samples, links] of each feature; NaN is missing."""
        self._made = None
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
        if self._signals is not None:
            self._signals.extend(self._values[0].rows(first, self.closed), changes, known)
            self._reference.catch_up()

    def forget(self, sample: int) -> None:
        """Forget what only windows before `sample` need: nobody asks for forecasts there."""
        if self._signals is not None:
            self._reference.forget(sample)

    def revise(self, feature: int, first: int, link: int, values: Floats) -> None:
        """Replace samples of a link from `first` on that have become known, if they are still kept.

        What was learnt from them so far stays as it is.
        """
        self._made = None
        tail, stop = self._values[feature], first + len(values)
        start = max(first, tail.stop - self._keep, 0)
        if start >= min(stop, tail.stop):
            return
        tail.replace(start, link, values[start - first :])
        if stop >= tail.stop:
            self._last[feature][link] = values[-1]
        if self._signals is None:
            return
        # The change to the sample after the last one differs as well.
        start, end = max(start, 1, tail.stop - self._keep + 1), min(stop + 1, tail.stop)
        series = tail.rows(start - 1, end)[:, link]
        changes = _limited(np.diff(series), self.scale[feature, link], self.how)
        self._signals.revise(feature, start, link, changes, series[1 : stop - start + 1])

    def change(self, start: int, stop: int, steps: int = 1) -> Floats:
        """Return the forecast of the change from i - 1 to i - 1 + steps, start <= i < stop.

        [samples, links]
        """
        if self._signals is None:
            return np.zeros((stop - start, self.scale.shape[1]))
        # Each model that reads these windows asks the same, and again for its forecast.
        asked = start, stop, steps
        if self._made is None or self._made[0] != asked:
            self._made = asked, self.scale[0] * self._reference.changes(start, stop, steps)
        return self._made[1]

    def values(self, start: int, stop: int) -> Floats:
        """Return the first feature at samples start <= i < stop, forward-filled."""
        rows: Floats = self._values[0].rows(start, stop)
        return rows

    def reference(self, start: int, stop: int, steps: int = 1) -> Floats:
        """Return the forecasts for an output of 0 of samples start <= i < stop, [samples, links].

        From what is known before i, of sample i - 1 + steps.
        """
        if self.how.reference == "none":
            return np.zeros((stop - start, self.scale.shape[1]))
        return self.values(start - 1, stop - 1) + self.change(start, stop, steps)

    def growth(self, start: int, stop: int, steps: int) -> Floats:
        """Return how much more forecasts err so many steps ahead than one, [samples, links]."""
        if self._signals is None or steps == 1:
            return np.ones((stop - start, self.scale.shape[1]))
        near, far = (self._reference.error(start, stop, each) for each in (1, steps))
        both = (near > 0) & (far > 0)
        return np.divide(far, near, out=np.ones_like(near), where=both)

    def batch(
        self,
        start: int,
        stop: int,
        step: int = 1,
        window: int | None = None,
        how: Normalisation | None = None,
        links: Ints | None = None,
    ) -> WindowBatch:
        """Return the windows of `links` (None: all) before each `step`th sample of [start, stop).

        `start` is at least `window` and not forgotten, `stop` at most one more than
        the samples that have closed. Windows of fewer samples, or normalised otherwise, than these
        were made for may be asked for.
        """
        window, how = window or self.window, how or self.how
        some = slice(None) if links is None else links
        usual = self.scale[:, some]
        shape = len(range(start, stop, step)), usual.shape[1]
        features, channels = len(self._values), how.channels
        inputs = np.empty((*shape, window, features + len(channels)), dtype=np.float32)
        scale, origin = np.ones(shape), np.zeros(shape)
        for feature in reversed(range(features)):
            values = self._values[feature].rows(start - window, stop - 1)[:, some]
            if how.reference != "none":
                scale = _batch_scale(values, usual[feature], how, window)[::step]
                origin = values[window - 1 :: step]
                if feature == 0:
                    origin = origin + self.change(start, stop)[::step, some]
            _fill(inputs[..., feature], values, step, origin, scale, how)
        for place, name in enumerate(channels, start=features):
            part = inputs[..., place]
            if name == "level":
                values = self._values[0].rows(start - window, stop - 1)[:, some]
                _fill_level(part, values, self._level_mean[some], step, how)
            else:
                self._fill_season(part, name, start, stop, step, some, scale, how)
        return WindowBatch(inputs, scale)

    def _fill_season(
        self,
        inputs: NDArray[np.float32],
        name: str,
        start: int,
        stop: int,
        step: int,
        links: slice | Ints,
        unit: Floats,
        how: Normalisation,
    ) -> None:
        """Write the windows of a season of some links into `inputs`, [samples, links, window].

        They reach AHEAD samples beyond what was seen: the usual level, less that at the last
        sample seen, over the window's scale.
        """
        assert self._signals is not None
        season = ("season", "second_season").index(name)
        offsets = range(AHEAD + 1 - inputs.shape[-1], AHEAD + 1)
        course = self._signals.course(season, start - 1, stop - 1, offsets, links)[:, ::step]
        course *= np.divide(1.0, unit, out=np.zeros(unit.shape), where=unit > 0)
        inputs[...] = np.clip(course, -how.clip, how.clip).transpose(1, 2, 0)


def _batch_scale(values: Floats, usual: Floats, how: Normalisation, window: int) -> Floats:
    """Return the scale of each window, [samples, links]; 0 where nothing ever changed.

    `usual` is that of the history, [links].
    """
    changes = np.abs(np.diff(values, axis=0))
    count = window - 1
    total = np.zeros_like(changes[count - 1 :])
    for lag in range(count):
        total += changes[lag : len(changes) - (count - 1) + lag]
    scale = (1 - how.local) * usual + how.local * (total / count)
    # Below this, differences of the values are rounding errors.
    return np.asarray(np.maximum(scale, 1e-9 * np.abs(values[window - 1 :])))


def _fill_level(
    inputs: NDArray[np.float32], values: Floats, mean: Floats, step: int, how: Normalisation
) -> None:
    """Write windows of the traffic [samples, links] over its mean, less 1, into `inputs`."""
    level = np.divide(values, mean, out=np.zeros(values.shape), where=mean > 0)
    ones = np.ones(inputs.shape[:2])
    _fill(inputs, level, step, ones, ones, how)


def _fill(
    inputs: NDArray[np.float32],
    values: Floats,
    step: int,
    origin: Floats,
    scale: Floats,
    how: Normalisation,
) -> None:
    """Write windows of (values - origin) / scale into `inputs` [samples, links, window].

    `values` [samples, links] are those of all windows, each `step` samples after the last.
    """
    unit = np.divide(1.0, scale, out=np.zeros(scale.shape), where=scale > 0)
    clip = np.inf if how.reference == "none" else how.clip
    scaled = sliding_window_view(values, inputs.shape[-1], axis=0)[::step] - origin[..., None]
    scaled *= unit[..., None]
    inputs[...] = np.clip(scaled, -clip, clip, out=scaled)


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
        steps: Sequence[int] = (1,),
    ) -> None:
        """Fit on the first `history` samples of `kpis`, each [samples, links].

        Windows are wanted from sample `since` (default: `history`) on. Forecasts are fitted for
        `steps` ahead.
        """
        self._values = [np.asarray(kpis[name], dtype=np.float64) for name in features]
        past = [values[:history] for values in self._values]
        self.windows = Windows(past, window, how, history if since is None else since, steps)

    def upto(self, stop: int) -> Windows:
        """Return the windows with all samples before `stop` closed.

        Windows can be asked for that end in the last samples taken, :data:`_APPENDED` at most.
        """
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


def last_known(values: Floats) -> Floats:
    """Return the last known value at each sample, [samples, links]; NaN before the first one."""
    before = np.logical_and.accumulate(np.isnan(values), axis=0)
    return np.where(before, np.nan, forward_filled(values))


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
    filled = forward_filled(demand)
    changes = np.diff(filled, axis=0)
    scale = np.abs(changes).mean(axis=0)
    scaled = np.divide(changes, scale, out=np.zeros_like(changes), where=scale > 0)
    # Jumps say nothing about what repeats.
    season: Ints = periods(filled, np.clip(scaled, -6, 6))[0]
    return season
