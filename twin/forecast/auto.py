"""The forecaster that picks: for each link, what did best on the end of the history.

It picks among the last value, the linear reference and networks. Another than the linear reference
is picked where it erred less by more than may be chance; what is picked stays for the whole run.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.demand.gaps import known
from twin.forecast.feeding import Feeding
from twin.forecast.forecaster import Forecaster, Forecasts, evaluate
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

    def __init__(
        self,
        forecasters: Mapping[str, Forecaster],
        feeding: Feeding,
        tried: dict[int, Ints] | None = None,
    ) -> None:
        """Pick among the last value and `forecasters`, by name, the linear one first.

        They read the same features, so that all can share what is fed. `tried` holds what was
        picked on the same history, as `picks` does; what is tried here is added.
        """
        self._known = {} if tried is None else tried
        self._forecasters, self._feeding = forecasters, feeding
        self.names = (PERSISTENCE, *forecasters)
        card = next(iter(forecasters.values())).card
        self._windows = feeding.windows(card.features, card.normalisation)
        self._windows.require(card.window, 1, 1)
        self.picks: dict[int, Ints] = {}
        """By the steps ahead that were tried: the place of each link's pick in `names`, [links]."""
        self._bound: dict[int, Forecasts] = {}

    def for_links(self, feeding: Feeding, links: Ints) -> AutoForecasts:
        """Return those of some links that go on from here, as `feeding` has them."""
        some = copy.copy(self)
        card = next(iter(self._forecasters.values())).card
        some._feeding = feeding
        some._windows = feeding.windows(card.features, card.normalisation)
        some.picks, some._known = (
            {trial: picks[links] for trial, picks in each.items()}
            for each in (self.picks, self._known)
        )
        some._bound = {place: each.for_links(feeding, links) for place, each in self._bound.items()}
        return some

    @property
    def evaluated(self) -> dict[str, int]:
        """Windows that each model has run, each counted once; those that none picked are absent."""
        return {self.names[place]: bound.evaluated for place, bound in self._bound.items()}

    def at(self, sample: int, ahead: int = 0) -> Floats:
        """Return the forecast of sample + ahead, as :meth:`Forecasts.at` does, [links]."""
        row: Floats = self.path(sample, ahead, 1)[0]
        return row

    def path(self, sample: int, first: int, count: int) -> Floats:
        """Return the forecasts of sample + first and those after it, [count, links]."""
        # Horizons of one trial follow each other.
        trials = [
            (trial, list(steps))
            for trial, steps in groupby(range(first + 1, first + count + 1), key=_trial_of)
        ]
        self._windows.require(1, first + 1, first + count)
        self._pick([trial for trial, _ in trials])
        return np.concatenate(
            [self._path(sample, self.picks[trial], steps) for trial, steps in trials]
        )

    def _path(self, sample: int, picks: Ints, steps: Sequence[int]) -> Floats:
        """Return the forecasts for horizons of one trial, [steps, links]."""
        first, count = steps[0] - 1, len(steps)
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

    def _pick(self, trials: Sequence[int]) -> None:
        """Pick for those of the trials that nothing was picked for yet."""
        new = [trial for trial in trials if trial not in self.picks]
        if not new:
            return
        if untried := [trial for trial in new if trial not in self._known]:
            self._known.update(zip(untried, self._tried(untried), strict=True))
        for trial in new:
            picks = self.picks[trial] = self._known[trial]
            for place, forecaster in enumerate(self._forecasters.values(), start=1):
                links = np.asarray(picks == place)
                if place in self._bound:
                    self._bound[place].run_on(links)
                elif links.any():
                    self._bound[place] = forecaster.join(self._feeding, links)

    def _tried(self, trials: Sequence[int]) -> list[Ints]:
        """Return the place of what forecast each link best, of each trial, [links].

        On samples spread evenly over the end of the history, all alike.
        """
        tried = list(self._forecasters.values())
        features = tried[0].card.features
        feed, history = self._feeding.feed, self._feeding.history
        past = [known(feed, name, history) for name in features]
        window = max(each.card.window for each in tried)
        first = max(window, history - _LOOKED_BACK, history // _LEARNT)
        if first >= history:
            return [np.ones(past[0].shape[1], dtype=np.int64) for _ in trials]
        how = tried[0].card.normalisation
        kpis = dict(zip(features, past, strict=True))
        errors = np.zeros((len(trials), len(self.names), past[0].shape[1]))
        trace = TraceWindows(kpis, features, window, how, history, first, sorted({1, *trials}))
        demand, unknown = forward_filled(past[0]), np.isnan(past[0])
        step = max(-(-(history - first) // _TRIED), 1)
        # As many at once for any number of links, so that the sums are the same to the last bit.
        for start in range(first, history, step * _AT_ONCE):
            last = min(start + step * _AT_ONCE, history)
            # Up to the first window apart, so that what the block reads is kept.
            trace.upto(start - 1).forget(start)
            windows = trace.upto(last)
            samples = np.arange(start, last, step)
            ran = [_ran(each, windows, start, last, step) for each in tried]
            for place, steps in enumerate(trials):
                there = samples + steps - 1
                inside = there < history
                there = np.minimum(there, history - 1)
                reference = windows.reference(start, last, steps)[::step]
                growth = windows.growth(start, last, steps)[::step]
                added = [
                    scale * each.answer(answers, steps)[..., each.point]
                    for each, (scale, answers) in zip(tried, ran, strict=True)
                ]
                forecasts = [demand[samples - 1], *(reference + growth * each for each in added)]
                apart = np.abs(np.stack(forecasts) - demand[there])
                errors[place] += (apart * (~unknown[there] & inside[:, None])).sum(axis=1)
        return [_best(each, steps) for each, steps in zip(errors, trials, strict=True)]


def _best(errors: Floats, steps: int) -> Ints:
    """Return the place of what erred least, from [forecasters, links].

    The linear reference, which falls back to the last value by itself, but where another is worth
    it.
    """
    best = np.asarray(errors.argmin(axis=0))
    better = errors.min(axis=0) < (1 - _WORTH * np.sqrt(steps)) * errors[1]
    return np.where(better, best, 1)


def _trial_of(steps: int) -> int:
    """Return the steps of the trial that decides for a horizon."""
    return next((each for each in _TRIED_AT if each >= steps), _TRIED_AT[-1])


def _ran(
    forecaster: Forecaster, windows: Windows, start: int, stop: int, step: int
) -> tuple[Floats, Floats]:
    """Return the scale of some windows, [samples, links], and what the graph answers to them."""
    card = forecaster.card
    batch = windows.batch(start, stop, step, card.window, card.normalisation)
    inputs = batch.inputs.reshape(-1, *batch.inputs.shape[2:])
    answers = evaluate(forecaster.session, inputs).reshape(*batch.scale.shape, *card.answers)
    return batch.scale, answers
