"""What lies in the agenda of an engine, and what it says of an interval that has closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from twin.core.arrays import Bools, Floats
from twin.engine.lane import Lane
from twin.engine.load import OfferedLoad
from twin.engine.network import Network
from twin.engine.provisioning import Order
from twin.events.base import Change


class Close(NamedTuple):
    """An interval ends."""


class Decide(NamedTuple):
    """Every policy decides for the coming interval."""


class Effect(NamedTuple):
    """An order takes effect."""

    lane: int
    order: Order


class Happening(NamedTuple):
    """A change of an event."""

    event: int
    change: Change


class ClosedInterval(NamedTuple):
    """What :meth:`Engine.step` returns of the interval that it closed; arrays are [links]."""

    interval: int
    start_s: float
    demand_mbps: Floats
    """Mean offered demand; NaN where missing."""
    allocated_mbps: dict[str, Floats]
    """What was in force at its end under each policy, failures aside."""
    capacity_mbps: Floats
    down: Bools
    """At its end."""


def closed_interval(
    interval: int, tick_s: int, load: OfferedLoad, lanes: Sequence[Lane], network: Network
) -> ClosedInterval:
    """Return what is to be said of an interval that closes now."""
    granted = {}
    for lane in lanes:
        rows = lane.granted(interval + 1)
        row = lane.requested(interval + 1)[interval] if rows is None else rows[interval]
        granted[lane.name] = np.minimum(row, network.nominal)
    demand = load.demand(interval, interval + 1)[0].copy()
    start = float(interval * tick_s)
    return ClosedInterval(interval, start, demand, granted, network.capacity, network.down)
