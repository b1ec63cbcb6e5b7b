"""Test scenarios: ten hours of up to five links, each with a difficulty that trips policies up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from twin.core.arrays import Floats

TICK_S: Final = 300
HISTORY: Final = 400
"""Samples on which policies may fit: a little over four seasons."""
REPLAYED: Final = 120
"""Samples replayed at the most."""
SEASON: Final = 96
"""Samples in a season, eight hours."""
_LEVELS: Final = (40.0, 900.0, 7.0, 250.0, 3000.0)
"""Mean demand of each link, Mbit/s."""


@dataclass(frozen=True, slots=True)
class ConformanceScenario:
    """A small test scenario: a demand, the events on it, and a hint for who fails on it."""

    name: str
    demand: Floats
    """Mbit/s, [samples, links]; NaN where missing."""
    hint: str = ""
    """What the author of a policy that fails here should look at."""
    history: int = HISTORY
    """Samples on which a policy may fit."""
    skipped: int = 0
    """Samples between the history and the replay."""
    events: tuple[dict[str, Any], ...] = ()
    """As a scenario file writes them."""
    decisive: bool = True
    """Whether no number is a failure here; else a scenario with a `fallback` may still use it."""

    @property
    def links(self) -> tuple[str, ...]:
        """Names of the links."""
        return tuple(f"link-{i + 1}" for i in range(self.demand.shape[1]))

    @property
    def first(self) -> int:
        """First replayed sample."""
        return self.history + self.skipped


def five_links() -> ConformanceScenario:
    """Return the plain scenario: five links of different levels, each with a season and noise."""
    rng = np.random.default_rng(2023)
    time = np.arange(HISTORY + REPLAYED)[:, None]
    phase = rng.uniform(0, 1, len(_LEVELS))
    season = 1 + rng.uniform(0.2, 0.6, len(_LEVELS)) * np.sin(2 * np.pi * (time / SEASON + phase))
    noise = 1 + 0.04 * rng.standard_normal((len(time), len(_LEVELS)))
    hint = "answer with a number for each link"
    return ConformanceScenario("five links", np.array(_LEVELS) * season * noise, hint)


def scenarios() -> Iterator[ConformanceScenario]:
    """Yield every test scenario, the plain one first."""
    plain = five_links()
    yield plain
    hint = "arrays are [samples, links] also where there is one link"
    yield replace(plain, name="one link", demand=plain.demand[:, :1], hint=hint)
    yield from _with_other_demand(plain)
    failure = {"kind": "link_failure", "links": ["link-2"], "start": "1h 2min", "duration": "2h"}
    hint = "a link that is down keeps its allocation; observation.down marks it"
    yield replace(plain, name="a failed link", events=(failure,), hint=hint)
    hint = "what is skipped is shown by the first observation, not by the history"
    yield replace(plain, name="a replay that starts later", skipped=30, hint=hint)
    hint = "the history may be shorter than what you fit on"
    short = plain.demand[HISTORY - 30 : HISTORY + 60]
    yield replace(plain, name="a short history", demand=short, history=30, hint=hint)


def _with_other_demand(plain: ConformanceScenario) -> Iterator[ConformanceScenario]:
    """Yield the plain scenario with another demand on some of its links."""
    gaps, longer, zeros, constant, jumps = (plain.demand.copy() for _ in range(5))
    # Before the first known sample, in the history, across its end, and in the replay; up to 40
    # minutes there, and then for hours.
    short = [(0, 60), (100, 130), (396, 404), (430, 438), (402, 410)]
    hours = [(0, 60), (100, 130), (380, 420), (430, 460), (410, 520)]
    for link in range(len(short)):
        gaps[slice(*short[link]), link] = np.nan
        longer[slice(*hours[link]), link] = np.nan
    hint = "what is missing is NaN: use np.nan... functions or observation.last_known_mbps"
    yield replace(plain, name="gaps", demand=gaps, hint=hint)
    hint += "; as it is, the run ends there, or a stated 'fallback' decides"
    yield replace(plain, name="gaps of hours", demand=longer, hint=hint, decisive=False)
    zeros[:, 0] = 0
    zeros[np.arange(len(zeros)) % SEASON < SEASON // 2, 1] = 0
    zeros[:HISTORY, 2] = 0
    zeros[HISTORY:, 3] = 0
    hint = "mind divisions by the demand, or by how much it varies"
    yield replace(plain, name="zeros", demand=zeros, hint=hint)
    constant[:, :4] = _LEVELS[:4]
    yield replace(plain, name="constant demand", demand=constant, hint=hint)
    jumps[HISTORY + 40 :, 0] *= 10
    jumps[HISTORY + 40 :, 1] /= 10
    jumps[HISTORY + 30, 2] *= 100
    jumps[200:HISTORY, 3] *= 20
    hint = "a level may change for good, or for one interval"
    yield replace(plain, name="jumps", demand=jumps, hint=hint)
    levels = plain.demand * np.array([1e-9, 1e-6, 1.0, 1e6, 1e9])
    hint = "levels differ by many decades: mind absolute numbers"
    yield replace(plain, name="very small and very large levels", demand=levels, hint=hint)
