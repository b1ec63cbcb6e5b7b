"""The forecaster that picks: for each link, what did best on the end of the history.

It picks among the last value, the linear reference and networks. Another than the linear reference
is picked where it erred less by more than may be chance; what is picked stays for the whole run.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Final

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.demand.gaps import known
from twin.forecast.feeding import Feeding
from twin.forecast.forecaster import Forecaster, Forecasts, evaluate
from twin.forecast.horizon import anchors
from twin.forecast.names import PERSISTENCE
from twin.forecast.windows import TraceWindows, Windows, forward_filled

_TRIED_AT: Final = (1, 4, 13, 49, 289)
"""Steps for which is picked; a horizon between two of them takes the pick of the next one."""
_TRIED: Final = 288
"""Samples of the history at which all are tried."""
_AT_ONCE: Final = 32
_LOOKED_BACK: Final = 2_304
"""The trial begins at most this many samples before the end of the history."""
_LEARNT: Final = 4
"""It passes over the first of this many parts of a history: there the reference still learns."""
_WORTH: Final = 0.02
"""Another is picked than the linear reference where it errs less by this share, times the root of
the steps ahead: less may be chance, and errors that overlap are fewer than they seem."""


class AutoForecasts:
    """Forecasts of each link by what did best on the end of its history."""

    def __init__(self, forecasters: Mapping[str, Forecaster], feeding: Feeding) -> None:
        """Pick among the last value and `forecasters`, by name, the linear one first.

        They read the same features, so that all can share what is fed.
        """
        self._forecasters, self._feeding = forecasters, feeding
        self.names = (PERSISTENCE, *forecasters)
        card = next(iter(forecasters.values())).card
        self._windows = feeding.windows(card.features, card.normalisation)
        self._windows.require(card.window, 1)
        self.picks: dict[int, Ints] = {}
        """By the steps ahead that were tried: the place of each link's pick in `names`, [links]."""
        self._bound: dict[int, Forecasts] = {}

    @property
    def evaluated(self) -> dict[str, int]:
        """Windows that each model has run, each counted once; those that none picked are absent."""
        return {self.names[place]: bound.evaluated for place, bound in self._bound.items()}

    def at(self, sample: int, ahead: int = 0) -> Floats:
        """Return the forecast of sample + ahead, as :meth:`Forecasts.at` does, [links]."""
        row: Floats = self._path(sample, ahead, 1)[0]
        return row

    def path(self, sample: int, first: int, count: int) -> Floats:
        """Return the forecasts of sample + first and those after it, [count, links]."""
        parts = []
        # Horizons of one trial follow each other.
        for _, steps in groupby(range(first + 1, first + count + 1), key=_trial_of):
            ahead = [each - 1 for each in steps]
            parts.append(self._path(sample, ahead[0], len(ahead)))
        return np.concatenate(parts)

    def _path(self, sample: int, first: int, count: int) -> Floats:
        """Return the forecasts for horizons of one trial, [count, links]."""
        picks = self._picked(first + 1)
        rows = np.empty((count, len(picks)))
        for place in np.unique(picks).tolist():
            bound = self._bound.get(place)
            path = self._last(sample) if bound is None else bound.path(sample, first, count)
            rows = np.where(picks == place, path, rows)
        return rows

    def _last(self, sample: int) -> Floats:
        windows = self._windows
        windows.seek(sample)
        last: Floats = windows.windows.values(sample - 1, sample)[0]
        return np.where(sample <= windows.windows.known_from, np.nan, last)

    def _picked(self, steps: int) -> Ints:
        """Return the place of each link's pick for a horizon, [links]."""
        tried = _trial_of(steps)
        if tried not in self.picks:
            picks = self.picks[tried] = self._tried(tried)
            for place, forecaster in enumerate(self._forecasters.values(), start=1):
                links = np.asarray(picks == place)
                if place in self._bound:
                    self._bound[place].run_on(links)
                elif links.any():
                    self._bound[place] = forecaster.join(self._feeding, links, steps)
        return self.picks[tried]

    def _tried(self, steps: int) -> Ints:
        """Return the place of what forecast each link best so many steps ahead, [links].

        On samples spread evenly over the end of the history, all alike.
        """
        tried = list(self._forecasters.values())
        features = tried[0].card.features
        feed, history = self._feeding.feed, self._feeding.history
        past = [known(feed, name, history) for name in features]
        window = max(each.card.window for each in tried)
        first = max(window, history - _LOOKED_BACK, history // _LEARNT)
        stop = history - steps + 1
        errors = np.zeros((len(self.names), past[0].shape[1]))
        if first >= stop:
            return np.ones(errors.shape[1], dtype=np.int64)
        how = tried[0].card.normalisation
        kpis = dict(zip(features, past, strict=True))
        trace = TraceWindows(kpis, features, window, how, history, first, anchors(steps))
        demand = forward_filled(past[0])
        unknown = np.isnan(past[0])
        step = max(-(-(stop - first) // _TRIED), 1)
        # As many at once for any number of links, so that the sums are the same to the last bit.
        for start in range(first, stop, step * _AT_ONCE):
            last = min(start + step * _AT_ONCE, stop)
            # Up to the first window apart, so that what the block reads is kept.
            trace.upto(start - 1)
            windows = trace.upto(last)
            there = slice(start + steps - 1, last + steps - 1, step)
            counts = ~unknown[there]
            before = demand[start - 1 : last - 1 : step]
            reference = windows.reference(start, last, steps)[::step]
            growth = windows.growth(start, last, steps)[::step]
            added = [_added(each, windows, start, last, step, steps) for each in tried]
            forecasts = np.stack([before, *(reference + growth * each for each in added)])
            apart = np.abs(forecasts - demand[there]) * counts
            errors += apart.sum(axis=1)
        # Ties go to the linear reference, which falls back to the last value by itself.
        best = np.asarray(errors.argmin(axis=0))
        better = errors.min(axis=0) < (1 - _WORTH * np.sqrt(steps)) * errors[1]
        return np.where(better, best, 1)


def _trial_of(steps: int) -> int:
    """Return the steps of the trial that decides for a horizon."""
    return next((each for each in _TRIED_AT if each >= steps), _TRIED_AT[-1])


def _added(
    forecaster: Forecaster, windows: Windows, start: int, stop: int, step: int, steps: int
) -> Floats:
    """Return what the graph adds to the reference, but for its growth, [samples, links]."""
    card = forecaster.card
    batch = windows.batch(start, stop, step, card.window, card.normalisation)
    inputs = batch.inputs.reshape(-1, *batch.inputs.shape[2:])
    answers = evaluate(forecaster.session, inputs).reshape(*batch.scale.shape, *card.answers)
    added: Floats = batch.scale * forecaster.answer(answers, steps)[..., 0]
    return added
