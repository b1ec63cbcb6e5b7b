"""Windows that are fed from a feed, as its samples close or a stretch at a time."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Final

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.demand.gaps import Feed, known
from twin.forecast.card import Normalisation
from twin.forecast.horizon import anchors
from twin.forecast.windows import Windows

Spans = Sequence[tuple[int, int]]
"""Samples first <= i < stop, each."""

_WINDOWS_AT_ONCE: Final = 4_096
"""Windows in a stretch, which bounds the memory."""
_OF_COLUMNS: Final = 32_768
"""The same where links come several times: each call then has more to do."""
_APPENDED: Final = 288
"""Samples taken at a time, which bounds the memory, and the longest stretch."""
_HISTORY_VALUES: Final = 400_000
"""Values of a KPI taken at a time from the history, where nothing is forecast."""


class FedWindows:
    """The windows of a feed, shared by all models that read the same features.

    Where the feed holds samples that have not closed yet, those of a whole *stretch* are taken
    together, up to the next revision of what a gap hid: what a forecast is made from does not
    depend on decisions, and each still sees nothing but its own past.
    """

    def __init__(
        self,
        feed: Feed,
        features: Sequence[str],
        how: Normalisation,
        history: int,
        start: int,
        stop: int | None,
        silent: Spans = (),
    ) -> None:
        """Begin before sample `start`; scales and seasons are fitted on the `history` samples.

        Nothing is made for samples from `stop` on, and no model runs for `silent` ones.
        """
        self._feed, self._features, self._how = feed, tuple(features), how
        self._fitted, self._start, self._stop, self._silent = history, start, stop, silent
        self._at_once, self._window = _WINDOWS_AT_ONCE, 0
        self._anchors: tuple[int, ...] = (1,)
        self._made: Windows | None = None
        self._reached: set[tuple[int, int]] = set()
        self.links = known(feed, self._features[0], history).shape[1]
        self.first = self.last = start
        """The stretch: samples first <= i < last."""
        self.number = 0
        """Number of the stretch, counted from 1."""

    def for_links(self, feed: Feed, links: Ints) -> FedWindows:
        """Return those of some links that go on from here, as `feed` has them."""
        some = copy.copy(self)
        some._feed, some.links, some._reached = feed, len(links), {*self._reached}
        some._at_once = _OF_COLUMNS
        some._made = self._made and self._made.for_links(links)
        # Of what was made so far, the latest sample is enough.
        some.first = max(self.first, self.last - 1)
        return some

    def require(self, window: int, first: int, last: int) -> None:
        """Make possible windows of at least so many samples, and forecasts of some steps.

        These are `first` to `last` ahead. Begins again, from the first sample on, where what was
        made so far does not allow that.
        """
        if window <= self._window and (first, last) in self._reached:
            return
        self._reached.add((first, last))
        needed = anchors(range(first, last + 1)) if self._how.reference == "seasonal" else (1,)
        needed = tuple(sorted({*self._anchors, *needed}))
        if window > self._window or needed != self._anchors:
            self._window, self._anchors = max(window, self._window), needed
            self._made = None

    @property
    def windows(self) -> Windows:
        """The windows, with all samples before the end of the stretch closed."""
        self.fit()
        assert self._made is not None
        return self._made

    def fit(self) -> None:
        """Go through the history, where that has not been done for what is required."""
        if self._made is not None:
            return
        past = [known(self._feed, name, self._fitted) for name in self._features]
        # The same forecasts, whichever is the first that is asked for.
        since = min(self._fitted, self._start)
        self._made = Windows(past, self._window, self._how, since, self._anchors)
        self._extend(past, min(self._fitted, self._start - 1))
        self.first = self.last

    def seek(self, sample: int) -> int:
        """Let the stretch hold `sample`; return its place in the stretch.

        Raises IndexError for a sample before the stretch, or that the feed does not reach.
        """
        windows = self.windows
        if self.first <= sample < self.last:
            return sample - self.first
        end = self._feed.ready + 1 if self._stop is None else self._stop
        first = max(windows.closed, self._start)
        if not first <= sample < end:
            raise IndexError(f"sample {sample} is not in [{first}, {end})")
        self._reach_sample(sample)
        windows.forget(sample)
        most = min(max(1, self._at_once // max(1, self.links)), _APPENDED)
        last = min(sample + most, end, self._feed.ready + 1)
        revised = self._feed.next_revision(sample)
        if revised is not None:
            last = min(last, revised)
        self._append(sample, last - 1)
        self.first, self.last = sample, last
        self.number += 1
        return 0

    def running(self) -> Bools:
        """Return for which samples of the stretch models run, [samples]."""
        running = np.ones(self.last - self.first, dtype=np.bool_)
        for first, stop in self._silent:
            running[max(first - self.first, 0) : max(stop - self.first, 0)] = False
        return running

    def _reach_sample(self, sample: int) -> None:
        """Take all that is known once `sample` samples have closed."""
        closed = self.windows.closed
        for revision in self._feed.revisions(max(closed, self._fitted), sample):
            self._append(self.windows.closed, revision.closed)
            if revision.kpi in self._features:
                place = self._features.index(revision.kpi)
                self.windows.revise(place, revision.first, revision.series, revision.values)
        self._append(self.windows.closed, sample)

    def _append(self, start: int, stop: int) -> None:
        for first in range(start, stop, _APPENDED):
            last = min(first + _APPENDED, stop)
            self.windows.extend([self._feed.rows(name, first, last) for name in self._features])

    def _extend(self, past: Sequence[Floats], stop: int) -> None:
        """Take the history up to `stop`, as it was known at its end."""
        step = max(_HISTORY_VALUES // max(past[0].shape[1], 1), _APPENDED)
        for first in range(0, stop, step):
            last = min(first + step, stop)
            self.windows.extend([values[first:last] for values in past])


class Feeding:
    """The fed windows of one feed, by what they are made of."""

    def __init__(
        self, feed: Feed, history: int, start: int, stop: int | None, silent: Spans = ()
    ) -> None:
        """Take which samples of `feed` are fitted on, and from where to where to forecast.

        Nobody asks for forecasts made before `silent` samples, and no model runs there.
        """
        self.feed, self.history, self.start, self.stop = feed, history, start, stop
        self._silent = silent
        self._made: dict[tuple[tuple[str, ...], str, float], FedWindows] = {}

    def for_links(self, feed: Feed, links: Ints) -> Feeding:
        """Return one that goes on from here for some links, as `feed` has them."""
        some = copy.copy(self)
        some.feed = feed
        some._made = {key: each.for_links(feed, links) for key, each in self._made.items()}
        return some

    def windows(self, features: Sequence[str], how: Normalisation) -> FedWindows:
        """Return the windows of `features`, the same for all models that read these."""
        key = tuple(features), how.reference, how.outlier
        if key not in self._made:
            self._made[key] = FedWindows(
                self.feed, features, how, self.history, self.start, self.stop, self._silent
            )
        return self._made[key]
