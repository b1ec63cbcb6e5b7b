"""Events as spans of time, from the log of their starts and ends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from twin.core.printable import listed
from twin.core.units import duration
from twin.events.base import Event, event_kinds
from twin.events.outage import Outage
from twin.report.html.markup import some
from twin.report.run.source import RunData

_OWN = ("kind", "name", "links", "start", "duration")


@dataclass(frozen=True, slots=True)
class EventSpan:
    """One event, from `start` to `end`, seconds since the start of the replay."""

    kind: str
    name: str
    links: tuple[str, ...]
    start: float
    end: float
    details: dict[str, Any]
    """Its keys in the scenario other than kind, name, links and times."""

    @property
    def outage(self) -> bool:
        """Whether its links are down in its time."""
        return issubclass(event_kinds().get(self.kind, Event), Outage)

    @property
    def failed(self) -> str:
        """What is down in a failure: the sites or groups that it names, else its links."""
        named = self.details.get("sites") or self.details.get("groups")
        return some([named] if isinstance(named, str) else list(named or self.links))

    @property
    def label(self) -> str:
        """Its name, else its kind."""
        return self.name or self.kind

    def touches(self, intervals: int, tick_s: int) -> slice:
        """Return the intervals that it overlaps."""
        start = min(int(self.start // tick_s), intervals)
        return slice(start, min(math.ceil(self.end / tick_s), intervals))


def event_spans(run: RunData) -> list[EventSpan]:
    """Return every event of the run, in order of its start."""
    replayed = float(run.intervals * run.tick_s)
    written = _written(run.scenario)
    running: dict[tuple[str, str, str], list[float]] = {}
    events: list[EventSpan] = []
    for row in run.events.to_dict("records"):
        key = (str(row["kind"]), str(row["name"]), str(row["links"]))
        time = float(row["time_s"])
        if row["phase"] == "start":
            running.setdefault(key, []).append(time)
        elif row["phase"] == "end" and running.get(key):
            events.append(_span(written, key, running[key].pop(0), time))
    events += [
        _span(written, key, start, replayed) for key, starts in running.items() for start in starts
    ]
    return sorted(events, key=lambda span: (span.start, span.end, span.label))


WrittenEvents = dict[tuple[str, float], list[dict[str, Any]]]
"""The scenario's events, by kind and start."""


def _written(scenario: dict[str, Any]) -> WrittenEvents:
    events: WrittenEvents = {}
    for event in scenario.get("events", ()):
        if "start" in event:
            events.setdefault((event["kind"], duration(event["start"])), []).append(event)
    return events


def _span(written: WrittenEvents, key: tuple[str, str, str], start: float, end: float) -> EventSpan:
    kind, name, links = key
    events = sorted(written.get((kind, start), ()), key=lambda event: event.get("name") != name)
    details = {k: v for event in events[:1] for k, v in event.items() if k not in _OWN}
    return EventSpan(kind, name, listed(links), start, end, details)
