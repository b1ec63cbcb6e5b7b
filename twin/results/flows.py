"""Where the traffic of a run with a matrix is: flows of a link, totals of sites and flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem, did_you_mean
from twin.core.text import ARROW
from twin.core.units import duration, format_duration
from twin.engine.recording import Recording
from twin.engine.routes import RouteState
from twin.routing.shortest_paths import Paths, ShortestPaths, joined_paths

if TYPE_CHECKING:
    import pandas as pd


def flows_on(
    recording: Recording, routing: ShortestPaths, link: str, at: str | float
) -> pd.DataFrame:
    """Return the flows on a link at an instant, those with most traffic first.

    A row for each path over the link: the mean demand in the interval of that instant, and the
    links that are taken. Raises InputError for an unknown link, and an instant outside the replay.
    """
    import pandas as pd

    if link not in routing.links:
        hint = did_you_mean(link, routing.links) or "links are named 'A>B'"
        raise InputError(Problem(f"there is no link '{link}'", "link", suggestion=hint))
    seconds = _instant(at, recording)
    state = next(each for each in reversed(recording.routes) if each.time <= seconds)
    offered = _offered(recording)[int(seconds // recording.tick_s)]
    paths = paths_taken(routing, state)
    number, names = routing.links.index(link), np.array(routing.links, dtype=object)
    over = np.flatnonzero(np.logical_or.reduceat(paths.link == number, paths.start))
    flow, share = paths.flow[over], paths.share[over]
    table = pd.DataFrame(
        {
            "flow": np.array(routing.flows, dtype=object)[flow],
            "share": share,
            "mbps": offered[flow] * share,
            "path": [" ".join(names[paths.of(int(path))]) for path in over],
        }
    )
    return table.sort_values("mbps", ascending=False, kind="stable", ignore_index=True)


def paths_taken(routing: ShortestPaths, state: RouteState) -> Paths:
    """Return the paths of all flows in a state of the network.

    A flow that has no way around what is drained keeps the way that it has.
    """
    around = routing.paths(state.seen | state.drained)
    if not (state.drained & ~state.seen).any():
        return around
    stays = np.ones(len(routing.flows), dtype=np.bool_)
    stays[around.flow] = False
    if not stays.any():
        return around
    return joined_paths([around, routing.paths(state.seen, np.flatnonzero(stays))])


def _instant(at: str | float, recording: Recording) -> float:
    """Return an instant within the replay, in seconds from its start."""
    end = float(recording.intervals * recording.tick_s)
    try:
        seconds = duration(at) if isinstance(at, str) else float(at)
    except (TypeError, ValueError) as error:
        raise InputError(Problem(str(error), "at")) from None
    if not 0 <= seconds < end:
        what = f"{at!r} is not within the replay of {format_duration(end)}"
        raise InputError(Problem(what, "at"))
    return seconds


def _offered(recording: Recording) -> Floats:
    assert recording.flow_demand is not None
    return recording.flow_demand


def flow_totals(recording: Recording, routing: ShortestPaths) -> pd.DataFrame:
    """Return a row for each flow: what it offered, and how much of it was and was not routed.

    Mbit over the replay, without intervals in which its demand is missing.
    """
    import pandas as pd

    offered = np.nansum(_offered(recording), axis=0) * recording.tick_s
    unrouted = np.array([recording.unrouted.get(flow, 0.0) for flow in routing.flows])
    return pd.DataFrame(
        {
            "flow": routing.flows,
            "offered_mbit": offered,
            "routed_mbit": np.maximum(offered - unrouted, 0.0),
            "unrouted_mbit": unrouted,
        }
    )


def site_totals(recording: Recording, routing: ShortestPaths) -> pd.DataFrame:
    """Return a row for each site: what began, ended and passed there, and what was not routed.

    Mbit over the replay. What passes arrives on links and does not end there; `unrouted_mbit` is of
    flows that begin there, and is on no link.
    """
    import pandas as pd

    flows, sites = flow_totals(recording, routing), routing.topology.site_names
    ends = flows["flow"].str.split(ARROW, n=1, expand=True)
    arrived = pd.Series(
        np.nansum(recording.demand, axis=0) * recording.tick_s,
        index=[link.target for link in routing.topology.links],
    )
    by_source, by_target = flows.groupby(ends[0]), flows.groupby(ends[1])
    table = pd.DataFrame(
        {
            "out_mbit": by_source["routed_mbit"].sum(),
            "in_mbit": by_target["routed_mbit"].sum(),
            "arrived_mbit": arrived.groupby(level=0).sum(),
            "unrouted_mbit": by_source["unrouted_mbit"].sum(),
        }
    ).reindex(sites).fillna(0.0)  # fmt: skip
    passed = table.pop("arrived_mbit") - table["in_mbit"]
    table.insert(2, "transit_mbit", passed.clip(lower=0.0))
    return table.rename_axis("site").reset_index()
