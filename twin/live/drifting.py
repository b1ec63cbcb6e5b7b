"""Drift on a living twin: what is found is logged, counted and listed, and a shift brings a refit.

The watch is no part of what the journal replays: it only reads, and the refit that it asks for is
journaled. So it is made anew after a restart, from what is known, and its last days are gone
through once more without a word. It goes on where the twin begins anew, for it knows more of the
past than the new epoch does.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from twin.core.arrays import Floats
from twin.engine.actions import ClosedInterval
from twin.engine.load import DEMAND
from twin.live.drift import Drift, DriftWatch
from twin.live.living import LivingTwin
from twin.live.moved import moment_of
from twin.live.samples import NotWrittenError

_LOG: Final = logging.getLogger("twin.live.drift")
KINDS: Final = ("change", "shift", "surge", "missing", "back")
_DAY_S: Final = 86_400
_PAST_S: Final = 28 * _DAY_S
_MOST_NUMBERS: Final = 12_000_000
"""Numbers of the past that a watch is made from; making it takes some ten times their memory."""
_AGAIN_S: Final = 2 * _DAY_S
"""What a new watch goes through once more, so that it knows what is open; as much stays before."""
_MOST_LOGGED: Final = 50
"""Lines that an interval may add to the log; of others it says how many there are."""
_MOST_LISTED: Final = 200
_BY_CHANCE: Final = 0.02
"""Share of the links that may shift within a day without a refit: one link is off now and then
for reasons of its own, and what one link learns again all others do too."""
_WHY: Final = "drift: "


@dataclass(frozen=True, slots=True)
class FoundDrift:
    """What was said last of one drift."""

    drift: Drift
    since_s: float
    """Seconds since 1970, as is `said_s`: the end of the interval after which it was said."""
    said_s: float

    @property
    def open(self) -> bool:
        """Whether more is to be said of it."""
        return self.drift.kind in ("change", "missing")

    def told(self) -> dict[str, Any]:
        """Return it as plain values."""
        drift = self.drift
        return {
            "link": drift.link,
            "kind": drift.kind,
            "open": self.open,
            "since": moment_of(self.since_s).isoformat() + "Z",
            "since_s": self.since_s,
            "direction": drift.direction,
            "size_mbps": drift.size_mbps,
            "in_scales": drift.in_scales,
        }

    def __str__(self) -> str:
        drift, since = self.drift, moment_of(self.since_s).isoformat() + "Z"
        if drift.direction == 0:
            said = "nothing comes" if self.open else "it comes again; nothing came"
            return f"{drift.kind} on {drift.link}: {said} since {since}"
        way = "above" if drift.direction > 0 else "below"
        return (
            f"{drift.kind} on {drift.link}: since {since} demand is {abs(drift.size_mbps):.4g} "
            f"Mbit/s {way} what its past says, {abs(drift.in_scales):.2g} times the usual error"
        )


class LiveDrift:
    """Watches the demand of a living twin. All of it runs in the twin's thread."""

    def __init__(self, twin: LivingTwin) -> None:
        """Begin with what the twin knows; with less than two days of it, watch once it has."""
        self._twin = twin
        self.counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        """What was said, by kind, since the server started."""
        self.refits: Counter[str] = Counter(begun=0, put_off=0)
        """What became of shifts: refits that were begun, and times that one was put off."""
        self.open = 0
        """Number of drifts of which more is to be said."""
        self.waits: str | None = None
        """Why a refit that is wanted has not begun, in words."""
        self._wanted: str | None = None
        self._found: dict[tuple[str, bool], FoundDrift] = {}
        self._watch: DriftWatch | None = None
        self._unknown: frozenset[str] = frozenset()
        """Links of whose past nothing is known: nothing can be said of them."""
        self._first = 0
        self._epoch = twin.first
        self._refit_s: float | None = None
        self._note_refit()
        self._begin()

    def closed(self, _: ClosedInterval) -> None:
        """Take the interval that has closed."""
        if self._twin.first != self._epoch:
            # All that learns has learned again, whatever it began anew for.
            self._epoch, self._wanted, self.waits = self._twin.first, None, None
            self._note_refit()
        if self._watch is None:
            self._begin()
            return
        ready = self._twin.simulation.source.ready
        found = self._take(self._watch.update(self._demand(ready - 1, ready)[0]))
        self._log(found)
        for each in found:
            self.counts[each.drift.kind] += 1
        self._want(found)
        self._refit()

    def told(self) -> dict[str, Any]:
        """Return what is open and what was said in the last day, and what is with the refit."""
        known = sorted(self._found.values(), key=lambda each: (not each.open, -each.said_s))
        refit = None if self._refit_s is None else moment_of(self._refit_s).isoformat() + "Z"
        return {
            "drift": [each.told() for each in known[:_MOST_LISTED]],
            "drift_watch": {
                "watches": self._watch is not None,
                "more": max(len(known) - _MOST_LISTED, 0),
                "refit_at": refit,
                "refit_waits": self.waits,
            },
        }

    # What is watched

    def _demand(self, first: int, stop: int, known: bool = False) -> Floats:
        """Return samples of what comes, as first seen or as best known, [samples, links].

        Without what events add, and as if no link were down: neither is drift of the network.
        """
        simulation = self._twin.simulation
        source = simulation.source
        rows = (source.values if known else source.rows)(DEMAND, first, stop)
        routing = simulation.scenario.routing
        if routing is not None:
            usual = routing.matrix(np.zeros(len(simulation.links), dtype=np.bool_))
            rows = np.asarray((usual @ rows.T).T)
        return rows

    def _begin(self) -> None:
        twin, ready = self._twin, self._twin.simulation.source.ready
        day = max(_DAY_S // twin.tick_s, 1)
        if ready < 2 * day:
            return
        again = min(_AGAIN_S // twin.tick_s, ready - 2 * day)
        most = max(min(_PAST_S // twin.tick_s, _MOST_NUMBERS // len(twin.links)), 2 * day)
        past = self._demand(max(ready - again - most, 0), ready - again, known=True)
        silent = np.isnan(past).all(axis=0)
        self._unknown = frozenset(np.array(twin.links)[silent].tolist())
        with warnings.catch_warnings():
            # A link of which nothing is known has no mean error.
            warnings.filterwarnings("ignore", category=RuntimeWarning)
            self._watch = DriftWatch(twin.links, past, twin.tick_s)
        self._first = twin.interval - again
        shifts = []
        for row in self._demand(ready - again, ready):
            shifts += self._take(self._watch.update(row))
        if self._refit_s is None:
            # It was said, and then the server ended before a refit could begin.
            began = twin.begins_s + twin.first * twin.tick_s
            self._want(each for each in shifts if each.said_s > began)

    def _take(self, drifts: Iterable[Drift]) -> list[FoundDrift]:
        """Note down what the watch says, and forget what is over for a day."""
        twin, found = self._twin, []
        began = twin.begins_s + self._first * twin.tick_s
        for drift in drifts:
            if drift.link in self._unknown:
                continue
            since, said = began + drift.since * twin.tick_s, began + (drift.at + 1) * twin.tick_s
            found.append(FoundDrift(drift, since, said))
            self._found[drift.link, drift.direction == 0] = found[-1]
        if self._found:
            now = twin.begins_s + twin.interval * twin.tick_s
            kept = {k: e for k, e in self._found.items() if e.open or e.said_s > now - _DAY_S}
            self._found = kept
            self.open = sum(each.open for each in kept.values())
        return found

    def _log(self, found: list[FoundDrift]) -> None:
        # What matters most comes first, where not all of it is said.
        ordered = sorted(found, key=lambda each: each.drift.kind != "shift")
        for each in ordered[:_MOST_LOGGED]:
            level = logging.WARNING if each.drift.kind == "shift" else logging.INFO
            _LOG.log(level, "%s", each)
        if rest := Counter(each.drift.kind for each in ordered[_MOST_LOGGED:]):
            more = ", ".join(f"{count} {kind}" for kind, count in rest.items())
            level = logging.WARNING if rest["shift"] else logging.INFO
            _LOG.log(level, "and of more links: %s", more)

    # What follows from it

    def _want(self, found: Iterable[FoundDrift]) -> None:
        if self._wanted is not None or all(each.drift.kind != "shift" for each in found):
            return
        # Of the last day: what was said before that is not kept.
        known = self._found.values()
        shifted = [each.drift.link for each in known if each.drift.kind == "shift"]
        if len(shifted) > _BY_CHANCE * len(self._twin.links):
            more = f" and {len(shifted) - 1} more" if len(shifted) > 1 else ""
            self._wanted = f"{_WHY}the level of {shifted[0]}{more} has shifted"

    def _note_refit(self) -> None:
        if self._twin.why.startswith(_WHY):
            self._refit_s = self._twin.begins_s + self._twin.first * self._twin.tick_s

    def _refit(self) -> None:
        """Begin the refit that is wanted, or say why not yet."""
        if self._wanted is None or self._twin.refitting is not None:
            return
        why = self._not_now()
        if why is None:
            try:
                self._twin.refit(self._wanted)
            except NotWrittenError:
                why = "nothing can be written"
        if why is None:
            self._refit_s = self._twin.begins_s + self._twin.interval * self._twin.tick_s
            self.refits["begun"] += 1
            _LOG.warning("policies and models learn again; %s", self._wanted)
            self._wanted = None
        elif why != self.waits:
            self.refits["put_off"] += 1
            _LOG.warning("policies and models do not learn again yet, %s; %s", why, self._wanted)
        self.waits = why

    def _not_now(self) -> str | None:
        twin, simulation = self._twin, self._twin.simulation
        now = twin.begins_s + twin.interval * twin.tick_s
        if self._refit_s is not None and now < self._refit_s + _DAY_S:
            return "for they did less than a day ago"
        for event in simulation.planned:
            ends = event.end(float("inf"))
            soon = event.begins < simulation.now + _DAY_S
            if event.acts_on == "flows" and soon and simulation.now < ends < float("inf"):
                return f"for an event of demand is under way or planned: {event.kind}"
        return None
