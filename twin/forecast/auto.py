"""The forecaster that picks: for each link, what did best on the end of the history.

It picks among the last value, the linear reference and networks. Another than the linear reference
is picked where it erred less by more than may be chance; what is picked stays for the whole run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.demand.gaps import known
from twin.forecast.feeding import Feeding
from twin.forecast.forecaster import Forecaster, Forecasts, evaluate
from twin.forecast.horizon import anchors
from twin.forecast.names import PERSISTENCE
from twin.forecast.windows import Windows, forward_filled

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
        self._links = self._windows.links
        self.picks: dict[int, Ints] = {}
        """By the steps ahead that were tried: the place of each link's pick in `names`, [links]."""
        self._bound: dict[int, dict[int, Forecasts]] = {}

    @property
    def evaluated(self) -> dict[str, int]:
        """Windows that each network has run."""
        total = dict.fromkeys(self._forecasters, 0)
        for bound in self._bound.values():
            for place, forecasts in bound.items():
                total[self.names[place]] += forecasts.evaluated
        return total

    def at(self, sample: int, ahead: int = 0) -> Floats:
        """Return the forecast of sample + ahead, as :meth:`Forecasts.at` does, [links]."""
        picks, bound = self._picked(ahead + 1)
        answer = bound[1].at(sample, ahead)
        for place, forecasts in bound.items():
            if place > 1:
                answer = np.where(picks == place, forecasts.at(sample, ahead), answer)
        if (picks == 0).any():
            answer = np.where(picks == 0, self._last(sample), answer)
        return np.asarray(answer)

    def path(self, sample: int, first: int, count: int) -> Floats:
        """Return the forecasts of sample + first and those after it, [count, links]."""
        if count == 1:
            return self.at(sample, first)[None]
        rows = np.empty((count, self._links))
        steps = np.arange(first + 1, first + count + 1)
        tried = np.array([_trial_of(each) for each in steps.tolist()])
        for trial in np.unique(tried).tolist():
            some = steps[tried == trial]
            picks, bound = self._picked(int(some[0]))
            part = bound[1].path(sample, int(some[0]) - 1, len(some))
            for place, forecasts in bound.items():
                if place > 1:
                    other = forecasts.path(sample, int(some[0]) - 1, len(some))
                    part = np.where(picks == place, other, part)
            rows[tried == trial] = part
            if (picks == 0).any():
                rows[tried == trial] = np.where(picks == 0, self._last(sample), part)
        return rows

    def _last(self, sample: int) -> Floats:
        windows = self._windows
        windows.seek(sample)
        last: Floats = windows.windows.values(sample - 1, sample)[0]
        return np.where(sample <= windows.windows.known_from, np.nan, last)

    def _picked(self, steps: int) -> tuple[Ints, dict[int, Forecasts]]:
        """Return the pick of each link for a horizon, and the forecasts of those picked."""
        tried = _trial_of(steps)
        if tried not in self._bound:
            picks = self.picks[tried] = self._tried(tried)
            # The linear one is there in any case: it fits what all share.
            self._bound[tried] = {
                place: forecaster.join(self._feeding, self._marked(picks, place), steps)
                for place, forecaster in enumerate(self._forecasters.values(), start=1)
                if place == 1 or (picks == place).any()
            }
        return self.picks[tried], self._bound[tried]

    def _marked(self, picks: Ints, place: int) -> Bools:
        return np.asarray(picks == place)

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
        fitted = anchors(steps)
        windows = Windows(past, window, tried[0].card.normalisation, first, fitted)
        demand = forward_filled(past[0])
        unknown = np.isnan(past[0])
        step = max(-(-(stop - first) // _TRIED), 1)
        # As many at once for any number of links, so that the sums are the same to the last bit.
        for start in range(first, stop, step * _AT_ONCE):
            last = min(start + step * _AT_ONCE, stop)
            # Up to the first window apart, so that what the block reads is kept.
            for end in (*range(windows.closed + 288, start - 1, 288), start - 1, last):
                if end > windows.closed:
                    windows.extend([values[windows.closed : end] for values in past])
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
