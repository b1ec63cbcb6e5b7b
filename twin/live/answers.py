"""What the living twin answers: its state now and then, allocations, decisions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem
from twin.live.days import Days
from twin.live.moved import moment_of
from twin.results.intervals import interval_table

if TYPE_CHECKING:
    from twin.live.living import LivingTwin


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
        "collecting": None if twin.collecting is None else twin.collecting.as_dict(),
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
        table = interval_table(twin.simulation.recording().between(at, at + 1))
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
        "decided_by": coming.decided_by,
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
            requested, allocated, decided_by = coming
        else:
            at = interval - twin.first
            requested, allocated = lane.requested[at], lane.allocated[at]
            decided_by = twin.simulation.decided_by(twin.acting, at)
        found.append(
            {
                **_interval(twin, interval),
                "policy": twin.acting,
                "decided_by": decided_by,
                "requested_mbps": _by_link(twin, requested),
                "allocated_mbps": _by_link(twin, allocated),
            }
        )
    return found


def number(value: Any) -> float | None:
    """Return a number as JSON has it: None where it is missing or infinite."""
    return float(value) if math.isfinite(value) else None


def _by_link(twin: LivingTwin, values: Floats) -> dict[str, float | None]:
    return dict(zip(twin.links, map(number, values.tolist()), strict=True))


def _interval(twin: LivingTwin, interval: int) -> dict[str, Any]:
    return {"interval": interval, "time": _time(twin.begins_s + interval * twin.tick_s)}


def _time(unix_s: float) -> str:
    return moment_of(unix_s).isoformat() + "Z"
