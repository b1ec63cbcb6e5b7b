"""Failures held against policies by operations on whole arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from twin.core.arrays import Floats, Ints
from twin.studies.contingency.block import Block, Tally, utilization
from twin.studies.contingency.rerouted import Rerouted
from twin.studies.contingency.unserved import Scratch, unserved

BLOCK: Final = 1024
"""Ticks at a time, at most: fewer cost more in calls, more do not stay in the processor's cache."""


def hold(
    block: Block, failures: Sequence[Rerouted], highest: Floats, cause: Ints, first: int
) -> Tally:
    """Hold the loads under each failure against all policies.

    `highest` is the greatest load of each link so far, over all failures, and `cause` the number of
    the failure; both are brought up to date. `first` is the number of the first.
    """
    scratch = Scratch(len(block.ticks))
    tally = Tally.empty(len(failures), *block.allocated.shape[:2])
    for number, each in enumerate(failures):
        loads = _under(block, each, scratch)
        higher = loads > highest
        np.maximum(highest, loads, out=highest)
        np.putmask(cause, higher, first + number)
        top = loads.max(axis=1)
        for policy in range(len(block.allocated)):
            _hold_policy(block, loads, top, each, policy, tally, number, scratch)
    return tally


def _under(block: Block, each: Rerouted, scratch: Scratch) -> Floats:
    """Return the loads under a failure."""
    loads = scratch("loads", len(block.loads))
    np.copyto(loads, block.loads)
    loads[each.links] += each.change @ block.flows
    # What is left of a difference of sums is no load.
    loads[each.idle] = 0.0
    return np.maximum(loads, 0.0, out=loads)


def _hold_policy(
    block: Block,
    loads: Floats,
    top: Floats,
    each: Rerouted,
    policy: int,
    tally: Tally,
    number: int,
    scratch: Scratch,
) -> None:
    allocated, least = block.allocated[policy], block.least[policy]
    at = number, policy
    tally.worst[at], tally.link[at], place = _worst(
        loads, top, allocated, least, block.most[policy]
    )
    tally.tick[at] = block.ticks[place]
    # Nowhere else can a load be above its allocation.
    some = np.flatnonzero(top > least)
    if not len(some):
        return
    carried = scratch.rows("carried", loads, some)
    excess = scratch.rows("excess", allocated, some)
    np.subtract(carried, excess, out=excess)
    np.maximum(excess, 0.0, out=excess)
    short = excess > 0
    count = short.sum(axis=1)
    tally.short[at][some] = count
    if not count.any():
        return
    tally.ticks[at] = np.count_nonzero(short.any(axis=0))
    ever = count.nonzero()[0]
    if len(ever) < len(some):
        carried, excess = (
            scratch.rows("carried short", carried, ever),
            scratch.rows("excess short", excess, ever),
        )
    tally.unserved[at] = unserved(block.flows, each, some[ever], carried, excess, scratch)


def _worst(
    loads: Floats, top: Floats, allocated: Floats, least: Floats, most: Floats
) -> tuple[float, int, int]:
    """Return the greatest load over allocation, its link, and the place of its tick.

    That of a link is at most its highest load over its least allocation, and at least that over
    its greatest; so few links need a division at every tick.
    """
    some: Ints = np.flatnonzero(utilization(top, least) >= utilization(top, most).max())
    ratio = utilization(loads[some], allocated[some])
    row, place = divmod(int(ratio.argmax()), ratio.shape[1])
    return float(ratio[row, place]), int(some[row]), place
