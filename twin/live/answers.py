"""What the living twin answers: its state now and then, allocations, decisions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem
from twin.live.day_file import day_files, kept_before
from twin.live.moved import moment_of
from twin.results.intervals import interval_table

if TYPE_CHECKING:
    import pandas as pd

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
        "notices": twin.notices,
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


def state_at(twin: LivingTwin, time: float, folder: Path) -> Callable[[], dict[str, Any]]:
    """Return what reads the interval of a past instant, under all policies, in any thread.

    `folder` is that of days. Raises InputError for an instant that is in no interval that has
    closed; what is returned raises it where nothing is kept of it, or it is damaged.
    """
    interval = math.floor((time - twin.begins_s) / twin.tick_s)
    if not 0 <= interval < twin.interval:
        since, until = _time(twin.begins_s), _time(twin.begins_s + twin.interval * twin.tick_s)
        what = f"{_time(time)} is in no interval that has closed, from {since} to {until}"
        raise InputError(Problem(what, "at"))
    about = _interval(twin, interval)
    if interval >= twin.first:
        at = interval - twin.first
        table = interval_table(twin.simulation.recording().between(at, at + 1))
        return lambda: {**about, "links": _rows(table)}

    def read() -> dict[str, Any]:
        table = _kept_interval(folder, interval)
        if table is None:
            what = f"nothing is kept of {_time(time)}"
            raise InputError(Problem(what, "at", suggestion="'telemetry.retention' says how much"))
        return {**about, "links": _rows(table)}

    return read


def _kept_interval(folder: Path, interval: int) -> pd.DataFrame | None:
    """Return what days that are over say of an interval; None where they do not."""
    file = next((each for each in reversed(day_files(folder)) if each.first <= interval), None)
    if file is None or file.stop <= interval:
        return None
    table: pd.DataFrame = file.rows(interval).to_pandas()
    return table


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    table = table.drop(columns=["interval", "start_s", "time"], errors="ignore")
    return [
        {str(key): number(v) if isinstance(v, float) else v for key, v in row.items()}
        for row in table.to_dict("records")
    ]


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


class Decided(NamedTuple):
    """Decisions of one policy that follow each other."""

    decisions: list[dict[str, Any]]
    known_from: int
    """The first interval of which decisions are known without a hole until now."""


def decisions(
    twin: LivingTwin, since: int | None, most: int, folder: Path
) -> Callable[[], Decided]:
    """Return what reads the acting policy's decisions from an interval on, in any thread.

    The one for the interval under way is included; by default it is the only one. `folder` is
    that of days, which say what was decided before the twin began anew last.
    """
    first, policy, links = twin.first, twin.acting, twin.links
    about = partial(_decision, twin, policy)
    begin = twin.interval if since is None else since
    recorded = list(_recorded(twin, max(begin, first), most))

    def read() -> Decided:
        files = list(kept_before(folder, first, [policy]))[::-1]
        known_from = files[0].first if files else first
        found: list[dict[str, Any]] = []
        at = max(begin, known_from)
        for file in files:
            stop = min(file.stop, at + most - len(found))
            if at >= stop:
                continue
            rows = file.arrays(policy, links, ["requested_mbps", "allocated_mbps"])
            for k in range(at, stop):
                requested, allocated = (each[k - file.first] for each in rows)
                found.append(about(k, requested, allocated, file.decided_by(policy, k)))
            at = stop
        found += recorded[: most - len(found)]
        return Decided(found, known_from)

    return read


def _recorded(twin: LivingTwin, first: int, most: int) -> Iterator[dict[str, Any]]:
    """Yield the decisions since the twin began anew, from an interval on, at most so many."""
    recording = twin.simulation.recording()
    lane = next(each for each in recording.lanes if each.name == twin.acting)
    about = partial(_decision, twin, twin.acting)
    for interval in range(first, min(first + most, twin.interval + 1)):
        if interval == twin.interval:
            yield about(interval, *twin.simulation.coming(twin.acting))
        else:
            at = interval - twin.first
            by = twin.simulation.decided_by(twin.acting, at)
            yield about(interval, lane.requested[at], lane.allocated[at], by)


def _decision(
    twin: LivingTwin,
    policy: str,
    interval: int,
    requested: Floats,
    allocated: Floats,
    decided_by: str | None,
) -> dict[str, Any]:
    return {
        **_interval(twin, interval),
        "policy": policy,
        "decided_by": decided_by,
        "requested_mbps": _by_link(twin, requested),
        "allocated_mbps": _by_link(twin, allocated),
    }


def number(value: Any) -> float | None:
    """Return a number as JSON has it: None where it is missing or infinite."""
    return float(value) if math.isfinite(value) else None


def _by_link(twin: LivingTwin, values: Floats) -> dict[str, float | None]:
    return dict(zip(twin.links, map(number, values.tolist()), strict=True))


def _interval(twin: LivingTwin, interval: int) -> dict[str, Any]:
    return {"interval": interval, "time": _time(twin.begins_s + interval * twin.tick_s)}


def _time(unix_s: float) -> str:
    return moment_of(unix_s).isoformat() + "Z"
