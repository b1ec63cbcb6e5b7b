"""How well forecasters forecast an interval further ahead: errors and quantiles by horizon.

Forecast and outcome both lie in the replayed part: with N samples of it there are N - k forecasts k
intervals ahead. A sample counts where it, its forecast and the last known value are there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from twin.account.summary import ALL
from twin.core import content
from twin.core.arrays import Floats, Ints
from twin.core.errors import InputError, Problem
from twin.core.units import DAY_S, counted
from twin.demand.gaps import ArrayFeed, known
from twin.demand.kpis import KPIS
from twin.forecast.auto import AutoForecasts
from twin.forecast.feeding import Feeding
from twin.forecast.forecaster import Forecaster, Forecasts
from twin.forecast.horizon import FARTHEST
from twin.forecast.names import AUTO, PERSISTENCE, auto_members
from twin.forecast.windows import last_known, season_of
from twin.policy.calibration import Calibration
from twin.policy.forecast_errors import WARM_UP
from twin.scenario.load import Scenario
from twin.studies.evaluation.forecasts import chosen, first_seen, loaded, season_filled, usable
from twin.studies.evaluation.scores import (
    Errors,
    quantile_sums,
    quantiles_scored,
    ratio_interval,
    scored,
)

if TYPE_CHECKING:
    import pandas as pd

SEASONAL: Final = "seasonal_naive"
LEVELS: Final = (0.9, 0.95, 0.99)
"""Levels whose coverage is measured."""
_AT_ONCE: Final = 96
"""Samples scored at a time, which bounds the memory."""

Sums = dict[str, Floats]


@dataclass(frozen=True)
class HorizonEvaluation:
    """The scores of forecasters at some horizons."""

    scenario: Scenario
    ahead: tuple[int, ...]
    scores: pd.DataFrame
    """A row for each model, horizon and link, and one with link `all`.

    Columns `model, ahead, link, mae` (Mbit/s), `over_persistence, over_persistence_low,
    over_persistence_high, season_s, over_seasonal`, and `n`, the samples that count. The MAE is
    over that of persistence and of the seasonal naive forecast at the same horizon, on the same
    samples; `low` and `high` bound the 95 % confidence interval (link `all` only). `coverage_90,
    coverage_95, coverage_99` are the shares of samples at or below the calibrated quantiles
    (:mod:`twin.policy.calibration`), and `pinball` their mean pinball loss (Mbit/s);
    `own_coverage_90` and so on the same for the quantiles that a model forecasts itself.
    """
    season: Ints
    """Samples in the season of each link's seasonal naive forecast, 0 for none, [links]."""
    notes: tuple[str, ...]
    """What was left out and why, a sentence each."""


def evaluate_horizons(
    scenario: Scenario,
    ahead: Sequence[int],
    models: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> HorizonEvaluation:
    """Forecast each replayed sample some intervals ahead, and score the forecasts by horizon.

    `ahead` counts intervals after the one that is decided now, which is 0. Evaluated are
    persistence, the seasonal naive forecast with the season that was found in the history, and
    `models`, by name or path, `auto` among them (None: all that the trace has enough for). As in
    :func:`twin.studies.evaluation.evaluate.evaluate`, nothing is fitted on what is to come, and
    events are not applied. `progress` is told the samples done and their number. Raises InputError
    for a horizon or a model that cannot be used.
    """
    require_ahead(scenario, ahead)
    asked, notes = _asked(scenario, models)
    span, naive = scenario.span, _Naive(scenario)
    names = (PERSISTENCE, *asked)
    tallies = {
        (name, k): _Tally(span.intervals - k)
        for name in (PERSISTENCE, SEASONAL, *asked)
        for k in ahead
    }
    calibrated = _Calibrated(scenario, naive, asked, ahead)
    samples = range(span.first, span.first + span.intervals)
    forecasters = _Forecasters(scenario, naive, asked, ahead, span.history, samples)
    for origins in _parts(samples):
        made = forecasters.block(origins)
        quantiles = calibrated.block(origins, made.forecasts)
        for h, k in enumerate(ahead):
            start, count = origins.start, min(origins.stop, samples.stop - k) - origins.start
            if count <= 0:
                continue
            truth = scenario.trace.demand_mbps[start + k : start + k + count]
            last, seasonal = naive.persistence(start, count), naive.seasonal(start, count, k)
            place = start - span.first
            tallies[SEASONAL, k].add(place, seasonal, truth, last, seasonal)
            for m, name in enumerate(names):
                tally = tallies[name, k]
                tally.add(place, made.forecasts[:count, m, h], truth, last, seasonal)
                _add(tally.calibrated, quantile_sums(quantiles[:count, m, h], LEVELS, truth))
                if (own := made.own.get((name, k))) is not None:
                    _add(tally.own, quantile_sums(own[:count], LEVELS, truth))
        if progress is not None:
            progress(origins.stop - span.first, span.intervals)
    table = _table(scenario, naive, tallies)
    return HorizonEvaluation(scenario, tuple(ahead), table, naive.season, notes)


def require_ahead(scenario: Scenario, ahead: Sequence[int]) -> None:
    """Raise InputError for horizons that cannot be evaluated on the scenario's replayed part."""
    where, intervals = ("--ahead",), scenario.span.intervals
    if not ahead:
        raise InputError(Problem("names no horizon", where, suggestion="write it like 0,1,12"))
    for k in ahead:
        if k < 0:
            what, remedy = f"{k} is negative", "0 is the interval that is decided now"
        elif k > FARTHEST - 1:
            what, remedy = f"{k} is farther than {FARTHEST - 1}", "a week is as far as it goes"
        elif k >= intervals:
            what = f"{k} is not within the replay, which has {counted(intervals, 'interval')}"
            remedy = "lower 'demand.train' or the horizon"
        elif list(ahead).count(k) > 1:
            what, remedy = f"{k} is named twice", ""
        else:
            continue
        raise InputError(Problem(what, where, suggestion=remedy))


def _asked(
    scenario: Scenario, models: Sequence[str] | None
) -> tuple[dict[str, dict[str, Forecaster]], tuple[str, ...]]:
    """Return the forecasters to evaluate, each with its members, and a note for each left out.

    A model has one member, itself; `auto` those that it picks from.
    """
    if models is None:
        trained, notes = usable(scenario)
    else:
        named = [name for name in models if name != AUTO]
        trained, notes = (chosen(scenario, named) if named or AUTO not in models else {}), []
    asked = {name: {name: model} for name, model in trained.items()}
    if models is None or AUTO in models:
        shipped = content.shipped("models")
        members = auto_members(tuple(scenario.trace.kpis))
        try:
            asked[AUTO] = {name: loaded(scenario, shipped[name]) for name in members}
        except InputError as error:
            if models is not None:
                raise
            notes.append(f"{AUTO} is left out: {error.problems[0].what}")
    return asked, tuple(notes)


class _Made(NamedTuple):
    """Forecasts made before some samples."""

    forecasts: Floats
    """[samples, forecasters, horizons, links], persistence first."""
    own: dict[tuple[str, int], Floats]
    """By model and horizon: the quantiles that the model gives, [samples, links, levels]."""


class _Forecasters:
    """Persistence and all that is asked for, going through the samples together."""

    def __init__(
        self,
        scenario: Scenario,
        naive: _Naive,
        asked: Mapping[str, Mapping[str, Forecaster]],
        ahead: Sequence[int],
        history: int,
        samples: range,
    ) -> None:
        """Forecast before `samples`, with what is fitted on the `history` samples."""
        self._naive, self._ahead = naive, ahead
        feed = ArrayFeed(scenario.trace.kpis, scenario.trace.gaps)
        feeding = Feeding(feed, history, samples.start, samples.stop)
        self._bound: list[Forecasts | AutoForecasts] = []
        self._own: dict[str, tuple[Forecasts, list[int]]] = {}
        for name, members in asked.items():
            if name == AUTO:
                self._bound.append(AutoForecasts(members, feeding))
                continue
            forecasts = members[name].join(feeding, steps=max(ahead) + 1)
            self._bound.append(forecasts)
            levels = [float(level) for level in members[name].card.quantiles]
            if {*LEVELS} <= {*levels}:
                self._own[name] = forecasts, [levels.index(level) for level in LEVELS]

    def block(self, samples: range) -> _Made:
        """Return the forecasts made before consecutive samples, after those returned last."""
        links, horizons = len(self._naive.season), len(self._ahead)
        forecasts = np.empty((len(samples), 1 + len(self._bound), horizons, links))
        forecasts[:, 0] = self._naive.persistence(samples.start, len(samples))[:, None]
        own: dict[tuple[str, int], Floats] = {
            (name, k): np.empty((len(samples), links, len(LEVELS)))
            for name in self._own
            for k in self._ahead
        }
        for i, sample in enumerate(samples):
            for m, each in enumerate(self._bound, start=1):
                for h, k in enumerate(self._ahead):
                    forecasts[i, m, h] = each.at(sample, k)
            for name, (model, places) in self._own.items():
                for k in self._ahead:
                    own[name, k][i] = model.quantiles_at(sample, k)[:, places]
        return _Made(forecasts, own)


class _Calibrated:
    """Calibrated quantiles of every forecaster, as a run's policies get them."""

    def __init__(
        self,
        scenario: Scenario,
        naive: _Naive,
        asked: Mapping[str, Mapping[str, Forecaster]],
        ahead: Sequence[int],
    ) -> None:
        """Settle on the end of the history."""
        span, self._naive = scenario.span, naive
        # A column is a link under one forecaster at one horizon.
        self._shape = 1 + len(asked), len(ahead), len(naive.season)
        season, horizons, _ = np.broadcast_arrays(
            naive.season, np.asarray(ahead)[:, None], np.empty(self._shape)
        )
        samples = range(span.history - min(WARM_UP, span.history // 2), span.history)
        self._calibration = Calibration(season.ravel(), horizons.ravel(), LEVELS, samples.start)
        past = _Forecasters(scenario, naive, asked, ahead, samples.start, samples)
        for part in _parts(samples):
            self.block(part, past.block(part).forecasts)
        self._calibration.skip(span.first - span.history)

    def block(self, samples: range, forecasts: Floats) -> Floats:
        """Return the quantiles around forecasts made before consecutive samples.

        [samples, forecasters, horizons, links, levels] for `forecasts` shaped alike.
        """
        quantiles = np.empty((*forecasts.shape, len(LEVELS)))
        for i, sample in enumerate(samples):
            row = self._calibration.quantiles(forecasts[i].ravel())
            quantiles[i] = row.reshape(quantiles.shape[1:])
            seen = np.broadcast_to(self._naive.seen[sample], self._shape)
            self._calibration.learn(seen.ravel())
        return quantiles


class _Naive:
    """Forecasts that need no training, from what was known when each sample was forecast."""

    def __init__(self, scenario: Scenario) -> None:
        self.seen = seen = first_seen(scenario.trace)
        """[samples, links]"""
        history = scenario.span.history
        feed = ArrayFeed(scenario.trace.kpis, scenario.trace.gaps)
        self.season: Ints = season_of(known(feed, KPIS[0], history))
        self._last = last_known(seen)
        self._filled = np.stack(
            [
                season_filled(seen[:, [link]], season or len(seen))[:, 0]
                for link, season in enumerate(self.season.tolist())
            ],
            axis=1,
        )

    def persistence(self, start: int, count: int) -> Floats:
        """Return the last known value before each of `count` samples from `start` on."""
        return np.asarray(self._last[start - 1 : start - 1 + count])

    def seasonal(self, start: int, count: int, ahead: int) -> Floats:
        """Return the value as few whole seasons before sample + ahead as make it known.

        [samples, links]; NaN for a link without a season.
        """
        values = np.full((count, len(self.season)), np.nan)
        for link, season in enumerate(self.season.tolist()):
            if season:
                back = -(-(ahead + 1) // season) * season
                first = start + ahead - back
                values[:, link] = self._filled[first : first + count, link]
        return values


class _Tally:
    """Sums over the samples of one forecaster at one horizon."""

    def __init__(self, origins: int) -> None:
        self.sums: Sums = {}
        self.against_seasonal: Sums = {}
        self.calibrated: Sums = {}
        self.own: Sums = {}
        self.per_tick = np.zeros((2, origins))
        """Absolute errors of all links together, the forecaster's own and persistence's."""

    def add(
        self, place: int, forecast: Floats, demand: Floats, last: Floats, seasonal: Floats
    ) -> None:
        """Take forecasts of samples from the one at `place` on, [samples, links] each."""
        errors = Errors.of(forecast, demand, last)
        _add(self.sums, errors.sums())
        _add(self.against_seasonal, Errors.of(forecast, demand, seasonal).sums())
        self.per_tick[:, place : place + len(demand)] = errors.per_tick()


def _parts(samples: range) -> Iterator[range]:
    for start in range(samples.start, samples.stop, _AT_ONCE):
        yield range(start, min(start + _AT_ONCE, samples.stop))


def _add(total: Sums, sums: Mapping[str, Floats]) -> None:
    for name, values in sums.items():
        total[name] = total[name] + values if name in total else values


def _table(
    scenario: Scenario, naive: _Naive, tallies: Mapping[tuple[str, int], _Tally]
) -> pd.DataFrame:
    import pandas as pd

    tick_s = scenario.trace.tick_s
    links = [*scenario.trace.links, ALL]
    seasons = naive.season * float(tick_s)
    common = seasons[0] if (seasons == seasons[0]).all() else np.nan
    parts = []
    for (name, ahead), tally in tallies.items():
        scores = scored(tally.sums)
        low, high = np.full((2, len(links)), np.nan)
        # Errors of one horizon overlap: a block holds at least one of its own length.
        block = max(DAY_S // tick_s, ahead + 1)
        low[-1], high[-1] = ratio_interval(
            tally.per_tick[0], tally.per_tick[1], block, scenario.spec.seed
        )
        table = {
            "model": name,
            "ahead": ahead,
            "link": links,
            "mae": scores["mae"],
            "over_persistence": scores["mase"],
            "over_persistence_low": low,
            "over_persistence_high": high,
            "season_s": np.append(np.where(seasons > 0, seasons, np.nan), common or np.nan),
            "over_seasonal": scored(tally.against_seasonal)["mase"],
            "n": scores["n"].astype(np.int64),
        }
        table |= _coverage(tally.calibrated, len(links), "")
        parts.append(pd.DataFrame(table | _coverage(tally.own, len(links), "own_")))
    return pd.concat(parts, ignore_index=True)


def _coverage(sums: Sums, links: int, prefix: str) -> dict[str, Floats]:
    """Return the columns of quantiles; NaN where the forecaster has none."""
    nothing = np.full((len(LEVELS), links), np.nan)
    scores = quantiles_scored(sums) if sums else {"coverage": nothing, "pinball": nothing}
    columns = {
        f"{prefix}coverage_{100 * level:.0f}": row
        for level, row in zip(LEVELS, scores["coverage"], strict=True)
    }
    return columns | {f"{prefix}pinball": scores["pinball"].mean(axis=0)}
