"""In hindsight: what what-ifs said, held against what came.

Of what-ifs in which nothing was asked, or of what was there anyway, the outcome comes later. An
interval that is to hold it nine times in ten is right if it does: not more often either, since an
interval from nothing to everything always would.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from twin.account.uncertainty import share_interval
from twin.engine.recording import Recording
from twin.live.outcomes import Outcomes
from twin.live.what_if import OutcomeEstimate, WhatIf


@dataclass(frozen=True)
class ScoredEstimate:
    """One number of a what-if, and what it came to."""

    policy: str
    number: str
    estimate: OutcomeEstimate
    came: float

    @property
    def held(self) -> bool:
        """Whether the interval held what came."""
        return self.estimate.low <= self.came <= self.estimate.high


def in_hindsight(
    what: WhatIf, recording: Recording, *, asked: bool = False
) -> list[ScoredEstimate]:
    """Return what a what-if said of each policy, beside what is recorded since it was asked.

    What it said of things as they were, or with what was asked where that has happened. The
    recording goes on at least as far as the what-if does. Raises ValueError for one that does not.
    """
    first = round(what.at_s / what.tick_s)
    if recording.intervals < first + what.intervals:
        raise ValueError(f"{recording.intervals - first} of {what.intervals} intervals have closed")
    # Those that were only tried are not in the recording.
    recorded = {lane.name for lane in recording.lanes}
    own = replace(what, policies=tuple(name for name in what.policies if name in recorded))
    # Of the whole recording, the intervals that were spoken of.
    came = Outcomes.of(recording.between(first, first + what.intervals), own.policies)
    which = "asked" if asked else "without"
    return [
        ScoredEstimate(policy, number, what.estimates[policy][number][which], float(values[0]))
        for policy in own.policies
        for number, values in own.total(came, policy).items()
        if number != "unrouted_mbit"  # of which a part of a recording says nothing
    ]


class Reliability:
    """How often intervals held what came, by number, over many what-ifs."""

    def __init__(self) -> None:
        self._counts: dict[str, list[tuple[int, int]]] = {}

    def add(self, scores: Iterable[ScoredEstimate]) -> None:
        """Take the scores of a what-if, whose policies met the same demand."""
        held: dict[str, list[bool]] = {}
        for score in scores:
            held.setdefault(score.number, []).append(score.held)
        for number, each in held.items():
            self._counts.setdefault(number, []).append((sum(each), len(each)))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield for each number the share that was held, with its 95 % interval, and how many.

        What-ifs count as independent, the policies of one do not.
        """
        for number, counts in self._counts.items():
            hits, known = np.array(counts, dtype=np.float64).T
            low, high = share_interval(hits, known)
            yield {
                "number": number, "held": float(hits.sum() / known.sum()), "low": float(low),
                "high": float(high), "n": len(counts),
            }  # fmt: skip
