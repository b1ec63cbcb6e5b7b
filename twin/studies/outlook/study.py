"""When each link of a scenario runs out, at the growth that is stated or that its past shows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError, Loc, Problem
from twin.core.units import DAY_S, counted, format_duration
from twin.demand.busy import BusyStatistic
from twin.demand.growth import growth_problems
from twin.engine.links import capacities
from twin.routing.shortest_paths import ShortestPaths
from twin.scenario.build import settings_of
from twin.scenario.load import Scenario
from twin.studies.outlook.crossing import days_until, reached, time_above
from twin.studies.outlook.failures import Worst, worst_failures
from twin.studies.outlook.projection import Band, Projection
from twin.studies.outlook.projections import Projections
from twin.studies.outlook.spec import OutlookSpec
from twin.studies.outlook.trend import HARMONICS
from twin.studies.outlook.upgrades import UpgradeOrder, upgrades_of
from twin.studies.outlook.windows import busy_values, measured

NEVER = math.nan


@dataclass(frozen=True)
class Reach:
    """When the busy value reaches a level, seconds from the end of the trace; NaN: not by then."""

    middle: float = NEVER
    early: float = NEVER
    late: float = NEVER


@dataclass(frozen=True)
class LinkOutlook:
    """What is to come on one link."""

    link: str
    capacity_mbps: float
    busy_mbps: float
    """In the last window; NaN where too little of it is known."""
    projection: Projection | None
    reason: str = ""
    """Why there is no projection; else empty."""
    target: Reach = Reach()
    full: Reach = Reach()
    """When it reaches its capacity as it is today."""
    busy_at_end_mbps: float = math.nan
    """At the horizon."""
    upgrades: tuple[UpgradeOrder, ...] = ()
    days_short: float = 0.0
    """Days up to the horizon on which it is busier than its capacity, upgrades included."""
    busy_failed_mbps: float = math.nan
    """In the last window, had the worst failure been there."""
    worst_failure: str = ""
    full_failed: float = NEVER
    """When it reaches its capacity under that failure."""


@dataclass(frozen=True)
class Outlook:
    """An outlook on all links of a scenario."""

    scenario: Scenario
    spec: OutlookSpec
    horizon_s: float
    links: tuple[LinkOutlook, ...]
    notes: tuple[str, ...]
    """What was left out, and what the numbers rest on."""
    failures: bool
    """Whether links were also held against the worst single failure."""
    wall_time_s: float

    @property
    def end(self) -> datetime | None:
        """The end of the measured trace, from which on times count; None without dates."""
        return _end(self.scenario)


def outlook(
    scenario: Scenario,
    spec: OutlookSpec | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Outlook:
    """Return when the links of a scenario run out.

    `progress` is called with the links done and their number. Raises InputError where no link has a
    capacity, and for what does not go with the trace.
    """
    begin = time.perf_counter()
    study = _Study(scenario, spec or OutlookSpec())
    links = tuple(study.links(progress))
    notes = tuple(study.notes())
    seconds = time.perf_counter() - begin
    failures = study.worst is not None
    return Outlook(scenario, study.spec, study.horizon_s, links, notes, failures, seconds)


def _end(scenario: Scenario) -> datetime | None:
    trace = scenario.trace
    length = timedelta(seconds=len(measured(trace)) * trace.tick_s)
    return None if trace.starts is None else trace.starts + length


class _Study:
    """One outlook in the making."""

    def __init__(self, scenario: Scenario, spec: OutlookSpec) -> None:
        self.spec, self._scenario = spec, scenario
        self._settings = settings_of(scenario)
        self._capacity = capacities(self._settings)
        self._check()
        self.horizon_s = self._horizon()
        self._times = days_until(self.horizon_s)
        self._demand = measured(scenario.trace)
        self._busy = self._values(self._demand, spec.of, spec.over_s, ("--over",))
        self._projections = Projections(scenario, spec, self._busy)
        self._of_upgrades: dict[tuple[str, float], Floats] = {}

    def _check(self) -> None:
        if not np.isfinite(self._capacity).any():
            what, remedy = "no link has a capacity to run out of", "state 'capacity_mbps'"
            raise InputError(Problem(what, ("links",), self._scenario.path, None, remedy))
        stated = self.spec.growth or {}
        problems = list(growth_problems(stated, self._scenario.trace.links))
        if problems:
            raise InputError(replace(problem, where="--growth") for problem in problems)

    def _horizon(self) -> float:
        end = _end(self._scenario)
        try:
            seconds = self.spec.ahead.seconds(end)
            if end is not None:
                end + timedelta(seconds=seconds) + timedelta(days=2)
        except OverflowError:
            raise InputError(Problem("ends after the year 9999", "--for")) from None
        return seconds

    def _values(self, demand: Floats, of: BusyStatistic, over_s: float, where: Loc) -> Floats:
        trace, routing = self._scenario.trace, self._scenario.routing
        try:
            return busy_values(demand, trace.tick_s, routing, of, over_s)
        except ValueError as error:
            shorter = "state a shorter one, such as '1d'" if "longer" in str(error) else ""
            what = f"{format_duration(over_s)} {error}"
            raise InputError(Problem(what, where, suggestion=shorter)) from None

    @cached_property
    def worst(self) -> Worst | None:
        """The worst single failure of each link, where traffic can be routed anew."""
        routing, tick_s = self._scenario.routing, self._scenario.trace.tick_s
        if not isinstance(routing, ShortestPaths):
            return None
        last = self._demand[-int(self.spec.over_s // tick_s) :]
        return worst_failures(routing, last, self.spec.of, tick_s)

    @cached_property
    def _network(self) -> Floats:
        """What the demand of the whole network is multiplied by up to each instant."""
        whole = self._projections.of(len(self._capacity))
        if isinstance(whole, str):
            return np.full(len(self._times), np.nan)
        middle = whole.at(self._times).middle
        return np.asarray(middle / middle[0])

    def links(self, progress: Callable[[int, int], None] | None) -> Iterator[LinkOutlook]:
        """Yield the outlook of every link, in order."""
        for link in range(len(self._capacity)):
            yield self._link(link)
            if progress is not None:
                progress(link + 1, len(self._capacity))

    def _link(self, link: int) -> LinkOutlook:
        name, capacity = self._scenario.links[link], float(self._capacity[link])
        busy = float(self._busy[link, -1])
        projection = self._projections.of(link)
        if isinstance(projection, str):
            return LinkOutlook(name, capacity, busy, None, projection)
        band = projection.at(self._times)
        plain = LinkOutlook(
            name, capacity, busy, projection,
            target=self._reach(band, self.spec.at * capacity),
            full=self._reach(band, capacity),
            busy_at_end_mbps=float(band.middle[-1]),
        )  # fmt: skip
        if not math.isfinite(capacity):
            return plain
        return self._under_failure(self._upgraded(plain, link, band.middle), link, band.middle)

    def _reach(self, band: Band, level: float) -> Reach:
        middle = reached(self._times, band.middle, level)
        if not np.isfinite(band.low).all():
            return Reach(middle)
        early, late = (reached(self._times, each, level) for each in (band.high, band.low))
        return Reach(middle, early, late)

    def _upgraded(self, plain: LinkOutlook, link: int, curve: Floats) -> LinkOutlook:
        """Return the outlook of a link with its upgrades, and with how long it is short."""
        spec, capacity = self._settings[link].upgrade, plain.capacity_mbps
        if spec is None:
            short = time_above(self._times, curve, capacity, 0.0, self.horizon_s)
            return replace(plain, days_short=short / DAY_S)
        if (spec.of, spec.over) not in self._of_upgrades:
            length = int(spec.over // self._scenario.trace.tick_s)
            demand = self._demand[-length:] if length else self._demand
            where = ("links", plain.link, "upgrade", "over")
            values = self._values(demand, BusyStatistic.of(spec.of), spec.over, where)
            self._of_upgrades[spec.of, spec.over] = values[:, -1]
        own = float(self._of_upgrades[spec.of, spec.over][link])
        ratio = own / plain.busy_mbps if plain.busy_mbps > 0 and math.isfinite(own) else 1.0
        upgrades, short = upgrades_of(plain.link, spec, capacity, self._times, curve, ratio)
        return replace(plain, upgrades=tuple(upgrades), days_short=short)

    def _under_failure(self, plain: LinkOutlook, link: int, curve: Floats) -> LinkOutlook:
        """Return the outlook of a link with what the worst failure leaves of it."""
        if self.worst is None:
            return plain
        busy, name = float(self.worst.busy_mbps[link]), self.worst.failure[link]
        if not name:
            return replace(plain, busy_failed_mbps=busy, full_failed=plain.full.middle)
        growth = self._network if np.isfinite(self._network).all() else curve / curve[0]
        under = curve + (busy - plain.busy_mbps) * growth
        full = reached(self._times, under, plain.capacity_mbps)
        return replace(plain, busy_failed_mbps=busy, worst_failure=name, full_failed=full)

    def notes(self) -> Iterator[str]:
        """Yield what was left out, and what the numbers rest on."""
        spec, trace = self._scenario.spec, self._scenario.trace
        if spec.events:
            yield f"{counted(len(spec.events), 'event')} left out: an outlook is of measured demand"
        if trace.measured is not None:
            yield "what 'demand.extend' adds is left out: an outlook is of measured demand"
        unlimited = int((~np.isfinite(self._capacity)).sum())
        if unlimited:
            yield f"{counted(unlimited, 'link')} without a capacity cannot run out"
        days = self._busy.shape[1] * self.spec.over_s / DAY_S
        if days < HARMONICS[-1][0]:
            yield "the trace is shorter than a year, and cannot show a season of the year"
