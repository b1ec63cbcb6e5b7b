"""What lies in the agenda of an engine, and what it says of an interval that has closed."""

from __future__ import annotations

from typing import NamedTuple

from twin.core.arrays import Bools, Floats
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
