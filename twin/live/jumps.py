"""Jumps: demand that is at another level from one minute to the next, and stays there.

A level that changes at once stands out of the half-hour before it long before it stands out of
what is usual at this place in the season: that differs from week to week by more than demand does
within minutes. Let r be the logarithm of demand over what is usual. With n samples in half an hour,
the latest n are held against the median b of the n before them:

    up = min(r) - b,   down = b - max(r)   over the latest n.

Noise and bursts that end within the half-hour leave both small; a level that is f times what it was
makes one of them log f. There is a jump where one is beyond the link's threshold: 1.5 times the
third largest of its daily maxima over two weeks, so that what a link does of its own accord every
week is none, and two incidents in its past hide no third. What is less than a fifth is none either.

So a jump is found after half an hour. Of jumps by 0.7 and 1.4 that were added to real traffic this
finds 88 to 100 % within the hour, by series (tests/bench/drift.py); the CUSUM of
:mod:`twin.live.drift`, which sees what changes slowly, found 0 to 45 % of them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from twin.core.arrays import Floats

_WINDOW_S: Final = 1800
_SAMPLE_S: Final = 300
"""What comes more often is held together."""
_LEAST_SAMPLES: Final = 3
"""What comes less often takes longer than half an hour."""
_DAY_S: Final = 86_400
_LEAST_JUMP: Final = float(np.log(1.2))
_BEYOND: Final = 1.5
"""How far beyond what the past has shown a jump is."""
_WARIER: Final = 1.05
"""What the threshold is multiplied by after a jump: what happens often is nothing new."""


class Jump(NamedTuple):
    """Where the level of a link has jumped."""

    link: int
    direction: int
    before: float
    """Demand over what is usual, before it."""


class JumpMonitor:
    """Watches the level of all links at once, one sample at a time."""

    def __init__(self, past: Floats, tick_s: int) -> None:
        """Learn from the past how far links jump of their own accord.

        `past` is demand over what is usual, [samples, links]; NaN, and what is not above 0, is
        missing.
        """
        self._together = max(_SAMPLE_S // tick_s, 1)
        sample_s = tick_s * self._together
        self._count = max(_WINDOW_S // sample_s, _LEAST_SAMPLES)
        self.samples = self._count * self._together
        """Number of samples that a jump is seen by."""
        links = past.shape[1]
        self._part = np.empty((0, links))
        self._recent = np.full((2 * self._count, links), np.nan)
        self._threshold = np.full(links, _LEAST_JUMP)
        self._learn(past, max(_DAY_S // tick_s, 1))

    def _learn(self, past: Floats, day: int) -> None:
        days = len(past) // day
        # Of less than two weeks, fewer days may have held what is not the link's own accord.
        rank = min(days // 7, 2)
        largest = np.zeros((rank + 1, past.shape[1]))
        for number in range(days):
            begin = len(past) - (days - number) * day
            highest = np.zeros(past.shape[1])
            for row in past[begin : begin + day]:
                if self._take(row):
                    _, up, down = self._apart()
                    highest = np.fmax(highest, np.fmax(up, down))
            largest = np.sort(np.vstack([largest, highest]), axis=0)[1:]
        self._threshold = np.maximum(_BEYOND * largest[0], _LEAST_JUMP)

    def update(self, ratio: Floats) -> list[Jump]:
        """Take a sample of demand over what is usual, [links], and return what has jumped."""
        if not self._take(ratio):
            return []
        before, up, down = self._apart()
        with np.errstate(invalid="ignore"):
            jumped = np.flatnonzero(np.fmax(up, down) > self._threshold)
        return [
            Jump(link, 1 if up[link] > self._threshold[link] else -1, float(np.exp(before[link])))
            for link in jumped.tolist()
        ]

    def _take(self, ratio: Floats) -> bool:
        """Take a sample; return whether what is held together is whole."""
        row = ratio if self._together == 1 else self._gathered(ratio)
        if row is None:
            return False
        logs = np.log(row, out=np.full(len(row), np.nan), where=row > 0)
        self._recent = np.vstack([self._recent[1:], logs])
        return True

    def _gathered(self, ratio: Floats) -> Floats | None:
        self._part = np.vstack([self._part, ratio])
        if len(self._part) < self._together:
            return None
        known = self._part > 0
        total = np.where(known, self._part, 0.0).sum(axis=0)
        self._part = self._part[:0]
        count = known.sum(axis=0)
        enough = 2 * count >= self._together
        return np.asarray(np.divide(total, count, out=np.zeros(len(total)), where=enough))

    def _apart(self) -> tuple[Floats, Floats, Floats]:
        """Return the level before, and how far all that came since is above and below it, [links].

        NaN where too little is known: half of what was before, or all but one of what came since.
        """
        n = self._count
        before, since = np.sort(self._recent[:n], axis=0), self._recent[n:]
        known = np.isfinite(before).sum(axis=0)
        middle = [np.maximum(place, 0)[None] for place in ((known - 1) // 2, known // 2)]
        low, high = (
            np.take_along_axis(before, np.minimum(place, n - 1), axis=0)[0] for place in middle
        )
        enough = (2 * known >= n) & (np.isfinite(since).sum(axis=0) >= n - 1)
        level = np.where(enough, (low + high) / 2, np.nan)
        return level, np.fmin.reduce(since) - level, level - np.fmax.reduce(since)

    def told(self, link: int) -> None:
        """Be warier of a link of which a jump was told."""
        self._threshold[link] *= _WARIER

    def forget(self, link: int) -> None:
        """Forget what was before the latest sample: it is no level to return to."""
        self._recent[:-1, link] = np.nan
