"""What each flow of a matrix was served: the least share over the links of each of its paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from twin.account.block import blocks
from twin.core.arrays import Floats, Ints
from twin.engine.recording import LaneRecord, Recording
from twin.engine.routes import RouteState
from twin.results.flows import flow_totals, paths_taken
from twin.routing.shortest_paths import Paths, ShortestPaths

if TYPE_CHECKING:
    import pandas as pd

_VALUES: Final = 500_000
"""Paths times intervals at a time: what is held for all paths stays small."""


def flow_service(recording: Recording, routing: ShortestPaths) -> pd.DataFrame:
    """Return a row for each policy and flow: what it offered, and what became of it.

    Mbit over the replay, without intervals in which its demand is missing; offered = served +
    unserved + unrouted. What is offered to a dead link before routers know is unrouted.
    """
    import pandas as pd

    totals = flow_totals(recording, routing)
    parts = []
    for lane in recording.lanes:
        routed = totals["routed_mbit"].to_numpy()
        unserved = np.minimum(_unserved(recording, routing, lane), routed)
        columns = {
            "flow": totals["flow"],
            "offered_mbit": totals["offered_mbit"],
            "served_mbit": routed - unserved,
            "unserved_mbit": unserved,
            "unrouted_mbit": totals["unrouted_mbit"],
        }
        table = pd.DataFrame(columns)
        table.insert(0, "policy", lane.name)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _unserved(recording: Recording, routing: ShortestPaths, lane: LaneRecord) -> Floats:
    """Return how much of each flow's routed demand the links drop, Mbit over the replay, [flows].

    A link serves all flows on it the same share of their demand, so what takes a path is served
    the least share over the path's links.
    """
    assert recording.flow_demand is not None
    dropped, lost = _dropped(recording, lane), np.zeros(len(routing.flows))
    for state, first, seconds in _spans(recording):
        paths = paths_taken(routing, state)
        alive = ~np.logical_or.reduceat(state.down[paths.link], paths.start)
        ways = _paths_by_link(paths, len(routing.links))
        short = np.flatnonzero(dropped[:, first : first + len(seconds)].any(axis=0))
        step = max(_VALUES // max(len(paths.flow), 1), 1)
        for ticks in np.split(short, range(step, len(short), step)):
            drop = dropped[:, first + ticks]
            worst = np.zeros((len(paths.flow), len(ticks)))
            for link in np.flatnonzero(drop.any(axis=1)).tolist():
                some = np.flatnonzero(drop[link])
                places = np.ix_(ways[link], some)
                worst[places] = np.maximum(worst[places], drop[link, some])
            demand = np.nan_to_num(recording.flow_demand[first + ticks]).T[paths.flow]
            mbit = (worst * demand) @ seconds[ticks]
            lost += np.bincount(paths.flow, mbit * paths.share * alive, minlength=len(lost))
    return lost


def _paths_by_link(paths: Paths, links: int) -> list[Ints]:
    """Return the numbers of the paths over each link."""
    path = np.repeat(np.arange(len(paths.flow)), paths.hops)
    order = np.argsort(paths.link, kind="stable")
    return np.split(path[order], np.searchsorted(paths.link[order], np.arange(1, links)))


def _dropped(recording: Recording, lane: LaneRecord) -> Floats:
    """Return the share of its load that each link does not serve, [links, intervals]."""
    shares = np.zeros((len(recording.links), recording.intervals))
    row = 0
    for block in blocks(recording, lane):
        rows = slice(row, row + len(block.links))
        np.divide(block.metrics.unmet, block.demand, out=shares[rows], where=block.demand > 0)
        row = rows.stop
    return shares


def _spans(recording: Recording) -> Iterator[tuple[RouteState, int, Floats]]:
    """Yield each state of the routing, its first interval, and its seconds in each from there."""
    tick, end = float(recording.tick_s), float(recording.intervals * recording.tick_s)
    times = [state.time for state in recording.routes] + [end]
    for state, begin, until in zip(recording.routes, times, times[1:], strict=False):
        stop = min(until, end)
        if stop <= begin:
            continue
        first, last = int(begin // tick), int(-(-stop // tick))
        edges = np.arange(first, last + 1) * tick
        yield state, first, np.diff(np.clip(edges, begin, stop))
