"""Holds every failure at every tick against what each policy had allocated.

Policies decide on the network as it is: at each tick the failure strikes unannounced. Traffic moves
to the paths that are left, and the loads are held against the allocations and capacities of that
tick.

With R the shares of flows on links and X the demand of flows, loads are R X. A failure f changes
the columns of the flows whose paths use it: loads_f = R X + (R_f - R)[rows, flows] X[flows], which
is exact, and touches few rows and columns. X is kept by flow, so that these are contiguous.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.api.run import run
from twin.core.arrays import Bools, Floats
from twin.core.errors import InputError, Problem
from twin.events.outage import Outage
from twin.results.result import Result
from twin.routing.shortest_paths import ShortestPaths
from twin.scenario.load import Scenario
from twin.studies.contingency.failures import (
    NONE,
    Failure,
    pair_failures,
    sampled,
    single_failures,
)
from twin.studies.contingency.unserved import Unserved

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

STRETCH = 512
"""Ticks at a time, so that the loads of all links stay in the cache."""


@dataclass(frozen=True)
class Contingencies:
    """What every failure would have done at every tick, under every policy."""

    result: Result
    """The run that they are held against."""
    failures: pd.DataFrame
    """A row for each policy and failure, ``none`` among them."""
    worst_cases: pd.DataFrame
    """A row for each policy and link."""
    skipped: int
    """Intervals with a missing demand, which are left out."""
    wall_time_s: float


def contingencies(
    scenario: Scenario,
    *,
    order: int = 1,
    sample: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Contingencies:
    """Run a scenario and hold every failure against its allocations.

    `order` 2 adds every two connections at once; of all failures `sample` are drawn. `progress` is
    called with the failures done and their number. Raises InputError for a scenario that has no
    network to route over or fails itself, and RunError where a policy fails.
    """
    begin = time.perf_counter()
    routing = _routing(scenario)
    topology = routing.topology
    sets = single_failures(topology) + (pair_failures(topology) if order > 1 else [])
    sets = sets if sample is None else sampled(sets, sample, scenario.spec.seed)
    result = run(scenario)
    analysis = ContingencyAnalysis(result)
    for done, failure in enumerate(sets):
        analysis.strike(failure)
        if progress is not None:
            progress(done + 1, len(sets))
    failures, worst_cases = analysis.tables()
    seconds = time.perf_counter() - begin
    return Contingencies(result, failures, worst_cases, analysis.skipped, seconds)


def _routing(scenario: Scenario) -> ShortestPaths:
    if not isinstance(scenario.routing, ShortestPaths):
        what = "needs demand from site to site, to route it anew when something fails"
        remedy = "state a 'topology' and a demand with 'source: matrix', or one that is estimated"
        raise InputError(Problem(what, "contingency", suggestion=remedy))
    for i, event in enumerate(scenario.spec.events):
        if isinstance(event, Outage):
            what = f"'{event.kind}' would be there beside every failure that is tried"
            remedy = "remove it: a contingency strikes the network as it is"
            raise InputError(Problem(what, ("events", i), scenario.path, None, remedy))
    return scenario.routing


class ContingencyAnalysis:
    """Loads under one failure after the other, held against all policies. Arrays by link."""

    def __init__(self, result: Result) -> None:
        """Take the run that failures are held against, of a scenario with a network."""
        recording, routing = result.recording, result.scenario.routing
        assert isinstance(routing, ShortestPaths)
        assert recording.flow_demand is not None
        flows = recording.flow_demand
        known = np.flatnonzero(~np.isnan(flows).any(axis=1))
        self.skipped = len(flows) - len(known)
        self._routing, self._known, self._tick_s = routing, known, recording.tick_s
        self._flows = np.ascontiguousarray(flows[known].T)
        """Mbit/s, [flows, ticks]."""
        up = np.zeros(len(routing.links), dtype=np.bool_)
        self._intact = routing.matrix(up)
        self._loads = np.asarray(self._intact @ self._flows)
        capacity = np.empty((recording.intervals, len(routing.links)))
        for first, mbps in recording.capacity:
            capacity[first:] = mbps
        self._capacity = np.ascontiguousarray(capacity[known].T)
        self._policies = [lane.name for lane in recording.lanes]
        self._allocated = [
            np.ascontiguousarray(np.minimum(lane.allocated, capacity)[known].T)
            for lane in recording.lanes
        ]
        self._rows: list[dict[str, Any]] = []
        # Of each link: the greatest load so far over all failures at every tick, and of which.
        self._highest = np.full(self._loads.shape, -np.inf)
        self._cause = np.zeros(self._loads.shape, dtype=np.int32)
        self._names: list[str] = []
        self._violated = np.zeros((len(self._policies), len(routing.links)))
        self._take(NONE, lambda ticks: self._loads[:, ticks], up, 0.0)

    def strike(self, failure: Failure) -> None:
        """Let the links of a failure be down at every tick."""
        matrix = self._routing.matrix(failure.down)
        changed: sparse.csr_array[Any] = matrix - self._intact
        changed.eliminate_zeros()
        affected = np.unique(changed.indices)
        rows = np.flatnonzero(np.diff(changed.indptr))
        shares = changed[rows][:, affected].toarray()
        lost = np.asarray(matrix.sum(axis=0))[affected] == 0
        unrouted = float(self._flows[affected[lost]].sum()) * self._tick_s

        def loads(ticks: slice) -> Floats:
            under: Floats = self._loads[:, ticks].copy()
            under[rows] += shares @ self._flows[affected, ticks]
            # What is left of a difference of sums is no load.
            under[failure.down] = 0.0
            return np.maximum(under, 0.0, out=under)

        self._take(failure.name, loads, failure.down, unrouted)

    def _take(
        self, name: str, loads: Callable[[slice], Floats], down: Bools, unrouted: float
    ) -> None:
        """Hold the loads under a failure against all policies, a stretch of ticks at a time."""
        place, minutes = len(self._names), self._tick_s / 60
        self._names.append(name)
        tallies = [_Tally(len(down)) for _ in self._policies]
        lost: Unserved | None = None
        for first in range(0, len(self._known), STRETCH):
            ticks = slice(first, first + STRETCH)
            now = loads(ticks)
            higher = now > self._highest[:, ticks]
            np.copyto(self._highest[:, ticks], now, where=higher)
            self._cause[:, ticks][higher] = place
            for tally, allocated in zip(tallies, self._allocated, strict=True):
                short = tally.take(now, allocated[:, ticks], first)
                if short is not None:
                    lost = lost or Unserved(self._routing.paths(down))
                    flows = self._flows[:, ticks]
                    tally.unserved += lost.of(flows, now, allocated[:, ticks], short)
        for policy, tally in enumerate(tallies):
            self._violated[policy] += tally.short * minutes
            self._rows.append(
                {
                    "policy": self._policies[policy],
                    "failure": name,
                    "unrouted_mbit": unrouted,
                    "unserved_mbit": tally.unserved * self._tick_s,
                    "violation_minutes": float(tally.short.sum() * minutes),
                    "links_violated": int((tally.short > 0).sum()),
                    "worst_link": self._routing.links[tally.link],
                    "worst_utilization": tally.worst,
                    "worst_start_s": float(self._known[tally.tick] * self._tick_s),
                    "intervals_violated": tally.ticks,
                    "links_down": int(down.sum()),
                }
            )

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the failures by policy, and the worst case of every link by policy."""
        import pandas as pd

        failures = pd.DataFrame(self._rows)
        order = {name: place for place, name in enumerate(self._policies)}
        failures = failures.sort_values("policy", key=lambda each: each.map(order), kind="stable")
        rows = []
        used = utilization(self._highest, self._capacity).max(axis=1)
        for policy, allocated in enumerate(self._allocated):
            ratio = utilization(self._highest, allocated)
            ticks = ratio.argmax(axis=1)
            for link, tick in enumerate(ticks.tolist()):
                rows.append(
                    {
                        "policy": self._policies[policy],
                        "link": self._routing.links[link],
                        "worst_utilization": float(ratio[link, tick]),
                        "worst_failure": self._names[self._cause[link, tick]],
                        "worst_start_s": float(self._known[tick] * self._tick_s),
                        "capacity_utilization": float(used[link]),
                        "violation_minutes": float(self._violated[policy, link]),
                    }
                )
        return failures.reset_index(drop=True), pd.DataFrame(rows)


class _Tally:
    """What one failure does to one policy."""

    def __init__(self, links: int) -> None:
        self.short = np.zeros(links, dtype=np.int64)
        """Ticks at which each link is short."""
        self.ticks = 0
        """Ticks at which any is."""
        self.unserved = self.worst = 0.0
        self.link = self.tick = 0
        """Where and when the load over the allocation is greatest."""

    def take(self, loads: Floats, allocated: Floats, first: int) -> Bools | None:
        """Take a stretch of ticks, the `first` of which it begins with.

        Return where a load exceeds its allocation, None where none does.
        """
        ratio = utilization(loads, allocated)
        greatest = int(ratio.argmax())
        link, tick = divmod(greatest, ratio.shape[1])
        if ratio[link, tick] > self.worst:
            self.worst, self.link, self.tick = float(ratio[link, tick]), link, first + tick
        # Rounding lets a quotient be 1 where the load is greater.
        if ratio[link, tick] < 1:
            return None
        short = loads > allocated
        self.short += short.sum(axis=1)
        self.ticks += int(short.any(axis=0).sum())
        return short


def utilization(loads: Floats, limits: Floats) -> Floats:
    """Return loads over limits: 0 where there is no load, infinite where nothing is allocated."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = loads / limits
    return np.where(loads > 0, ratio, 0.0)


def without_shortfall(table: pd.DataFrame, intervals: int) -> dict[str, tuple[int, float]]:
    """Return under how many failures no link is ever short, and in what share of all ticks.

    By policy; the network as it is does not count, nor what is unrouted, which no policy can help.
    """
    told = {}
    for policy, rows in table[table["failure"] != NONE].groupby("policy", sort=False):
        whole = int((rows["intervals_violated"] == 0).sum())
        share = 1 - rows["intervals_violated"].sum() / max(len(rows) * intervals, 1)
        told[str(policy)] = (whole, float(share))
    return told
