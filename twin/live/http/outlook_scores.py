"""How right outlooks were: what they said of the next hours, held against what came.

Outlooks that overlap err alike, so that of those only the first counts. Beside it, each link's
demand is held against the interval that the latest outlook gave for it, as long as that is young:
a link on which too many are missed has a forecast that nobody should lean on.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from typing import Final

import numpy as np

from twin.engine.actions import ClosedInterval
from twin.live.coverage import CoverageMonitor
from twin.live.http.tasks import LEVELS, RISK_S, FanOfLinks
from twin.live.living import LivingTwin
from twin.live.outcomes import Outcomes

_LOG: Final = logging.getLogger("twin.live.outlooks")
_NUMBERS: Final = ("violated_minutes", "unmet_mbit", "peak_utilization", "peak_load_mbps")
_YOUNG: Final = 3
"""Intervals ahead up to which coverage is watched: those further ahead miss together."""
_MOST_LOGGED: Final = 20


class OutlookScores:
    """Scores outlooks as what they spoke of closes."""

    def __init__(self, twin: LivingTwin) -> None:
        """Begin with no outlook."""
        self._twin = twin
        self._made: deque[FanOfLinks] = deque(maxlen=16)
        self._latest: FanOfLinks | None = None
        self._pending: FanOfLinks | None = None
        self._after = 0
        """The first interval that no outlook which was scored spoke of."""
        self._coverage = CoverageMonitor(twin.links, 1 - (LEVELS[-1] - LEVELS[0]))
        self.scored: Counter[str] = Counter(dict.fromkeys(_NUMBERS, 0))
        """Outlooks that were held against what came, by number."""
        self.held: Counter[str] = Counter(dict.fromkeys(_NUMBERS, 0))
        """Of these, those whose interval held it."""
        self.missed: Counter[str] = Counter(links=0)
        """How often links were said to be missed by too many intervals."""

    def made(self, fan: FanOfLinks) -> None:
        """Take an outlook; may be called from any thread."""
        self._made.append(fan)

    def closed(self, closed: ClosedInterval) -> None:
        """Take the interval that has closed; runs in the twin's thread."""
        while self._made:
            self._latest = self._made.popleft()
            if self._pending is None and self._latest.made >= self._after:
                self._pending = self._latest
        self._cover(closed)
        intervals = RISK_S // self._twin.tick_s
        pending = self._pending
        if pending is not None and closed.interval + 1 >= pending.made + intervals:
            self._pending, self._after = None, pending.made + intervals
            self._score(pending, intervals)

    def told(self) -> dict[str, dict[str, int]]:
        """Return how many outlooks were scored, and held what came, by number."""
        return {name: {"scored": self.scored[name], "held": self.held[name]} for name in _NUMBERS}

    def _score(self, fan: FanOfLinks, intervals: int) -> None:
        # Of what was before the twin began anew, days know means alone.
        first = fan.made - self._twin.first
        if first < 0 or not intervals:
            return
        said = fan.answer["policies"][0]
        recording = self._twin.simulation.recording().between(first, first + intervals)
        came = Outcomes.of(recording, [said["policy"]]).total(0)
        for name in _NUMBERS:
            self.scored[name] += 1
            self.held[name] += _holds(said[name]["without"], float(came[name][0]))

    def _cover(self, closed: ClosedInterval) -> None:
        fan = self._latest
        ahead = -1 if fan is None else closed.interval - fan.made
        if fan is None or not 0 <= ahead < min(_YOUNG, len(fan.quantiles_mbps)):
            return
        demand, expected = closed.demand_mbps, fan.quantiles_mbps[ahead]
        missed = (demand < expected[:, 0]) | (demand > expected[:, -1])
        lost = self._coverage.update(missed, ~np.isnan(demand))
        self.missed["links"] += len(lost)
        for each in lost[:_MOST_LOGGED]:
            _LOG.warning(
                "forecast of %s: %.0f %% of its 90 %% intervals were missed of late",
                each.link, 100 * each.missed,
            )  # fmt: skip


def _holds(estimate: dict[str, float | None], came: float) -> bool:
    low, high = estimate["low"], estimate["high"]
    # JSON has no infinity: None stands for it.
    above = came == np.inf if low is None else came >= low
    return above and (high is None or came <= high)
