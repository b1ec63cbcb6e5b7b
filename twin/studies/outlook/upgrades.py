"""Upgrades of a link: ordered once it is so busy, there a lead time later."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from twin.core.arrays import Floats
from twin.core.errors import InputError, Problem
from twin.core.units import DAY_S
from twin.engine.upgrade import UpgradeSpec
from twin.studies.outlook.crossing import reached, time_above

MOST: Final = 1000
"""Orders of one link: more are a step that is too small."""


class UpgradeOrder(NamedTuple):
    """One order of capacity; times are seconds from the end of the trace on."""

    ordered: float
    effective: float
    steps: int
    before_mbps: float
    """Capacity with what was on order before."""
    after_mbps: float
    busy_mbps: float
    """What triggered it: the statistic that the upgrade is stated for."""
    cost: float
    days_short: float
    """Days before its effect on which the link is busier than its capacity, since the last one."""


def upgrades_of(
    link: str,
    spec: UpgradeSpec,
    capacity_mbps: float,
    times: Floats,
    busy: Floats,
    ratio: float,
) -> tuple[list[UpgradeOrder], float]:
    """Return the orders of a link up to the last of `times`, and the days on which it is short.

    `busy` is the curve of its busy value, Mbit/s; that of the upgrade's statistic is `ratio` times
    as high. Raises InputError where a step is so small that there would be no end of orders.
    """
    horizon = float(times[-1])
    orders: list[tuple[float, int, float, float]] = []
    total, now = capacity_mbps, 0.0
    while True:
        now = reached(times, busy * ratio, spec.at * total, now)
        if math.isnan(now):
            break
        level = float(np.interp(now, times, busy)) * ratio
        # One step, or as many as it takes where the link was far beyond already.
        steps = max(math.ceil(round((level / spec.at - total) / spec.step, 9)), 1)
        orders.append((now, steps, total, level))
        total += steps * spec.step
        if len(orders) > MOST:
            what = f"of {spec.step:g} Mbit/s would be ordered more than {MOST} times"
            where = ("links", link, "upgrade", "step")
            raise InputError(Problem(what, where, suggestion="make it larger"))
    upgrades, start, short = [], 0.0, 0.0
    for ordered, steps, before, level in orders:
        effective = ordered + spec.lead_time
        stop = min(effective, horizon)
        missing = time_above(times, busy, before, start, stop) / DAY_S
        start, short = stop, short + missing
        after, cost = before + steps * spec.step, steps * spec.price
        upgrades.append(
            UpgradeOrder(ordered, effective, steps, before, after, level, cost, missing)
        )  # fmt: skip
    return upgrades, short + time_above(times, busy, total, start, horizon) / DAY_S
