"""What time it is for a living twin: by the wall, by its data, or as fast as a trace is fed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, Self

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem
from twin.core.units import format_duration
from twin.demand.gaps import ArrayFeed
from twin.demand.kpis import TRAFFIC_KPIS
from twin.live.moved import moment_of
from twin.live.samples import Samples
from twin.scenario.load import Scenario
from twin.telemetry.spec import TelemetrySpec

if TYPE_CHECKING:
    from twin.live.living import LivingTwin

_LOG: Final = logging.getLogger("twin.live.clock")


class Clock(Protocol):
    """Says what time it is, seconds since 1970."""

    def now(self) -> float:
        """Return the time."""


class WallClock:
    """The time of the machine."""

    def now(self) -> float:
        """Return the time."""
        return time.time()


class DataClock:
    """The time up to which at least half of the links have sent samples.

    One link whose own clock is wrong does not move it, and nothing moves it by more than
    `at_most_s` at once: what is dated later is not of this twin's time.
    """

    def __init__(
        self, links: tuple[str, ...], every_s: float, heard_s: Floats | float, at_most_s: float
    ) -> None:
        """`every_s` is how long a sample holds, `heard_s` up to when there are some, [links]."""
        self._numbers = {link: i for i, link in enumerate(links)}
        self._latest = np.broadcast_to(heard_s, len(links)).astype(np.float64)
        self._every_s = every_s
        self._at_most_s = at_most_s
        self._ahead = np.zeros(len(links), dtype=np.bool_)
        self._said = False

    def see(self, samples: Samples) -> None:
        """Look at samples that have come, before they are taken."""
        numbers = np.array([self._numbers.get(name, -1) for name in samples.links] or [-1])
        link = numbers[samples.link]
        ends = samples.time_ms / 1000 + self._every_s
        now = self.now()
        near = ends <= now + self._at_most_s
        self._ahead[link[(link >= 0) & ~near]] = True
        known = (link >= 0) & near
        ends = ends[known]
        self._tell(now)
        np.maximum.at(self._latest, link[known], ends)

    def _tell(self, now: float) -> None:
        """Say once that the clock stands still for samples of another time."""
        if self._said or 2 * self._ahead.sum() < len(self._ahead):
            return
        self._said = True
        _LOG.warning(
            "most links send samples that are dated more than %s after %sZ, where the clock of the "
            "data is: they count as future; begin with a trace that ends later, and another state",
            format_duration(self._at_most_s), moment_of(now).isoformat(),
        )  # fmt: skip

    def now(self) -> float:
        """Return the time."""
        place = (len(self._latest) - 1) // 2
        return float(np.partition(self._latest, place)[place])


class SpeedClock:
    """A clock that runs so many times as fast as the machine's, from an instant on."""

    def __init__(self, begins_s: float, speed: float) -> None:
        """Begin now."""
        self._begins_s, self._speed = begins_s, speed
        self._began = time.monotonic()

    def now(self) -> float:
        """Return the time."""
        return self._begins_s + (time.monotonic() - self._began) * self._speed

    def until(self, instant: float) -> float:
        """Return how long it is until an instant, in seconds of the machine; never negative."""
        return max((instant - self.now()) / self._speed, 0.0)


@dataclass(frozen=True, slots=True)
class TraceFeed:
    """The replayed part of a scenario's trace, as samples that come when their interval ends.

    Gaps are missing: what would fill them was not known then. It begins where the twin is, which
    takes samples that start their intervals (`demand.stamp: start`).
    """

    scenario: Scenario
    first: int
    zero_s: float
    """When sample 0 of the trace begins, in the twin's time."""

    @classmethod
    def of(cls, twin: LivingTwin, scenario: Scenario) -> Self:
        """Return what a twin that was opened with `split` is still to be fed.

        Raises InputError where the twin takes counters.
        """
        telemetry = scenario.spec.telemetry
        if telemetry is not None and telemetry.kind == "counter":
            what = "is of counters, and a trace holds rates: it cannot be fed"
            raise InputError(scenario.place(Problem(what, ("telemetry", "kind"))))
        first = scenario.span.first
        tick_s = scenario.trace.tick_s
        return cls(scenario, first + twin.interval, twin.begins_s - first * tick_s)

    def __iter__(self) -> Iterator[tuple[Samples, float]]:
        """Yield the samples of each interval, and when it has ended."""
        trace, span = self.scenario.trace, self.scenario.span
        feed = ArrayFeed(trace.kpis, trace.gaps)
        for sample in range(self.first, span.first + span.intervals):
            yield self._samples(feed, sample), self.zero_s + (sample + 1) * trace.tick_s

    def _samples(self, feed: ArrayFeed, sample: int) -> Samples:
        trace = self.scenario.trace
        telemetry = self.scenario.spec.telemetry or TelemetrySpec()
        links, kpis = len(trace.links), feed.kpis
        values = np.concatenate([feed.rows(kpi, sample, sample + 1)[0] for kpi in kpis])
        # In the unit of what is sent, as whoever sends samples would.
        unit = telemetry.unit_mbps(self.scenario.spec.demand.unit)
        scale = np.repeat([unit if kpi in TRAFFIC_KPIS else 1.0 for kpi in kpis], links)
        there = np.flatnonzero(~np.isnan(values))
        time_ms = np.full(len(there), round((self.zero_s + sample * trace.tick_s) * 1000))
        return Samples(
            trace.links, kpis, there % links, there // links, time_ms, (values / scale)[there]
        )
