"""What is evaluated: reference forecasts that need no training, and trained models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from twin.core import content
from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem
from twin.core.units import DAY_S, format_duration
from twin.demand.gaps import ArrayFeed
from twin.demand.kpis import KPIS
from twin.demand.trace import Trace
from twin.forecast.card import MEDIAN
from twin.forecast.forecaster import Forecaster
from twin.forecast.names import PERSISTENCE
from twin.forecast.windows import forward_filled
from twin.scenario.load import Scenario

SEASONS: Final = {"seasonal_day": DAY_S, "seasonal_week": 7 * DAY_S}
"""Seasonal naive forecasts, and their season in seconds."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """One forecaster's forecasts of the replayed samples, each from the samples before it."""

    name: str
    mbps: Floats
    """[samples, links]; NaN where nothing before the sample is known."""
    levels: tuple[float, ...] = ()
    """Quantile levels, 0 to 1, where the forecaster gives any."""
    quantiles: Floats | None = None
    """Mbit/s, [samples, links, levels]"""


def first_seen(trace: Trace) -> Floats:
    """Return the demand as each sample was first seen, [samples, links]; NaN in every gap."""
    return ArrayFeed(trace.kpis, trace.gaps).rows(KPIS[0], 0, trace.samples)


def persistence(seen: Floats, first: int, samples: int) -> Floats:
    """Return the last value that was known when each sample was forecast, [samples, links].

    `seen` is the demand as :func:`first_seen` returns it: what is interpolated later was not known
    then. Samples from `first` >= 1 on are forecast.
    """
    return np.asarray(forward_filled(seen)[first - 1 : first - 1 + samples])


def season_filled(demand: Floats, season: int) -> Floats:
    """Return `demand` [samples, links], where it is missing with the value a season earlier.

    Where that is missing, the one a season before it counts, and so on; NaN where all are.
    """
    known = demand.copy()
    for start in range(season, len(known), season):
        part = known[start : start + season]
        part[:] = np.where(np.isnan(part), known[start - season :][: len(part)], part)
    return known


def seasonal(demand: Floats, first: int, samples: int, season: int) -> Floats:
    """Return the value `season` <= `first` samples before each sample, [samples, links].

    Gaps may be interpolated in `demand` if they are shorter than the season: their far end was
    seen before. Longer ones are passed over as :func:`season_filled` does.
    """
    return season_filled(demand, season)[first - season : first - season + samples]


def references(scenario: Scenario) -> tuple[list[Forecast], list[str]]:
    """Return persistence and the seasonal naive forecasts, and a note for each left out."""
    demand, span = scenario.trace.demand_mbps, scenario.span
    last = persistence(first_seen(scenario.trace), span.first, span.intervals)
    naive = [Forecast(PERSISTENCE, last)]
    notes = []
    for name, season_s in SEASONS.items():
        season = season_s // scenario.trace.tick_s
        if season <= span.history:
            naive.append(Forecast(name, seasonal(demand, span.first, span.intervals, season)))
        else:
            length = format_duration(span.history * scenario.trace.tick_s)
            notes.append(
                f"{name} is left out: the history is {length}, its season "
                f"{format_duration(season_s)}"
            )
    return naive, notes


def chosen(scenario: Scenario, models: Sequence[str]) -> dict[str, Forecaster]:
    """Return the models that the caller names, by name or by path.

    The references' names are passed over, since they are evaluated anyway. Raises InputError
    for a model that there is not, that needs more than the trace has, or that is named twice.
    """
    forecasters: dict[str, Forecaster] = {}
    for wanted in models:
        if wanted in (PERSISTENCE, *SEASONS):
            continue
        if list(models).count(wanted) > 1:
            raise InputError(Problem(f"'{wanted}' is named twice", ("--models",)))
        # What the caller names by path is relative to where the caller is.
        own = content.is_path("models", wanted)
        text = str(Path(wanted).resolve()) if own else wanted
        path = content.find("models", text, scenario.folder, ("--models",))
        if path.stem in forecasters or path.stem in (PERSISTENCE, *SEASONS):
            what = f"a second forecaster is called '{path.stem}'"
            raise InputError(Problem(what, ("--models",), suggestion="rename the file"))
        forecasters[path.stem] = loaded(scenario, path)
    if not models:
        raise InputError(Problem("names no model", ("--models",)))
    return forecasters


def usable(scenario: Scenario) -> tuple[dict[str, Forecaster], list[str]]:
    """Return the shipped models that the trace has enough for, and a note for each other one."""
    forecasters: dict[str, Forecaster] = {}
    notes = []
    for name, path in content.shipped("models").items():
        try:
            forecasters[name] = loaded(scenario, path)
        except InputError as error:
            notes.append(f"{name} is left out: {error.problems[0].what}")
    return forecasters, notes


def loaded(scenario: Scenario, path: Path) -> Forecaster:
    """Return a model. Raises InputError where the trace has too little for it."""
    forecaster = Forecaster.load(path)
    forecaster.require(tuple(scenario.trace.kpis))
    if scenario.span.history < forecaster.card.window:
        what = (
            f"needs a history of at least {forecaster.card.window} samples, "
            f"the trace has {scenario.span.history}"
        )
        raise InputError(Problem(what, file=path))
    return forecaster


def forecasts(scenario: Scenario, models: dict[str, Forecaster]) -> Iterator[Forecast]:
    """Yield each model's forecasts of the replayed samples, scales fitted on the history."""
    span, feed = scenario.span, ArrayFeed(scenario.trace.kpis, scenario.trace.gaps)
    samples = range(span.first, span.first + span.intervals)
    for name, model in models.items():
        bound = model.bind(feed, span.history, samples.start, stop=samples.stop)
        levels = tuple(float(level) for level in model.card.quantiles)
        if not levels:
            yield Forecast(name, np.stack([bound.at(i) for i in samples]))
            continue
        quantiles = np.stack([bound.quantiles_at(i) for i in samples])
        yield Forecast(name, quantiles[..., levels.index(MEDIAN)], levels, quantiles)
