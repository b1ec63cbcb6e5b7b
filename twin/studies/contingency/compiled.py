"""Failures held against policies by compiled code, where numba is installed.

What `vectorised.py` does with one array operation after the other, this does with one loop after
the other, over arrays that stay in the processor's cache: several times as fast, and without the
interpreter's lock, so that blocks of ticks run side by side. Both give the same but for rounding.

The links of paths that are short are kept in a trie: a node stands for the first so many of those
on some path. What `unserved.py` derives is then worked out once a node, on the way through the
trie, and not once a path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numba import njit

from twin.core.arrays import Bools, Floats, Ints
from twin.routing.shortest_paths import Paths
from twin.studies.contingency.block import Block, Tally
from twin.studies.contingency.rerouted import Rerouted

BLOCK: Final = 512
"""Ticks at a time: a row of them is 4 KiB."""
_TINY: Final = float(np.finfo(np.float64).tiny)


# Kept on the disk where that can be written. Demand that is missing is left out before, so nothing
# is NaN.
_compiled = njit(nogil=True, cache=True, fastmath={"nnan", "nsz"})


def hold(
    block: Block, failures: Sequence[Rerouted], highest: Floats, cause: Ints, first: int
) -> Tally:
    """Hold the loads under each failure against all policies, as `vectorised.hold` does."""
    tally = Tally.empty(len(failures), *block.allocated.shape[:2])
    under = np.empty_like(block.loads)
    usual = failures[0].usual
    path = np.repeat(np.arange(len(usual.flow)), usual.hops)
    order = np.argsort(usual.link, kind="stable")
    ends = np.searchsorted(usual.link[order], np.arange(len(block.loads) + 1))
    for number, each in enumerate(failures):
        _strike(
            (block.flows, block.loads, block.allocated, block.least, block.most),
            (
                each.links,
                each.change.indptr.astype(np.int64),
                each.change.indices.astype(np.int64),
                each.change.data,
                each.idle,
            ),
            _arrays(usual),
            (each.is_kept, ends, path[order]),
            _arrays(each.new),
            (highest, cause, first + number),
            tuple(part[number] for part in tally),
            under,
        )
    tally.tick[...] = block.ticks[tally.tick]
    return tally


def _arrays(paths: Paths) -> tuple[Ints, Ints, Ints, Floats]:
    return paths.link, paths.start, paths.flow, paths.share


@_compiled
def _strike(
    block: tuple[Floats, Floats, Floats, Floats, Floats],
    change: tuple[Ints, Ints, Ints, Floats, Bools],
    usual: tuple[Ints, Ints, Ints, Floats],
    kept: tuple[Bools, Ints, Ints],
    new: tuple[Ints, Ints, Ints, Floats],
    worst_cases: tuple[Floats, Ints, int],
    tally: tuple[Floats, Ints, Ints, Floats, Ints, Ints],
    under: Floats,
) -> None:
    """Hold one failure against all policies, and note it in `tally`, in `Tally`'s order.

    `kept` is which usual paths are taken still, and the usual paths of each link: where those of
    the next link begin, and all of them.
    """
    flows, loads, allocated, least, most = block
    total, short, ticks, worst, worst_link, worst_tick = tally
    top = _loads(flows, loads, change, worst_cases, under)
    policies, links, columns = allocated.shape

    # Links that are short under any policy are the rows from here on.
    row_of, link_of = np.full(links, -1), np.empty(links, np.int64)
    rows = 0
    for link in range(links):
        for policy in range(policies):
            if top[link] <= least[policy, link]:
                continue
            count, carried, limit = 0, under[link], allocated[policy, link]
            for t in range(columns):
                count += carried[t] > limit[t]
            short[policy, link] = count
            if count and row_of[link] < 0:
                row_of[link], link_of[rows] = rows, link
                rows += 1
    for policy in range(policies):
        _worst(policy, under, top, allocated, least, most, worst, worst_link, worst_tick)
    if not rows:
        return

    # What is lost if every link loses its excess by itself, and the share that each drops.
    lost, drop = np.zeros((policies, columns)), np.empty((policies, rows, columns))
    for policy in range(policies):
        is_short = np.zeros(columns, np.bool_)
        for place in range(rows):
            link = link_of[place]
            if not short[policy, link]:
                continue
            carried, limit = under[link], allocated[policy, link]
            own, every = drop[policy, place], lost[policy]
            for t in range(columns):
                excess = max(carried[t] - limit[t], 0.0)
                is_short[t] |= excess > 0
                every[t] += excess
                own[t] = excess / max(carried[t], _TINY)
        ticks[policy] = is_short.sum()

    # The trie of all paths with several such links. Node 0 is its root.
    is_kept, ends, path_of = kept
    times = np.zeros(len(is_kept), np.uint8)
    for place in range(rows):
        link = link_of[place]
        for k in range(ends[link], ends[link + 1]):
            times[path_of[k]] = min(times[path_of[k]] + 1, 2)
    nodes = 1 + len(usual[0]) + len(new[0])
    # Of each node: its parent, its row, its first child, its next sibling, and its first path.
    trie = np.empty((nodes, 5), np.int64)
    trie[0] = -1
    following = np.empty(len(usual[1]) + len(new[1]), np.int64)
    nodes, deepest = _grow(usual, is_kept & (times > 1), row_of, trie, following, 0, 1)
    all_new = np.ones(len(new[1]), np.bool_)
    nodes, deeper = _grow(new, all_new, row_of, trie, following, len(usual[1]), nodes)
    deepest = max(deepest, deeper)
    if nodes > 1:
        is_row = np.empty((policies, rows), np.bool_)
        for policy in range(policies):
            is_row[policy] = short[policy][link_of[:rows]] > 0
        level = np.zeros((2, policies, deepest + 1, columns))
        _count_once(flows, usual, new, trie, following, is_row, drop, level, lost)
    for policy in range(policies):
        total[policy] = lost[policy].sum()


@_compiled
def _count_once(
    flows: Floats,
    usual: tuple[Ints, Ints, Ints, Floats],
    new: tuple[Ints, Ints, Ints, Floats],
    trie: Ints,
    following: Ints,
    is_row: Bools,
    drop: Floats,
    level: Floats,
    lost: Floats,
) -> None:
    """Take from what is lost what is counted more than once, going through the trie.

    `level` has room for the greatest share that is dropped so far, and for what is counted twice
    of all that comes, under each policy, for each of the links on the way and at every tick.
    """
    policies, columns = lost.shape
    greatest, twice = level
    known = len(usual[1])
    amount = np.empty(columns)
    # How many of the links on the way are short under a policy, and whether any counts twice.
    at = np.zeros((policies, level.shape[2]), np.int64)
    is_some = np.zeros((policies, level.shape[2]), np.bool_)
    depth, node = 0, trie[0, 2]
    while node > 0:
        depth += 1
        place, is_any = trie[node, 1], False
        for policy in range(policies):
            before = at[policy, depth - 1]
            here = before + is_row[policy, place]
            at[policy, depth] = here
            if here > before:
                is_some[policy, here] = _worked_out(
                    drop[policy, place],
                    greatest[policy, before],
                    twice[policy, before],
                    greatest[policy, here],
                    twice[policy, here],
                )
            is_any |= is_some[policy, here]
        path = trie[node, 4]
        if is_any and path >= 0:
            # What takes the paths that end here.
            amount[:] = 0.0
            while path >= 0:
                if path < known:
                    demand, share = flows[usual[2][path]], usual[3][path]
                else:
                    demand, share = flows[new[2][path - known]], new[3][path - known]
                for t in range(columns):
                    amount[t] += share * demand[t]
                path = following[path]
            for policy in range(policies):
                here = at[policy, depth]
                if is_some[policy, here]:
                    every, counted = lost[policy], twice[policy, here]
                    for t in range(columns):
                        every[t] -= counted[t] * amount[t]
        # On to the first child, or else the next one of the nearest that has one.
        if trie[node, 2] > 0:
            node = trie[node, 2]
            continue
        depth -= 1
        while node > 0 and trie[node, 3] < 0:
            node = trie[node, 0]
            depth -= 1
        if node > 0:
            node = trie[node, 3]


@_compiled
def _worked_out(
    own: Floats, greatest: Floats, twice: Floats, greatest_here: Floats, twice_here: Floats
) -> bool:
    """Work out a node's rows from its link's and its parent's; return whether any counts twice."""
    for t in range(len(own)):
        is_greater = own[t] > greatest[t]
        more, less = own[t], greatest[t]
        greatest_here[t] = more if is_greater else less
        twice_here[t] = twice[t] + (less if is_greater else more)
    for value in twice_here:  # noqa: SIM110 - a generator is not compiled
        if value > 0:
            return True
    return False


@_compiled
def _loads(
    flows: Floats,
    loads: Floats,
    change: tuple[Ints, Ints, Ints, Floats, Bools],
    worst_cases: tuple[Floats, Ints, int],
    under: Floats,
) -> Floats:
    """Work out the loads under a failure, and return the highest of each link."""
    changed, start, flow_of, share_of, idle = change
    highest, cause, number = worst_cases
    links, columns = loads.shape
    under[:] = loads
    for place in range(len(changed)):
        carried = under[changed[place]]
        for k in range(start[place], start[place + 1]):
            demand, share = flows[flow_of[k]], share_of[k]
            for t in range(columns):
                carried[t] += share * demand[t]
    top = np.zeros(links)
    for link in range(links):
        carried, most, by = under[link], highest[link], cause[link]
        # What is left of a difference of sums is no load.
        if idle[link]:
            carried[:] = 0.0
        for t in range(columns):
            load = carried[t] if carried[t] > 0 else 0.0
            carried[t] = load
            by[t] = number if load > most[t] else by[t]
            most[t] = load if load > most[t] else most[t]
        high = 0.0
        for t in range(columns):
            high = max(high, carried[t])
        top[link] = high
    return top


@_compiled
def _worst(
    policy: int,
    under: Floats,
    top: Floats,
    allocated: Floats,
    least: Floats,
    most: Floats,
    worst: Floats,
    worst_link: Ints,
    worst_tick: Ints,
) -> None:
    """Note the greatest load over allocation under a policy, of the first link and tick.

    That of a link is at most its highest load over its least allocation, and at least that over
    its greatest; so few links need a division at every tick.
    """
    links, columns = under.shape
    bound = 0.0
    for link in range(links):
        bound = max(bound, _ratio(top[link], most[policy, link]))
    for link in range(links):
        at_most = _ratio(top[link], least[policy, link])
        if at_most < bound or at_most <= worst[policy]:
            continue
        for t in range(columns):
            ratio = _ratio(under[link, t], allocated[policy, link, t])
            if ratio > worst[policy]:
                worst[policy], worst_link[policy], worst_tick[policy] = ratio, link, t


@_compiled
def _ratio(load: float, limit: float) -> float:
    """Return load over limit: 0 where there is no load, infinite where nothing is allocated."""
    if load <= 0:
        return 0.0
    return load / limit if limit > 0 else np.inf


@_compiled
def _grow(
    paths: tuple[Ints, Ints, Ints, Floats],
    is_chosen: Bools,
    row_of: Ints,
    trie: Ints,
    following: Ints,
    first: int,
    nodes: int,
) -> tuple[int, int]:
    """Add some paths to the trie; return how many nodes it has then, and how deep they are.

    The paths are numbered from `first` on. Those that end in a node are a list: its first path, and
    in `following` the one after each.
    """
    link_of, start = paths[0], paths[1]
    deepest = 0
    for path in range(len(start)):
        if not is_chosen[path]:
            continue
        last = start[path + 1] if path + 1 < len(start) else len(link_of)
        node, depth = 0, 0
        for hop in range(start[path], last):
            place = row_of[link_of[hop]]
            if place < 0:
                continue
            depth += 1
            found = trie[node, 2]
            while found >= 0 and trie[found, 1] != place:
                found = trie[found, 3]
            if found < 0:
                found = nodes
                trie[found, 0], trie[found, 1], trie[found, 2] = node, place, -1
                trie[found, 3], trie[found, 4] = trie[node, 2], -1
                trie[node, 2] = found
                nodes += 1
            node = found
        if depth > 1:
            following[first + path], trie[node, 4] = trie[node, 4], first + path
        deepest = max(deepest, depth)
    return nodes, deepest
