"""Events as spans of time, paired from the log of what started and ended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from twin.core.units import duration
from twin.report.run.source import Report

_OWN = ("kind", "name", "links", "start", "duration")


@dataclass(frozen=True, slots=True)
class Span:
    """One event, from `start` to `end`, seconds since the start of the replay."""

    kind: str
    name: str
    links: tuple[str, ...]
    start: float
    end: float
    details: dict[str, Any]
    """What the scenario says of it beyond kind, links and times."""

    @property
    def label(self) -> str:
        """Its name, else its kind."""
        return self.name or self.kind

    def touches(self, intervals: int, tick_s: int) -> slice:
        """Return the intervals that it overlaps."""
        start = min(int(self.start // tick_s), intervals)
        return slice(start, min(math.ceil(self.end / tick_s), intervals))


def spans(report: Report) -> list[Span]:
    """Return every event of the run, in order of its start."""
    replayed = float(report.intervals * report.tick_s)
    written = _written(report.scenario)
    running: dict[tuple[str, str, str], list[float]] = {}
    found: list[Span] = []
    for row in report.events.to_dict("records"):
        key = (str(row["kind"]), str(row["name"]), str(row["links"]))
        time = float(row["time_s"])
        if row["phase"] == "start":
            running.setdefault(key, []).append(time)
        elif row["phase"] == "end" and running.get(key):
            found.append(_span(written, key, running[key].pop(0), time))
    found += [
        _span(written, key, start, replayed) for key, starts in running.items() for start in starts
    ]
    return sorted(found, key=lambda span: (span.start, span.end, span.label))


Written = dict[tuple[str, float], list[dict[str, Any]]]
"""The scenario's events, by kind and start."""


def _written(scenario: dict[str, Any]) -> Written:
    found: Written = {}
    for event in scenario.get("events", ()):
        if "start" in event:
            found.setdefault((event["kind"], duration(event["start"])), []).append(event)
    return found


def _span(written: Written, key: tuple[str, str, str], start: float, end: float) -> Span:
    kind, name, links = key
    events = sorted(written.get((kind, start), ()), key=lambda event: event.get("name") != name)
    details = {k: v for event in events[:1] for k, v in event.items() if k not in _OWN}
    return Span(kind, name, tuple(links.split(";")) if links else (), start, end, details)
