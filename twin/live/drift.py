"""Drift: links whose demand is no longer what their past says it should be.

What changes at once is found within half an hour by :mod:`twin.live.jumps`. What changes over hours
or days stands out of what is usual: a policy that is fitted on history trusts that to stay true.
So what is watched is not the error of the next forecast, which follows a new level within an
interval, but that of a slow expectation: what is usual at this place in the season, times a ratio
that follows demand with a half-life of days (:class:`twin.live.usual_level.UsualLevel`).

Let z be that error in units of what is usual at this hour, and q the 99 % quantile of |z| on this
link. Upwards (and the same downwards)

    S <- max(0, S + min(z / q, c) - 1),

a CUSUM (Page 1954) whose allowance is q, so that a link whose errors have heavy tails, or stay on
one side for hours, has a wide one. There is an alarm where S > h. With c = 2.5 and h = 20 no 13
samples can raise it, and a level that is off by 2 q does so in 21: a shorter surge is found as a
jump, or is none. The beginning is where S last was 0.

What is off for no longer than a few hours was a surge; what stays is a shift. Nobody can tell the
two apart when they begin, so that the alarm says `change`, and `surge` or `shift` follows. What did
not come, and zeros on a link that is never idle, are failures of the collection: they are no
errors, and are reported as what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from twin.core.arrays import Bools, Floats
from twin.live.jumps import Jump, JumpMonitor
from twin.live.usual_level import ALLOWANCE, LEAST_ALLOWANCE, UsualLevel

_MOST: Final = 2.5
"""The most that an error counts, in allowances."""
_ALARM: Final = 20.0
"""The sum above which there is an alarm."""
_WARIER: Final = 1.15
"""What the allowance is multiplied by after an alarm: what happens often is nothing new."""
_SURGE_S: Final = 4 * 3600
"""What lasts longer is a shift."""
_CALM_S: Final = 1800
"""What is usual again for as long is over."""
_MISSING_S: Final = 1800
"""What does not come for as long is a failure of the collection."""
_QUANTILE_STEP: Final = 0.02


class Drift(NamedTuple):
    """Something about a link that its past does not explain."""

    link: str
    kind: str
    """``change``, then ``shift`` or ``surge``; ``missing`` telemetry, then ``back``."""
    since: int
    """The first sample of it, counted as :meth:`DriftMonitor.update` was called."""
    at: int
    """The sample after which it is said."""
    direction: int
    """1: demand is above what was expected; -1: below; 0: it is missing."""
    size_mbps: float
    """The mean error since then, Mbit/s."""
    in_scales: float
    """The same in units of the usual mean error."""


class DriftMonitor:
    """Watches the errors of all links at once, one sample at a time."""

    def __init__(
        self, links: Sequence[str], tick_s: int = 300, allowance: Floats | None = None
    ) -> None:
        """Know nothing but, where it was seen, the `allowance` of each link, in mean errors."""
        self.links = tuple(links)
        count = len(self.links)
        self._allowance = np.full(count, 4.0) if allowance is None else allowance.copy()
        self._sum = np.zeros((2, count))
        self._begun = np.zeros((2, count), dtype=np.int64)
        # Since S was last 0, or since the alarm: errors and their scales, summed.
        self._total, self._scaled, self._known = np.zeros((3, 2, count))
        self.off = np.zeros(count, dtype=np.int64)
        """Direction of a change that is not over and not yet a shift, 0 for none, [links]."""
        self._near = np.ones(count)
        """Errors below this many mean ones are usual again, after a change."""
        self._since, self._calm, self._missing = np.zeros((3, count), dtype=np.int64)
        self._surge, self._rest, self._gone = (
            max(seconds // tick_s, 1) for seconds in (_SURGE_S, _CALM_S, _MISSING_S)
        )
        self._samples = 0

    def update(
        self, errors: Floats, scales: Floats, jumps: Iterable[Jump] = (), seen_by: int = 1
    ) -> list[Drift]:
        """Take the errors of a sample, Mbit/s, and their usual mean size, [links].

        NaN is missing. `jumps` were seen by so many samples up to this one, and errors are from
        the level before them. Returns what is to be said of any link.
        """
        found: list[Drift] = []
        missing = np.isnan(errors)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(missing | ~(scales > 0), 0.0, errors / scales)
        found += self._take_missing(missing)
        relative = z / self._allowance
        free = (self.off == 0) & ~missing
        for side, sign in enumerate((1, -1)):
            add = np.minimum(sign * relative, _MOST) - 1
            fresh = free & (self._sum[side] == 0) & (add > 0)
            self._restart(side, fresh)
            summed = np.maximum(self._sum[side] + add, 0.0)
            self._sum[side] = np.where(free, summed, self._sum[side])
            self._accumulate(side, errors, z, ~missing)
            for link in np.flatnonzero(free & (self._sum[side] > _ALARM)).tolist():
                self._near[link] = self._allowance[link] / 2
                self._allowance[link] *= _WARIER
                found.append(self._change(link, side, self._begun[side, link]))
        jumps = [jump for jump in jumps if not self.off[jump.link]]
        found += [self._jumped(jump, errors, z, seen_by) for jump in jumps]
        found += self._settle(z, missing)
        self._learn_allowance(z, free & (self._sum.max(axis=0) == 0))
        self._samples += 1
        return found

    def _jumped(self, jump: Jump, errors: Floats, z: Floats, seen_by: int) -> Drift:
        """Begin a change that was seen at once; what came of it so far is as far off as now."""
        link, side = jump.link, 0 if jump.direction > 0 else 1
        self._total[side, link] = seen_by * errors[link]
        self._scaled[side, link] = seen_by * z[link]
        self._known[side, link] = seen_by
        self._near[link] = abs(z[link]) / 4
        return self._change(link, side, self._samples - seen_by + 1)

    def _change(self, link: int, side: int, since: int) -> Drift:
        self.off[link], self._since[link] = 1 if side == 0 else -1, since
        self._calm[link] = 0
        return self._drift(link, "change", side)

    def _restart(self, side: int, fresh: Bools) -> None:
        self._begun[side][fresh] = self._samples
        for each in (self._total, self._scaled, self._known):
            each[side][fresh] = 0.0

    def _accumulate(self, side: int, errors: Floats, z: Floats, known: Bools) -> None:
        self._total[side] += np.where(known, errors, 0.0)
        self._scaled[side] += z
        self._known[side] += known

    def _drift(self, link: int, kind: str, side: int) -> Drift:
        count = max(self._known[side, link], 1.0)
        direction = 1 if side == 0 else -1
        return Drift(
            self.links[link], kind, int(self._since[link]), self._samples, direction,
            float(self._total[side, link] / count), float(self._scaled[side, link] / count),
        )  # fmt: skip

    def _settle(self, z: Floats, missing: Bools) -> list[Drift]:
        """Return which changes are over, and which have lasted so long that they are shifts."""
        found = []
        off = (self.off != 0) & ~missing
        usual = off & (self.off * z < self._near)
        self._calm = np.where(usual, self._calm + 1, np.where(off, 0, self._calm))
        over = off & (self._calm >= self._rest)
        lasted = off & ~over & (self._samples - self._since >= self._surge) & (self._calm == 0)
        for link in np.flatnonzero(over | lasted).tolist():
            side = 0 if self.off[link] > 0 else 1
            found.append(self._drift(link, "surge" if over[link] else "shift", side))
            self.off[link] = 0
            self._sum[:, link] = 0.0
        return found

    def _take_missing(self, missing: Bools) -> list[Drift]:
        found = []
        before = self._missing
        self._missing = np.where(missing, before + 1, 0)
        for link in np.flatnonzero(self._missing == self._gone).tolist():
            since = self._samples - self._gone + 1
            found.append(Drift(self.links[link], "missing", since, self._samples, 0, 0.0, 0.0))
        for link in np.flatnonzero(~missing & (before >= self._gone)).tolist():
            since = self._samples - int(before[link])
            found.append(Drift(self.links[link], "back", since, self._samples, 0, 0.0, 0.0))
        return found

    def _learn_allowance(self, z: Floats, calm: Bools) -> None:
        """Follow the quantile (Robbins and Monro 1951), on a logarithmic scale."""
        step = _QUANTILE_STEP * ((np.abs(z) > self._allowance) - (1 - ALLOWANCE))
        moved = self._allowance * np.exp(np.where(calm, step, 0.0))
        self._allowance = np.maximum(moved, LEAST_ALLOWANCE)


class DriftWatch:
    """Finds drift in demand itself: expectation and monitor together."""

    def __init__(self, links: Sequence[str], past: Floats, tick_s: int) -> None:
        """Learn what is usual from the past, Mbit/s, [samples, links]."""
        self.links = tuple(links)
        self._usual = UsualLevel(past, tick_s)
        self.monitor = DriftMonitor(links, tick_s, self._usual.allowance)
        self._jumps = JumpMonitor(self._usual.ratios(past), tick_s)
        self._place = {link: place for place, link in enumerate(self.links)}
        self._level = np.ones(len(self.links))
        self._recent = 1 - 0.5 ** (tick_s / 1800)

    def update(self, demand: Floats) -> list[Drift]:
        """Take the demand of the interval that has closed, Mbit/s, [links]; NaN is missing.

        What has shifted is expected at its new level from then on.
        """
        errors, scales = self._usual.errors(demand)
        jumps = [
            jump
            for jump in self._jumps.update(self._usual.ratio(demand))
            if not (self.monitor.off[jump.link] or np.isnan(errors[jump.link]))
        ]
        for jump in jumps:
            # The half-hour before says better what there would have been than the season does.
            self._usual.expect(jump.link, jump.before)
            self._jumps.told(jump.link)
        if jumps:
            errors, scales = self._usual.errors(demand)
        jumps = [jump for jump in jumps if jump.direction * errors[jump.link] > 0]
        expected = demand - errors
        ratio = np.divide(demand, expected, out=np.ones_like(demand), where=expected > 0)
        known = ~np.isnan(errors)
        followed = self._level + self._recent * (ratio - self._level)
        self._level = np.where(known, followed, self._level)
        for jump in jumps:
            self._level[jump.link] = ratio[jump.link]
        found = self.monitor.update(errors, scales, jumps, self._jumps.samples)
        for drift in found:
            if drift.kind == "shift":
                place = self._place[drift.link]
                self._usual.rescale(place, float(self._level[place]))
                self._level[place] = 1.0
            elif drift.kind == "surge":
                self._jumps.forget(self._place[drift.link])
        self._usual.learn(demand, self.monitor.off == 0)
        return found
