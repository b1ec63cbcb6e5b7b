"""What events do over a span of time, other than to the links and to what is offered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from twin.core.arrays import Bools, Floats
from twin.events.course import GONE, Decay


@dataclass(frozen=True, slots=True)
class Echo:
    """Demand that is lost in an outage, and comes back once the outage of its flow has ended.

    `factor` times what was lost, Mbit, is added in all: at first factor x lost x ln 2 / half_life,
    and half as much after every half-life.
    """

    start: float
    end: float
    """Outages of flows that end in [start, end) count, with what was lost from `start` on."""
    factor: float
    half_life: float
    flows: Bools

    def course(self, time: float, lost_mbit: Floats) -> Decay:
        """Return what comes back of what each flow had lost when its outage ends at `time`."""
        # Of an endless decay, GONE half-lives hold all but a share 2 ** -GONE.
        height = self.factor * lost_mbit * math.log(2) / self.half_life / (1 - 2.0**-GONE)
        end = time + GONE * self.half_life
        return Decay(time, end, 0.0, 1.0, height, lost_mbit > 0, half_life=self.half_life)


@dataclass(frozen=True, slots=True)
class Distortion:
    """What policies observe otherwise than it is: samples that are read in (start, end].

    A sample is read at the end of its interval. Values are first multiplied, then added to, then
    made noisy, and are at least 0; one that is lost is NaN, one that is late is NaN until it comes.
    """

    start: float
    end: float
    links: Bools
    factor: float = 1.0
    add_mbps: float = 0.0
    noise: float = 0.0
    """Standard deviation over the value."""
    noises: tuple[int, ...] = ()
    """Keys of the stream of noise of each link, beside the seed."""
    late: float = 0.0
    """Seconds."""
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    """Models make no forecasts at ticks in [start, end)."""

    start: float
    end: float
    answers: Literal["frozen", "nothing"]
    """What policies are answered: what was forecast before, or nothing."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """Policies keep their last request at ticks in [start, end)."""

    start: float
    end: float
    policies: tuple[str, ...]


Effect = Echo | Distortion | Silence | Freeze
