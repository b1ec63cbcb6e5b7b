"""What workers do with a copy of the twin: outlooks, what-ifs, scores.

A worker keeps the demand paths of the interval that it was asked about last: whoever asks next
within the same interval has them for nothing. Of the forecasts that they are made from, which are
most of the work, it keeps all; who asks in a later interval waits for what has come since.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.api.simulation import Simulation
from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem
from twin.core.units import DAY_S, format_duration
from twin.events.base import Event
from twin.live.demand_paths import DemandPaths
from twin.live.http.answering import check_wanted
from twin.live.http.question import WhatIfQuestion
from twin.live.what_if import KeptForecasts, demand_paths
from twin.live.what_if import what_if as tried

HORIZONS_S: Final = (6 * 3600, DAY_S)
"""How far paths go: as far as is asked, or the next of these."""
LEVELS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
RISK_S: Final = 2 * 3600
"""How far ahead a link is at risk."""
_REPLICATIONS: Final = 50
_DRAWN: Final = 200
_MOST_NUMBERS: Final = 20_000_000
"""Replications x intervals x links that are held at once."""

_PLACE: Final = re.compile(
    r"((?:events|links|policies)\.[^\s:]+): (?:([a-z_0-9.]+): )?(.*)", re.DOTALL
)
"""What begins with a place and perhaps a key there."""

Key = tuple[int, int]
"""Of what a copy is: the first interval since the twin began anew, and that under way."""


class FanOfLinks(NamedTuple):
    """What the forecast makes of the next hours."""

    made: int
    """The interval before which it was made, since the live began."""
    quantiles_mbps: NDArray[np.float32]
    """[intervals, links, levels]"""
    chances: NDArray[np.float32]
    """How likely each link is short some time within the next RISK_S, as things are, [links]."""
    answer: dict[str, Any]
    """What would be answered if it were asked what happens where nothing does."""


_kept: dict[int, tuple[Key, DemandPaths]] = {}
"""By horizon: of what they are, and the paths."""
_forecasts: dict[int, KeptForecasts] = {}
"""Of the twin since it began anew in that interval."""


def what_if(snapshot: bytes, key: Key, question: WhatIfQuestion) -> dict[str, Any]:
    """Answer what would happen from the snapshot on; `key` says of which interval it is."""
    simulation = Simulation.restore(snapshot)
    try:
        answer = tried(
            simulation,
            events=[_from_now(event, simulation.now) for event in question.events],
            links=question.written_links(),
            policies=question.policies,
            for_s=question.for_s,
            replications=question.replications,
            seed=question.seed,
            paths=_paths(simulation, key, question.for_s),
            progress=lambda *_: check_wanted(),
        )
    except InputError as error:
        raise InputError([_placed(problem) for problem in error.problems]) from None
    return answer.as_dict()


def outlook(snapshot: bytes, key: Key, acting: str, horizon_s: float) -> FanOfLinks:
    """Return the forecast of all links, and how likely each is short as things are."""
    simulation = Simulation.restore(snapshot)
    paths = _paths(simulation, key, horizon_s)
    answer = tried(
        simulation, policies=[acting], for_s=RISK_S, replications=_REPLICATIONS, paths=paths
    )
    short = answer.asked.violated_minutes[:, 0] > 0
    chances = short.mean(axis=0).astype(np.float32)
    return FanOfLinks(key[1], _quantiles(simulation, paths), chances, answer.as_dict())


def score(snapshot: bytes, key: Key, acting: str, days: Path) -> dict[str, Any]:
    """Score the policies on what is recorded in the snapshot, and before it in the days kept.

    There are no spans where that is nothing.
    """
    from twin.live.kept_past import with_past
    from twin.live.scoreboard import SPANS, Scoreboard

    # It may have begun anew at this very tick.
    result = Simulation.restore(snapshot)._result()
    longest = max(SPANS.values()) // result.recording.tick_s
    missing = longest - result.recording.intervals
    recording = with_past(result.recording, days, key[0], missing)
    if not recording.intervals:
        return {"acting": acting, "spans": []}
    return Scoreboard.of(result, acting, recording=recording).as_dict()


def _placed(problem: Problem) -> Problem:
    """Return a problem with what was asked as its place, where that stands in its text."""
    said = _PLACE.fullmatch(problem.what)
    if problem.where or said is None:
        return problem
    where = said[1] if said[2] is None else f"{said[1]}.{said[2]}"
    return Problem(said[3], where, suggestion=problem.suggestion)


def _from_now(event: Event, now: float) -> dict[str, Any]:
    """Return an event whose start counts from now as one whose start counts from the beginning."""
    written = event.model_dump(mode="json", by_alias=True, exclude_none=True)
    if event.start is None:
        return written | {"start": "now"}
    if isinstance(event.start, float):
        return written | {"start": format_duration(now + event.start)}
    return written


def _paths(simulation: Simulation, key: Key, for_s: float) -> DemandPaths:
    horizon = next((each for each in HORIZONS_S if each >= for_s), HORIZONS_S[-1])
    kept = _kept.get(horizon)
    if kept is None or kept[0] != key:
        if key[0] not in _forecasts:
            _forecasts.clear()
        paths = demand_paths(simulation, horizon, kept=_forecasts.setdefault(key[0], {}))
        _kept[horizon] = kept = key, paths
    return kept[1]


def _quantiles(simulation: Simulation, paths: DemandPaths) -> NDArray[np.float32]:
    """Return quantiles of the load on the links, [intervals, links, levels]."""
    steps, links = len(paths.forecast), len(simulation.links)
    drawn = paths.draw(max(min(_DRAWN, _MOST_NUMBERS // (steps * links)), 10), 1)
    routing = simulation.scenario.routing
    if routing is not None:
        carried = routing.matrix(simulation.down)
        drawn = np.stack([np.asarray((carried @ path.T).T) for path in drawn])
    values: Floats = np.quantile(drawn, LEVELS, axis=0)
    return np.moveaxis(values, 0, -1).astype(np.float32)
