"""What the engine answers policies: what was observed, and forecasts."""

from __future__ import annotations

import copy
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from twin.core.arrays import Bools, Floats, Ints
from twin.core.errors import InputError, Problem
from twin.core.sealed import sealed
from twin.core.units import format_duration
from twin.demand.gaps import known
from twin.engine.calibrated import CalibratedQuantiles
from twin.engine.load import DEMAND
from twin.engine.recording import ForecastUse
from twin.engine.span import ReplaySpan
from twin.events.effects import Silence
from twin.forecast.auto import AutoForecasts
from twin.forecast.feeding import Feeding, Spans
from twin.forecast.forecaster import Forecaster, Forecasts
from twin.forecast.horizon import within_reach
from twin.forecast.names import AUTO, PERSISTENCE, auto_members
from twin.forecast.windows import forward_filled, season_of
from twin.policy.services import Quantiles, refuse_future
from twin.telemetry.distorted import LinkFeed
from twin.telemetry.observed import Observed


class Models(Protocol):
    """Forecasters by the name or path that policies use."""

    def get(self, model: str) -> Forecaster:
        """Return a forecaster. Raises InputError where it cannot be used."""


class EngineServices:
    """Answers what policies ask; all policies share one."""

    def __init__(self, load: LinkFeed, span: ReplaySpan, models: Models, tick_s: int) -> None:
        self._tick_s = tick_s
        self._load, self._span, self._models = load, span, models
        capacity = span.first + (span.intervals or span.first)
        self._observed = Observed(load, len(load.links), capacity)
        self._silences: Sequence[Silence] = ()
        self._feeding = self._fed()
        self._bound: dict[str, Forecasts | AutoForecasts] = {}
        self._past: dict[tuple[str, int, int], Floats] = {}
        self._past_levels: dict[tuple[str, int, int], Quantiles] = {}
        self._past_paths: dict[str, tuple[Forecasts | AutoForecasts, int]] = {}
        self._calibrated = CalibratedQuantiles(span)
        self._season: Ints | None = None
        self.picks: dict[int, Ints] = {}
        """What `auto` picked, by the steps ahead that were tried: by the history alone."""
        self.asking = ""
        """The policy that is being asked."""
        self._askers: dict[str, set[str]] = {}
        self._evaluated: Counter[tuple[str, str]] = Counter()
        self.closed = span.history
        """Number of samples that have closed."""

    def forget_history(self) -> None:
        """Drop what is only asked for while policies fit."""
        self._past, self._past_levels, self._past_paths = {}, {}, {}

    def forget_forecasts(self) -> None:
        """Make forecasts anew when they are next asked for: what is to come has changed."""
        self._evaluated = self._windows_run()
        self._bound, self._feeding = {}, self._fed()

    def renew(self) -> None:
        """Answer the same as before, from nothing that may be half changed by an interruption."""
        self.follow(self._load, self._span)
        self.forget_history()
        if self._calibrated.half_made:
            self._calibrated = CalibratedQuantiles(self._span)

    def follow(self, load: LinkFeed, span: ReplaySpan) -> None:
        """Answer from another feed from now on, which holds the same past."""
        self._load, self._span = load, span
        capacity = span.first + (span.intervals or span.first)
        self._observed = Observed(load, len(load.links), capacity)
        self.forget_forecasts()

    def for_links(self, load: LinkFeed, links: Ints) -> EngineServices:
        """Return those that go on from here for some links, as `load` has them.

        They are columns of its own, and may come several times.
        """
        some = copy.copy(self)
        some._load, some._askers = load, {}
        some._observed = self._observed.for_series(load, links)
        some._feeding = self._feeding.for_links(load, links)
        some._bound = {
            model: each.for_links(some._feeding, links) for model, each in self._bound.items()
        }
        some._calibrated = self._calibrated.for_links(links)
        some._season = None if self._season is None else self._season[links]
        some.picks = {trial: places[links] for trial, places in self.picks.items()}
        return some

    def silence(self, silences: Sequence[Silence]) -> bool:
        """Replace when models make no forecasts, and return whether that changes anything."""
        changed = [*silences] != [*self._silences]
        self._silences = silences
        return changed

    def _silent(self) -> Spans:
        """Return before which samples no forecast is made."""
        spans = []
        for silence in self._silences:
            first, stop = (self._sample_at(time) for time in (silence.start, silence.end))
            # What is out from the first tick on repeats the forecast that is made there.
            spans.append((max(first, self._span.first + 1), stop))
        return spans

    def _sample_at(self, time: float) -> int:
        """Return the sample that begins at an instant of the replay, or next after it."""
        if not np.isfinite(time):
            return sys.maxsize
        return self._span.first + int(-(-time // self._tick_s))

    def _asked_at(self, sample: int) -> int:
        """Return before which sample the forecast is made that is the answer before `sample`.

        Raises InputError where there is none.
        """
        time = float((self._past_only(sample) - self._span.first) * self._tick_s)
        for silence in self._silences:
            if silence.start <= time < silence.end and silence.answers == "nothing":
                since = f"forecasts are out since {format_duration(silence.start)}"
                raise InputError(Problem(since, suggestion="a 'fallback' would decide"))
        return self._made_at(sample)

    def _made_at(self, sample: int) -> int:
        """Return before which sample models made their last forecasts, `sample` included."""
        for silence in sorted(self._silences, key=lambda each: each.start, reverse=True):
            first = self._sample_at(silence.start)
            time = (sample - self._span.first) * self._tick_s
            if silence.start <= time < silence.end:
                sample = max(first - 1, self._span.first)
        return sample

    def _fed(self) -> Feeding:
        span = self._span
        stop = None if span.endless else span.first + span.intervals
        return Feeding(self._load, span.history, span.first, stop, self._silent())

    def observed(self, kpi: str, closed: int) -> Floats:
        """Return a KPI as it is known once `closed` samples are seen, [samples, links]."""
        return self._observed.values(kpi, self._past_only(closed))

    def latest(self, closed: int) -> Floats:
        """Return the demand of sample closed - 1 as it is known then, [links]."""
        row: Floats = self.observed(DEMAND, closed)[-1]
        return row

    def intact(self) -> bool:
        """Return whether no policy has changed what all of them observe."""
        return self._observed.intact()

    def last_known(self, closed: int) -> Floats:
        """Return the latest demand before sample `closed` that was not missing, [links]."""
        return self._observed.last_known(DEMAND, self._past_only(closed))

    def unseen(self, closed: int) -> Bools:
        """Return the links of which nothing is known once `closed` samples are seen, [links]."""
        return self._observed.unseen(DEMAND, self._past_only(closed))

    def _past_only(self, closed: int) -> int:
        if closed > self.closed:
            raise RuntimeError(f"{closed} samples are asked for, {self.closed} have closed")
        return closed

    def coming(self, closed: int) -> Floats:
        """Return the demand of sample `closed` itself, [links], to a bound alone."""
        refuse_future()
        return sealed(self._load.coming(self._past_only(closed) - self._span.first))

    def forecast(self, model: str, sample: int, ahead: int) -> Floats:
        """Return a model's forecast of the demand in sample + ahead, from before it, [links]."""
        if model == PERSISTENCE:
            return self.last_known(sample)
        self._askers.setdefault(self.asking, set()).add(model)
        made = self._asked_at(sample)
        return sealed(self._forecasts(model).at(made, _within(ahead)))

    def forecast_path(self, model: str, sample: int, first: int, count: int) -> Floats:
        """Return a model's forecasts of sample + first and those after it, [count, links]."""
        if model == PERSISTENCE:
            return sealed(np.tile(self.last_known(sample), (count, 1)))
        self._askers.setdefault(self.asking, set()).add(model)
        made = self._asked_at(sample)
        return sealed(_path(self._forecasts(model), made, first, count))

    def quantiles(self, model: str, sample: int, ahead: int) -> Quantiles:
        """Return the same for its quantiles, [links, quantiles], and their levels."""
        levels = self._levels(model)
        self._askers.setdefault(self.asking, set()).add(model)
        made, forecasts = self._asked_at(sample), self._forecasts(model)
        assert isinstance(forecasts, Forecasts)
        return sealed(forecasts.quantiles_at(made, _within(ahead))), levels

    def calibrated(
        self, model: str, sample: int, ahead: int, levels: tuple[float, ...]
    ) -> Quantiles:
        """Return calibrated quantiles of any model at `levels`, as :meth:`quantiles` does."""
        if model != PERSISTENCE:
            self._askers.setdefault(self.asking, set()).add(model)
            self._asked_at(sample)
        values = self._calibrated.at(self, model, self._past_only(sample), ahead, levels)
        return sealed(values), levels

    # What quantiles are calibrated from

    def first_seen(self, start: int, stop: int) -> Floats:
        """Return the demand of samples as they were first seen, [samples, links]."""
        return self._load.rows(DEMAND, start, stop)

    def forecast_before(self, model: str, sample: int, ahead: int) -> Floats:
        """Return the forecast of sample + ahead, for rising samples of the replay, [links]."""
        return self._joined_once(model).at(self._made_at(sample), ahead)

    def settling(self, model: str, samples: int, ahead: int) -> Floats:
        """Return the forecasts made before the last `samples` of the history, [samples, links].

        Each is of the sample `ahead` after that one.
        """
        past, end = self._until_history(model, samples), self._span.history
        return np.stack([past.at(i, ahead) for i in range(end - samples, end)])

    def _windows_run(self) -> Counter[tuple[str, str]]:
        """Return the windows run so far, by what was asked for and the model that ran them."""
        total = self._evaluated.copy()
        for asked, forecasts in self._bound.items():
            ran = forecasts.evaluated
            for model, windows in ({asked: ran} if isinstance(ran, int) else ran).items():
                total[asked, model] += windows
        return total

    def use(self) -> ForecastUse:
        """Return how many windows each model ran for each policy, and what `auto` picked.

        A model that several policies ask runs once for all of them.
        """
        windows: dict[str, dict[str, int]] = {}
        for policy, models in self._askers.items():
            of_policy = windows.setdefault(policy, {})
            for (asked, model), ran in self._windows_run().items():
                if asked in models:
                    of_policy[model] = of_policy.get(model, 0) + ran
        links, auto = self._load.links, self._bound.get(AUTO)
        picks = {}
        if isinstance(auto, AutoForecasts):
            for steps, places in sorted(auto.picks.items()):
                named = (auto.names[place] for place in places)
                picks[steps - 1] = dict(zip(links, named, strict=True))
        return ForecastUse(windows, picks)

    def _forecasts(self, model: str) -> Forecasts | AutoForecasts:
        # While the forecasts that they learn from are there.
        self._calibrated.catch_up(self, self.closed)
        return self._joined_once(model)

    def _joined_once(self, model: str) -> Forecasts | AutoForecasts:
        if model not in self._bound:
            self._bound[model] = self._joined(model, self._feeding)
        return self._bound[model]

    def _joined(self, model: str, feeding: Feeding) -> Forecasts | AutoForecasts:
        if model == AUTO:
            names = auto_members(self._load.kpis)
            members = {name: self._models.get(name) for name in names}
            return AutoForecasts(members, feeding, self.picks if feeding is self._feeding else None)
        return self._models.get(model).join(feeding)

    def _levels(self, model: str) -> tuple[float, ...]:
        plain = model in (PERSISTENCE, AUTO)
        levels = () if plain else self._models.get(model).card.quantiles
        if not levels:
            problem = Problem(f"'{model}' forecasts no quantiles", suggestion="use 'quantile'")
            raise InputError(problem)
        return tuple(levels)

    # While policies fit. Several may ask the same: in a sweep of one policy's margin, for example.

    def past_forecasts(self, model: str, samples: int, ahead: int) -> Floats:
        """Return what would have been forecast of the last `samples` of the history.

        Each from what was known `ahead` samples before it and earlier, [samples, links].
        """
        key = model, samples, ahead
        if key not in self._past:
            end = self._span.history - ahead
            if model == PERSISTENCE:
                # Once the far end of a gap is seen, that is the last known value.
                rows = forward_filled(self._load.rows(DEMAND, 0, end))
                self._past[key] = sealed(rows[end - samples - 1 : end - 1])
            else:
                past = self._until_history(model, samples + ahead)
                origins = range(end - samples, end)
                rows = np.stack([past.at(i, _within(ahead)) for i in origins])
                self._past[key] = sealed(rows)
        return self._past[key]

    def past_path(self, model: str, sample: int, first: int, count: int) -> Floats:
        """Return the same as forecast_path() in the history, for rising samples."""
        if model == PERSISTENCE:
            rows = forward_filled(self._load.rows(DEMAND, 0, sample))
            return sealed(np.tile(rows[-1], (count, 1)))
        forecasts, reached = self._past_paths.get(model, (None, 0))
        # Another policy begins again.
        if forecasts is None or sample < reached:
            forecasts = self._until_history(model, self._span.history - sample)
        self._past_paths[model] = forecasts, sample
        return sealed(_path(forecasts, sample, first, count))

    def past_quantiles(self, model: str, samples: int, ahead: int) -> Quantiles:
        """Return the same for its quantiles, [samples, links, quantiles], and their levels."""
        key = model, samples, ahead
        if key not in self._past_levels:
            levels, end = self._levels(model), self._span.history - ahead
            past = self._until_history(model, samples + ahead)
            assert isinstance(past, Forecasts)
            origins = range(end - samples, end)
            values = np.stack([past.quantiles_at(i, _within(ahead)) for i in origins])
            self._past_levels[key] = sealed(values), levels
        return self._past_levels[key]

    def _until_history(self, model: str, samples: int) -> Forecasts | AutoForecasts:
        """Return the forecasts of a model from `samples` before the end of the history on."""
        start, end = self._span.history - samples, self._span.history
        # Another model may have gone through the same samples already.
        return self._joined(model, Feeding(self._load, start, start, end))

    def season(self) -> Ints:
        """Return the samples after which each link's demand repeats, 0 for none, [links]."""
        if self._season is None:
            self._season = sealed(season_of(known(self._load, DEMAND, self._span.history)))
        return sealed(self._season)


def _within(ahead: int) -> int:
    return int(within_reach(np.array(ahead)))


def _path(forecasts: Forecasts | AutoForecasts, sample: int, first: int, count: int) -> Floats:
    ahead = within_reach(first + np.arange(count))
    nearest = int(ahead.min())
    rows = forecasts.path(sample, nearest, int(ahead.max()) - nearest + 1)
    return rows[ahead - nearest]
