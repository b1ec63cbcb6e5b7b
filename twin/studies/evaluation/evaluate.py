"""Rolling-origin evaluation: every forecaster, at every tick of the replayed part of a trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from twin.account.hours import hours
from twin.account.summary import ALL
from twin.core.arrays import Floats
from twin.core.units import DAY_S
from twin.scenario.load import Scenario
from twin.studies.evaluation.forecasts import Forecast, chosen, forecasts, references, usable
from twin.studies.evaluation.scores import Errors, quantile_scores, ratio, ratio_interval

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Evaluation:
    """The scores of an evaluation. `mae`, `rmse`, `bias` and `pinball` are in Mbit/s."""

    scenario: Scenario
    scores: pd.DataFrame
    """A row for each model and link, and one for each model with link `all`.

    Columns `model, link, mae, rmse, mase, mase_low, mase_high, bias, n`: `mase` is the MAE over
    persistence's on the same samples, `mase_low` and `mase_high` its 95 % confidence interval
    (link `all` only), `bias` the mean of forecast - demand, `n` the samples that count.
    """
    quantiles: pd.DataFrame
    """Columns `model, link, quantile, pinball, coverage, n`; empty where no model gives any.

    `coverage` is the share of samples at or below the forecast, ideally `quantile`.
    """
    by_hour: pd.DataFrame
    """Columns `model, hour, hour_of, mae, mase, n`, all links together.

    `hour` is 0 to 23, of the `day` where the trace has a start time; else of the `replay`:
    hours since its start, modulo a day.
    """
    notes: tuple[str, ...]
    """What was left out and why, a sentence each."""

    @property
    def pooled(self) -> pd.DataFrame:
        """The scores over all links, a row for each model."""
        return self.scores[self.scores["link"] == ALL]


def evaluate(scenario: Scenario, models: Sequence[str] | None = None) -> Evaluation:
    """Forecast each replayed sample one step ahead, and score the forecasts against the trace.

    Evaluated are persistence, the seasonal naive forecasts whose season fits into the history,
    and `models`, by name or path (None: every shipped one that the trace has enough for). What
    a model fits, it fits on the history alone. It is the trace that is evaluated: events of the
    scenario, surges among them, are not applied. Raises InputError for a model that cannot be
    used.
    """
    import pandas as pd

    baselines, notes = references(scenario)
    trained, left_out = usable(scenario) if models is None else (chosen(scenario, models), [])
    span = scenario.span
    demand = scenario.trace.demand_mbps[span.first : span.first + span.intervals]
    reference = baselines[0].mbps
    scores, quantiles, by_hour = [], [], []
    for forecast in (*baselines, *forecasts(scenario, trained)):
        errors = Errors.of(forecast.mbps, demand, reference)
        scores.append(_scores(scenario, forecast.name, errors))
        by_hour.append(_by_hour(scenario, forecast.name, errors))
        if forecast.quantiles is not None:
            quantiles.append(_quantiles(scenario, forecast, demand))
    return Evaluation(
        scenario,
        pd.concat(scores, ignore_index=True),
        pd.concat(quantiles, ignore_index=True) if quantiles else pd.DataFrame(),
        pd.concat(by_hour, ignore_index=True),
        (*notes, *left_out),
    )


def _scores(scenario: Scenario, name: str, errors: Errors) -> pd.DataFrame:
    import pandas as pd

    links = [*scenario.trace.links, ALL]
    low, high = np.full(len(links), np.nan), np.full(len(links), np.nan)
    own, reference = errors.per_tick()
    day = DAY_S // scenario.trace.tick_s
    low[-1], high[-1] = ratio_interval(own, reference, day, scenario.spec.seed)
    per_link = errors.per_link()
    return pd.DataFrame(
        {
            "model": name,
            "link": links,
            "mae": per_link["mae"],
            "rmse": per_link["rmse"],
            "mase": per_link["mase"],
            "mase_low": low,
            "mase_high": high,
            "bias": per_link["bias"],
            "n": per_link["n"].astype(np.int64),
        }
    )


def _by_hour(scenario: Scenario, name: str, errors: Errors) -> pd.DataFrame:
    import pandas as pd

    trace, span = scenario.trace, scenario.span
    starts = trace.time(span.first)
    hour = hours(span.intervals, trace.tick_s, starts, trace.timezone)
    own, reference = errors.per_tick()
    parts = (own, reference, np.isfinite(errors.error).sum(axis=1))
    absolute, persistence, n = (
        np.bincount(hour, weights, minlength=24).astype(np.float64) for weights in parts
    )
    table = {
        "model": name,
        "hour": np.arange(24),
        "hour_of": "replay" if starts is None else "day",
        "mae": ratio(absolute, n),
        "mase": ratio(absolute, persistence),
        "n": n.astype(np.int64),
    }
    return pd.DataFrame(table)[n > 0]


def _quantiles(scenario: Scenario, forecast: Forecast, demand: Floats) -> pd.DataFrame:
    import pandas as pd

    assert forecast.quantiles is not None
    links = [*scenario.trace.links, ALL]
    per_level = quantile_scores(forecast.quantiles, forecast.levels, demand)
    return pd.DataFrame(
        {
            "model": forecast.name,
            "link": links * len(forecast.levels),
            "quantile": np.repeat(forecast.levels, len(links)),
            "pinball": per_level["pinball"].ravel(),
            "coverage": per_level["coverage"].ravel(),
            "n": per_level["n"].ravel().astype(np.int64),
        }
    )
