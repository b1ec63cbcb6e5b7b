"""The onset of an event: the rest of the interval in which it begins, that nothing announced."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from twin.account.block import AccountBlock
from twin.core.arrays import Floats, Ints
from twin.engine.recording import Recording


class Onsets(NamedTuple):
    """Intervals in which an event begins on a link, by link; arrays are [onsets]."""

    links: Ints
    """Positions among the recording's links."""
    intervals: Ints
    seconds: Floats
    """From the event's start to the end of the interval."""


def onsets(recording: Recording) -> Onsets:
    """Return the onsets of all events; of several in one interval the first counts."""
    at = {link: i for i, link in enumerate(recording.links)}
    seconds_left: dict[tuple[int, int], float] = {}
    for event in recording.events:
        interval = int(event.time_s // recording.tick_s)
        left = (interval + 1) * recording.tick_s - event.time_s
        for link in event.links if event.phase == "start" else ():
            cell = at[link], interval
            seconds_left[cell] = max(left, seconds_left.get(cell, 0.0))
    cells = np.array(sorted(seconds_left), dtype=np.int64).reshape(-1, 2)
    seconds = np.array([seconds_left[cell] for cell in sorted(seconds_left)])
    return Onsets(cells[:, 0], cells[:, 1], seconds)


def onset_s(block: AccountBlock, first: int, begun: Onsets) -> Floats:
    """Return the seconds of each link that are violated at an onset though capacity was there.

    `first` is the position of the block's first link among all links.
    """
    part = slice(*np.searchsorted(begun.links, (first, first + len(block.links))))
    links, intervals = begun.links[part] - first, begun.intervals[part]
    violated = np.minimum(block.metrics.violation_s[links, intervals], begun.seconds[part])
    seconds = np.maximum(violated - block.metrics.overload_s[links, intervals], 0.0)
    summed = np.zeros(len(block.links))
    np.add.at(summed, links, seconds)
    return summed
