"""How well forecasters forecast an interval further ahead: errors and quantiles by horizon.

Forecast and outcome both lie in the replayed part: with N samples of it there are N - k forecasts k
intervals ahead. A sample counts where it, its forecast and the last known value are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

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
from twin.forecast.windows import forward_filled, season_of
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
_AT_ONCE: Final = 288
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
    samples; `low` and `high` bound the 95 % confidence interval (link `all` only). For a model that
    forecasts quantiles, `own_coverage_90, own_coverage_95, own_coverage_99` are the shares of
    samples at or below these, and `own_pinball` their mean pinball loss (Mbit/s).
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
    span, links = scenario.span, len(scenario.trace.links)
    naive = _Naive(scenario)
    names = (PERSISTENCE, SEASONAL, *asked)
    tallies = {(name, k): _Tally(links, span.intervals - k) for name in names for k in ahead}
    forecasters = _bound(scenario, asked, max(ahead) + 1)
    end = span.first + span.intervals
    for start in range(span.first, end, _AT_ONCE):
        origins = range(start, min(start + _AT_ONCE, end))
        rows = _forecast(forecasters, origins, [k for k in ahead if start + k < end])
        for k in ahead:
            count = min(origins.stop, end - k) - start
            if count <= 0:
                continue
            truth = scenario.trace.demand_mbps[start + k : start + k + count]
            last, seasonal = naive.persistence(start, count), naive.seasonal(start, count, k)
            by_name = {PERSISTENCE: last, SEASONAL: seasonal}
            by_name |= {name: rows[name, k][:count, :, 0] for name in asked}
            for name, forecast in by_name.items():
                tally = tallies[name, k]
                tally.add(start - span.first, forecast, truth, last, seasonal)
                if name in asked and (own := rows[name, k][:count, :, 1:]).shape[-1]:
                    tally.add_quantiles(own, truth)
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


def _bound(
    scenario: Scenario, asked: Mapping[str, Mapping[str, Forecaster]], steps: int
) -> dict[str, tuple[Forecasts | AutoForecasts, list[int]]]:
    """Return what forecasts, by name, and the places of :data:`LEVELS` among its quantiles."""
    span = scenario.span
    feed = ArrayFeed(scenario.trace.kpis, scenario.trace.gaps)
    feeding = Feeding(feed, span.history, span.first, span.first + span.intervals)
    bound: dict[str, tuple[Forecasts | AutoForecasts, list[int]]] = {}
    for name, members in asked.items():
        if name == AUTO:
            bound[name] = AutoForecasts(members, feeding), []
            continue
        model = members[name]
        levels = [float(level) for level in model.card.quantiles]
        places = [levels.index(level) for level in LEVELS] if {*LEVELS} <= {*levels} else []
        bound[name] = model.join(feeding, steps=steps), places
    return bound


def _forecast(
    forecasters: Mapping[str, tuple[Forecasts | AutoForecasts, list[int]]],
    origins: range,
    ahead: Sequence[int],
) -> dict[tuple[str, int], Floats]:
    """Return forecasts made before each of `origins`, by name and horizon.

    [samples, links, 1 + levels]: the forecast, then the quantiles that the model gives.
    """
    rows: dict[tuple[str, int], list[Any]] = {(n, k): [] for n in forecasters for k in ahead}
    # All that are fed from one feed go through it together, the farthest horizon first.
    for sample in origins:
        for name, (forecasts, places) in forecasters.items():
            for k in sorted(ahead, reverse=True):
                row = forecasts.at(sample, k)[:, None]
                if places:
                    assert isinstance(forecasts, Forecasts)
                    quantiles = forecasts.quantiles_at(sample, k)[:, places]
                    row = np.concatenate([row, quantiles], axis=1)
                rows[name, k].append(row)
    return {key: np.stack(each) for key, each in rows.items()}


class _Naive:
    """Forecasts that need no training, from what was known when each sample was forecast."""

    def __init__(self, scenario: Scenario) -> None:
        seen = first_seen(scenario.trace)
        history = scenario.span.history
        feed = ArrayFeed(scenario.trace.kpis, scenario.trace.gaps)
        self.season: Ints = season_of(known(feed, KPIS[0], history))
        self._last = forward_filled(seen)
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

    def __init__(self, links: int, origins: int) -> None:
        self._links = links
        self.sums: Sums = {}
        self.against_seasonal: Sums = {}
        self.quantiles: Sums = {}
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

    def add_quantiles(self, quantiles: Floats, demand: Floats) -> None:
        """Take quantiles at :data:`LEVELS`, [samples, links, levels]."""
        _add(self.quantiles, quantile_sums(quantiles, LEVELS, demand))


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
        parts.append(pd.DataFrame(table | _coverage(tally, len(links), "own_")))
    return pd.concat(parts, ignore_index=True)


def _coverage(tally: _Tally, links: int, prefix: str) -> dict[str, Floats]:
    """Return the columns of quantiles; NaN where the forecaster has none."""
    nothing = np.full((len(LEVELS), links), np.nan)
    if tally.quantiles:
        scores = quantiles_scored(tally.quantiles)
    else:
        scores = {"coverage": nothing, "pinball": nothing}
    columns = {
        f"{prefix}coverage_{100 * level:.0f}": row
        for level, row in zip(LEVELS, scores["coverage"], strict=True)
    }
    return columns | {f"{prefix}pinball": scores["pinball"].mean(axis=0)}
