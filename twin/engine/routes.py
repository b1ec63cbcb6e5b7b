"""When routing changes: what fails and is drained, and when routers have seen it.

A router learns of a failure after a *detection delay*, and of a repair as late. What has changed
back before then it never sees. Until a failure is seen, traffic is offered to the dead link; until
a repair is seen, it stays on the detour. A drain is planned, and takes effect at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from twin.core.arrays import Bools, Floats
from twin.engine.network import Network
from twin.events.base import Change
from twin.routing.table import Routing, lost

if TYPE_CHECKING:
    from scipy import sparse


class RouteState(NamedTuple):
    """What routing depends on from an instant on; arrays are [links]."""

    time: float
    """Seconds from the start of the replay."""
    down: Bools
    """Links that are down."""
    seen: Bools
    """Links that routers take to be down."""
    drained: Bools


def route_states(changes: Iterable[Change], links: int, detection_delay: float) -> list[RouteState]:
    """Return the states that planned changes lead to, in order; the first is that at 0.

    What happens at one instant is one state.
    """
    operations: dict[float, list[Change]] = {}
    for change in changes:
        if change.operation is not None:
            operations.setdefault(change.time, []).append(change)
    network, nothing = Network(np.zeros(links)), np.zeros(links, dtype=np.bool_)
    states = [RouteState(0.0, nothing, nothing, nothing)]
    # When a link is seen to be as it is: the detection delay after it last changed.
    due, seen = np.zeros(links), nothing
    for time in sorted({t + wait for t in operations for wait in (0.0, detection_delay)}):
        down = network.down
        for change in sorted(operations.get(time, ()), key=lambda change: change.phase):
            assert change.operation is not None
            change.operation.apply(network)
        due = np.where(network.down != down, time + detection_delay, due)
        seen = np.where(due <= time, network.down, seen)
        state = RouteState(time, network.down, seen, network.drained)
        if any((a != b).any() for a, b in zip(state[1:], states[-1][1:], strict=True)):
            if states[-1].time == time:
                states.pop()
            states.append(state)
    return states


def shares(routing: Routing, state: RouteState) -> sparse.csr_array[Any]:
    """Return the share of each flow on each link, [links, flows].

    A flow that has no way around what is drained keeps the way that it has.
    """
    matrix = routing.matrix(state.seen | state.drained)
    if not (state.drained & ~state.seen).any():
        return matrix
    stays = lost(routing, matrix) > 0
    if not stays.any():
        return matrix
    from scipy import sparse

    kept = sparse.diags_array(stays.astype(np.float64))
    others = sparse.diags_array((~stays).astype(np.float64))
    return sparse.csr_array(matrix @ others + routing.matrix(state.seen) @ kept)


def lost_shares(routing: Routing | None, state: RouteState) -> Floats:
    """Return the share of each flow that has no path or is offered to dead links, [flows]."""
    if routing is None:
        return np.where(state.down, 1.0, 0.0)
    matrix = shares(routing, state)
    dead = np.asarray(state.down.astype(np.float64) @ matrix)
    return np.asarray(np.minimum(lost(routing, matrix) + dead, 1.0))
