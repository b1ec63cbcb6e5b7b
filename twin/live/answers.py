"""What the living twin answers: its state now and then, allocations, decisions, forecasts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.units import format_duration
from twin.live.days import Days, part
from twin.live.moved import moment_of
from twin.policy.services import serving
from twin.results.intervals import interval_table

if TYPE_CHECKING:
    from twin.live.living import LivingTwin

LEVELS: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of the quantiles of a forecast."""
_MODEL: Final = "auto"


def state(twin: LivingTwin) -> dict[str, Any]:
    """Return the present of a twin."""
    return {
        "scenario": twin.scenario.spec.name,
        **_interval(twin, twin.interval),
        "begins": _time(twin.begins_s),
        "tick_s": twin.tick_s,
        "ready": twin.ready,
        "why_not": twin.why_not,
        "trouble": twin.trouble,
        "acting": twin.acting,
        "policies": list(twin.policies),
        "samples": dict(twin.counts),
        "waiting": twin.waiting,
        "links": _links(twin),
    }


def _links(twin: LivingTwin) -> list[dict[str, Any]]:
    latest, simulation = twin.latest, twin.simulation
    unknown = np.full(len(twin.links), np.nan)
    demand = unknown if latest is None else latest.demand_mbps
    coming = simulation.coming(twin.acting) if twin.ready else None
    columns = {
        "demand_mbps": demand,
        "capacity_mbps": simulation.capacity_mbps,
        "allocated_mbps": unknown if coming is None else coming.allocated_mbps,
    }
    down = simulation.down
    return [
        {"link": link, "down": bool(down[i])} | {k: number(v[i]) for k, v in columns.items()}
        for i, link in enumerate(twin.links)
    ]


def state_at(twin: LivingTwin, time: float, days: Days) -> dict[str, Any]:
    """Return the interval of a past instant, under all policies. Raises InputError."""
    interval = math.floor((time - twin.begins_s) / twin.tick_s)
    if not 0 <= interval < twin.interval:
        since, until = _time(twin.begins_s), _time(twin.begins_s + twin.interval * twin.tick_s)
        what = f"{_time(time)} is in no interval that has closed, from {since} to {until}"
        raise InputError(Problem(what, "at"))
    if interval >= twin.first:
        at = interval - twin.first
        recording = part(twin.simulation.recording(), at, at + 1)
        table = interval_table(recording)
    else:
        table = days.table(interval, interval + 1)
    if not len(table):
        what = f"{_time(time)} is before all that is kept"
        raise InputError(Problem(what, "at", suggestion="'telemetry.retention' says how much"))
    table = table.drop(columns=["interval", "start_s", "time"], errors="ignore")
    rows = [
        {key: number(v) if isinstance(v, float) else v for key, v in row.items()}
        for row in table.to_dict("records")
    ]
    return {**_interval(twin, interval), "links": rows}


def allocations(twin: LivingTwin, policy: str) -> dict[str, Any]:
    """Return what a policy has decided for the interval under way. Raises InputError."""
    coming = twin.simulation.coming(policy)
    return {
        **_interval(twin, twin.interval),
        "policy": policy,
        "acting": policy == twin.acting,
        "requested_mbps": _by_link(twin, coming.requested_mbps),
        "allocated_mbps": _by_link(twin, coming.allocated_mbps),
    }


def decisions(twin: LivingTwin, since: int | None, most: int) -> list[dict[str, Any]]:
    """Return the decisions of the acting policy from an interval on, the one under way included."""
    first = twin.interval if since is None else max(since, twin.first)
    found = []
    recording = twin.simulation.recording()
    lane = next(each for each in recording.lanes if each.name == twin.acting)
    for interval in range(first, min(first + most, twin.interval + 1)):
        if interval == twin.interval:
            coming = twin.simulation.coming(twin.acting)
            requested, allocated = coming.requested_mbps, coming.allocated_mbps
        else:
            at = interval - twin.first
            requested, allocated = lane.requested[at], lane.allocated[at]
        found.append(
            {
                **_interval(twin, interval),
                "policy": twin.acting,
                "requested_mbps": _by_link(twin, requested),
                "allocated_mbps": _by_link(twin, allocated),
            }
        )
    return found


def forecast(twin: LivingTwin, link: str, ahead_s: float) -> dict[str, Any]:
    """Return the forecast of a link from now on, with calibrated quantiles. Raises InputError."""
    if link not in twin.links:
        hint = did_you_mean(link, twin.links) or f"links: {', '.join(twin.links[:8])}"
        raise InputError(Problem(f"no link '{link}'", "link", suggestion=hint))
    if not twin.tick_s <= ahead_s <= 86_400:
        what = f"must be from {format_duration(twin.tick_s)} to 1d"
        raise InputError(Problem(what, "for"))
    steps = int(ahead_s // twin.tick_s)
    place = twin.links.index(link)
    values = _quantiles(twin, steps)[:, place]
    begins = twin.begins_s + twin.interval * twin.tick_s
    return {
        "link": link,
        "model": _MODEL,
        "levels": list(LEVELS),
        "times": [_time(begins + k * twin.tick_s) for k in range(steps)],
        "median_mbps": [number(v) for v in values[:, LEVELS.index(0.5)]],
        "quantiles_mbps": [[number(v) for v in row] for row in values],
    }


def _quantiles(twin: LivingTwin, steps: int) -> Floats:
    """Return the quantiles of all links, [steps, links, levels].

    A fork is asked, since a forecast of a farther horizon would make the twin's own pass begin
    again.
    """
    fork = twin.simulation.fork()
    fork.start()
    services = fork._services
    sample = fork.span.first + fork.closed
    with serving(services):
        rows = [services.calibrated(_MODEL, sample, ahead, LEVELS)[0] for ahead in range(steps)]
    return np.stack(rows)


def number(value: Any) -> float | None:
    """Return a number as JSON has it: None where it is missing or infinite."""
    return float(value) if math.isfinite(value) else None


def _by_link(twin: LivingTwin, values: Floats) -> dict[str, float | None]:
    return dict(zip(twin.links, map(number, values.tolist()), strict=True))


def _interval(twin: LivingTwin, interval: int) -> dict[str, Any]:
    return {"interval": interval, "time": _time(twin.begins_s + interval * twin.tick_s)}


def _time(unix_s: float) -> str:
    return moment_of(unix_s).isoformat() + "Z"
