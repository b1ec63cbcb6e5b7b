"""The course of a change of demand: how much of it is there at any instant.

Demand becomes (base as moved by shifts) x product of factors + sum of additions, and at least 0. Of
each course a share of its height counts, by its shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from twin.core.arrays import Bools, Floats, Ints

GONE = 20
"""Half-lives after which nothing of a decay is left: a millionth."""


@dataclass(frozen=True, slots=True)
class Course:
    """Demand becomes base x factor + add_mbps; times in seconds from the start of the replay.

    It is at its height from `start + ramp` to `end - ramp`; before that it rises, and after that it
    falls, linearly.
    """

    start: float
    end: float
    ramp: float
    factor: float
    add_mbps: float | Floats
    """Mbit/s, of each flow alike or [flows]."""
    flows: Bools
    """Demand series that it touches, [flows]."""

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """When it changes: begin, end of the rise, begin of the fall, end."""
        return (self.start, self.start + self.ramp, self.end - self.ramp, self.end)

    @property
    def lowers(self) -> bool:
        """Whether its addition takes demand away."""
        return bool(np.any(np.asarray(self.add_mbps) < 0))

    def share(self, times: Floats) -> Floats:
        """Return its share of its height at some instants of [start, end)."""
        if self.ramp == 0:
            return np.ones_like(times)
        rise, fall = (times - self.start) / self.ramp, (self.end - times) / self.ramp
        return np.minimum(1.0, np.minimum(rise, fall))

    def degree(self, start: float, end: float) -> int:
        """Return the degree of the polynomial that its share is between two breakpoints.

        For a share that is none: of one that differs from it by less than what a float resolves.
        """
        middle = (start + end) / 2
        return int(not self.start + self.ramp <= middle < self.end - self.ramp)


@dataclass(frozen=True, slots=True)
class Decay(Course):
    """A course that rises over its `ramp`, and then halves with every half-life."""

    half_life: float = 1.0

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """When it changes; and often enough for what is between to be nearly a polynomial."""
        peak = self.start + self.ramp
        parts = [peak + 4 * k * self.half_life for k in range(GONE // 4)]
        return (self.start, *(time for time in parts if time < self.end), self.end)

    def share(self, times: Floats) -> Floats:
        """Return its share of its height at some instants of [start, end)."""
        age = times - (self.start + self.ramp)
        left = np.exp2(-np.maximum(age, 0.0) / self.half_life)
        return np.where(age < 0, (times - self.start) / (self.ramp or 1.0), left)

    def degree(self, start: float, end: float) -> int:
        """Return the degree of the polynomial that its share is between two breakpoints."""
        if (start + end) / 2 < self.start + self.ramp:
            return 1
        return _degree_of_exponential(math.log(2) * (end - start) / self.half_life)


@dataclass(frozen=True, slots=True)
class Compounding(Course):
    """A course that compounds: factor ** ((t - start) / period), up to `settles` and level then."""

    period: float = 1.0
    settles: float = math.inf

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """When it changes: begin, where growth ends, end."""
        return (self.start, min(self.settles, self.end), self.end)

    def share(self, times: Floats) -> Floats:
        """Return its share of its height, which it exceeds after one period."""
        age = np.minimum(times, self.settles) - self.start
        # factor ** x - 1 = exp(x log factor) - 1, without losing what is small.
        return np.expm1(age / self.period * math.log(self.factor)) / (self.factor - 1)

    def degree(self, start: float, end: float) -> int:
        """Return the degree of the polynomial that its share is between two breakpoints."""
        if (start + end) / 2 >= self.settles:
            return 0
        return _degree_of_exponential(abs(math.log(self.factor)) * (end - start) / self.period)


@dataclass(frozen=True, slots=True)
class Shift(Course):
    """Moves a share of the base demand of some flows to others, as a course with ramps.

    `flows` are all that it touches; `factor` and `add_mbps` do not count.
    """

    height: float = 1.0
    """Share that has moved between the ramps."""
    sources: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Flows that demand moves from, [moves]."""
    targets: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Flows that it moves to, [moves]; -1 where it loads no link any more."""
    smooth: bool = False
    """Whether a ramp is 3 u^2 - 2 u^3, which begins and ends slowly, instead of u."""

    def share(self, times: Floats) -> Floats:
        """Return its share of its height at some instants of [start, end)."""
        # Both would need super(), which a dataclass with slots has not.
        u = Course.share(self, times)
        return u * u * (3 - 2 * u) if self.smooth else u

    def degree(self, start: float, end: float) -> int:
        """Return the degree of the polynomial that its share is between two breakpoints."""
        return Course.degree(self, start, end) * (3 if self.smooth else 1)

    def moved(self, base: Floats, times: Floats) -> Floats:
        """Return `base`, [..., flows], as it is once the share of these instants, [...], moved."""
        away = base[..., self.sources] * (self.height * self.share(times))[..., None]
        after = base.copy()
        after[..., self.sources] -= away
        kept = self.targets >= 0
        for source, target in zip(np.flatnonzero(kept), self.targets[kept], strict=True):
            # Several may move to the same.
            after[..., target] += away[..., source]
        return after


def _degree_of_exponential(exponent: float) -> int:
    """Return the degree of a polynomial that stands for exp(exponent x) on [0, 1].

    Gauss-Legendre with n nodes errs by at most a^(2n) (n!)^4 / ((2n + 1) (2n)!^3), a the exponent.
    """
    for n in range(1, 12):
        error = exponent ** (2 * n) * math.factorial(n) ** 4
        if error < 1e-17 * (2 * n + 1) * math.factorial(2 * n) ** 3:
            return 2 * n - 1
    return 23
