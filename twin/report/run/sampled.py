"""What the map of a run shows: every link at a bounded number of instants, and at its worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.report.run.event_spans import EventSpan
from twin.report.run.source import LinkIntervals, RunData

_NUMBERS = 250_000
"""Numbers of all links, instants and policies together: about a megabyte."""
_INSTANTS = (12, 145)
"""The fewest and the most instants."""


@dataclass(slots=True)
class WorstCase:
    """The interval of each link in which its load is highest against a limit, [links]."""

    ratio: Floats
    """Demand over the limit; NaN where no demand is known."""
    interval: Ints
    demand: Floats
    """Mbit/s"""
    limit: Floats
    """Mbit/s"""


@dataclass(slots=True)
class SampledLinks:
    """All links at some intervals, Mbit/s, [links, instants], and each at its worst."""

    instants: Ints
    """Numbers of the intervals."""
    demand: Floats
    capacity: Floats
    allocated: dict[str, Floats]
    """By policy."""
    worst: dict[str, WorstCase]
    """Against the allocation, by policy."""
    worst_capacity: WorstCase
    """Against the capacity."""


def instants(run: RunData, spans: Sequence[EventSpan]) -> Ints:
    """Return the intervals that a map shows: evenly spread, and those in which failures begin."""
    columns = len(run.links) * (1 + len(run.policies))
    fewest, most = _INSTANTS
    count = min(max(fewest, _NUMBERS // columns), most, run.intervals)
    even = np.linspace(0, run.intervals - 1, count).round().astype(np.int64)
    # The first whole interval of a failure, and its middle.
    failed = [span.touches(run.intervals, run.tick_s) for span in spans if span.outage]
    marks = [i for part in failed for i in (part.start + 1, (part.start + part.stop) // 2)]
    marked = np.array(marks[: count // 2], dtype=np.int64)
    return np.unique(np.concatenate([even, marked[marked < run.intervals]]))


class MapSamples:
    """Keeps the samples, one block of intervals after another."""

    def __init__(self, run: RunData, at: Ints) -> None:
        links, self._first = len(run.links), run.policies[0]
        shape = links, len(at)
        self.samples = SampledLinks(
            at,
            np.empty(shape),
            np.empty(shape),
            {name: np.empty(shape) for name in run.policies},
            {name: _unknown(links) for name in run.policies},
            _unknown(links),
        )

    def add(self, block: LinkIntervals, part: slice) -> None:
        """Add a block, whose links are at `part` among all links."""
        samples, at = self.samples, self.samples.instants
        samples.allocated[block.policy][part] = block.allocated[:, at]
        _take(samples.worst[block.policy], part, block.demand, block.allocated)
        if block.policy == self._first:
            samples.demand[part] = block.demand[:, at]
            samples.capacity[part] = block.capacity[:, at]
            # What a failed link is offered elsewhere loads it with nothing.
            up = np.where(block.capacity > 0, block.capacity, np.inf)
            _take(samples.worst_capacity, part, block.demand, up)


def _unknown(links: int) -> WorstCase:
    return WorstCase(
        np.full(links, np.nan), np.zeros(links, dtype=np.int64), np.zeros(links), np.zeros(links)
    )


def _take(worst: WorstCase, part: slice, demand: Floats, limit: Floats) -> None:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(demand > 0, demand / limit, np.where(np.isnan(demand), np.nan, 0.0))
    known = np.nan_to_num(ratio, nan=-1.0, posinf=np.inf)
    place = known.argmax(axis=1)
    rows = np.arange(len(demand))
    highest = known[rows, place]
    worst.ratio[part] = np.where(highest < 0, np.nan, highest)
    worst.interval[part] = place
    worst.demand[part] = demand[rows, place]
    worst.limit[part] = limit[rows, place]
