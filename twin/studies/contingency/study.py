"""Holds every failure at every tick against what each policy had allocated.

Policies decide on the network as it is: at each tick the failure strikes unannounced. Traffic moves
to the paths that are left, and the loads are held against the allocations and capacities of that
tick.

Failures are rerouted in batches (`rerouted.py`) and pass over blocks of ticks (`block.py`), several
at once: by compiled code (`compiled.py`) where there is much to do and numba is installed, else by
NumPy (`vectorised.py`). What a block gives does not depend on the others, and is added up in their
order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from twin.api.run import run
from twin.core.errors import InputError, Problem
from twin.events.outage import Outage
from twin.forecast.forecaster import usable_cores
from twin.results.result import Result
from twin.routing.shortest_paths import ShortestPaths
from twin.scenario.load import Scenario
from twin.studies.contingency.block import Block, Tally
from twin.studies.contingency.failures import (
    NONE,
    Failure,
    pair_failures,
    sampled,
    single_failures,
)
from twin.studies.contingency.rerouted import Rerouted, rerouted

if TYPE_CHECKING:
    import pandas as pd

BLOCK_NUMBERS: Final = 12_000_000
"""Demands in a block, at most: flows x ticks."""
BATCH: Final = 250
"""Failures that pass over the blocks together, at most; the next ones are rerouted meanwhile."""
BATCH_BYTES: Final = 2**27
"""Memory that they may take."""
WORTH_COMPILING: Final = 5_000_000
"""Demands in a run, flows x ticks, from which on compiled code is worth loading."""


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
    analysis.strike(sets, progress)
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
            raise InputError(scenario.place(Problem(what, ("events", i), suggestion=remedy)))
    return scenario.routing


class ContingencyAnalysis:
    """Loads under one failure after the other, held against all policies. Arrays by link."""

    def __init__(
        self, result: Result, threads: int | None = None, compiled: bool | None = None
    ) -> None:
        """Take the run that failures are held against, of a scenario with a network.

        As many blocks of ticks are worked on at once as there are `threads`, by default one for
        each core; the tables do not depend on it. `compiled` is whether compiled code is used, by
        default where it is worth it.
        """
        recording, routing = result.recording, result.scenario.routing
        assert isinstance(routing, ShortestPaths)
        assert recording.flow_demand is not None
        self._routing, self._recording = routing, recording
        self._flows = recording.flow_demand
        """Mbit/s, [intervals, flows]."""
        total = self._flows.sum(axis=1)
        known = np.flatnonzero(~np.isnan(total))
        self.skipped = len(total) - len(known)
        # Ticks of like demand in one block: where no link is short then, little is left to do.
        # Those with most to do come first, so that no thread is left with one at the end.
        busiest = known[np.argsort(-total[known], kind="stable")]
        if compiled is None:
            compiled = self._flows.size >= WORTH_COMPILING and find_spec("numba") is not None
        self.is_compiled = compiled
        """Whether compiled code is used."""
        if compiled:
            from twin.studies.contingency.compiled import BLOCK, hold
        else:
            from twin.studies.contingency.vectorised import BLOCK, hold
        self._hold = hold
        size = min(BLOCK, max(BLOCK_NUMBERS // self._flows.shape[1], 1))
        self._ticks = [np.sort(busiest[k : k + size]) for k in range(0, len(busiest), size)]
        self._demand = self._flows[known].sum(axis=0) if self.skipped else self._flows.sum(axis=0)
        """Of each flow, summed over the known intervals."""
        up = np.zeros(len(routing.links), dtype=np.bool_)
        self._intact = routing.matrix(up)
        self._usual = routing.paths(up)
        self._policies = [lane.name for lane in recording.lanes]
        self._threads = threads or usable_cores()
        shapes = [(len(routing.links), len(ticks)) for ticks in self._ticks]
        # Of each link: the greatest load so far over all failures at every tick, and of which.
        self._highest = [np.full(shape, -np.inf) for shape in shapes]
        self._cause = [np.zeros(shape, dtype=np.int64) for shape in shapes]
        self._names: list[str] = []
        self._violated = np.zeros((len(self._policies), len(routing.links)))
        self._rows: list[dict[str, Any]] = []
        self.strike([Failure(NONE, up)])

    def _block(self, number: int) -> Block:
        ticks = self._ticks[number]
        flows = np.ascontiguousarray(self._flows[ticks].T)
        loads = np.asarray(self._intact @ flows)
        return Block.of(self._recording, self._recording.lanes, ticks, flows, loads)

    def strike(
        self, failures: Sequence[Failure], progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Let each failure happen at every tick."""
        done, blocks = 0, len(self._ticks)
        batches = self._batches(failures)
        with threadpool_limits(1), ThreadPoolExecutor(self._threads) as pool:
            coming = pool.submit(next, batches, None)
            while (some := coming.result()) is not None:
                # The next ones are rerouted meanwhile.
                coming = pool.submit(next, batches, None)
                tally = Tally.empty(len(some), len(self._policies), len(self._routing.links))
                hold = partial(self._held, some)
                for number, part in enumerate(pool.map(hold, range(blocks)), 1):
                    tally.add(part)
                    if progress is not None:
                        progress(done + len(some) * number // blocks, len(failures))
                done += len(some)
                self._take(some, tally)

    def _batches(self, failures: Sequence[Failure]) -> Iterator[list[Rerouted]]:
        batch: list[Rerouted] = []
        size = 0
        for failure in failures:
            batch.append(rerouted(self._routing, self._usual, failure))
            size += batch[-1].nbytes if self.is_compiled else batch[-1].nbytes_at_most
            if size >= BATCH_BYTES or len(batch) == BATCH:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _held(self, moved: Sequence[Rerouted], number: int) -> Tally:
        highest, cause = self._highest[number], self._cause[number]
        return self._hold(self._block(number), moved, highest, cause, len(self._names))

    def _take(self, moved: Sequence[Rerouted], tally: Tally) -> None:
        """Note what failures did at all ticks."""
        tick_s = self._recording.tick_s
        self._violated += tally.short.sum(axis=0) * (tick_s / 60)
        for number, each in enumerate(moved):
            self._names.append(each.failure.name)
            for policy, name in enumerate(self._policies):
                at = number, policy
                self._rows.append(
                    {
                        "policy": name,
                        "failure": each.failure.name,
                        "unrouted_mbit": float(self._demand[each.lost].sum()) * tick_s,
                        "unserved_mbit": float(tally.unserved[at]) * tick_s,
                        "violation_minutes": float(tally.short[at].sum() * (tick_s / 60)),
                        "links_violated": int((tally.short[at] > 0).sum()),
                        "worst_link": self._routing.links[tally.link[at]],
                        "worst_utilization": float(max(tally.worst[at], 0.0)),
                        "worst_start_s": float(tally.tick[at] * tick_s),
                        "intervals_violated": int(tally.ticks[at]),
                        "links_down": int(each.failure.down.sum()),
                    }
                )

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the failures by policy, and the worst case of every link by policy."""
        import pandas as pd

        failures = pd.DataFrame(self._rows)
        order = {name: place for place, name in enumerate(self._policies)}
        failures = failures.sort_values("policy", key=lambda each: each.map(order), kind="stable")
        shape = len(self._policies), len(self._routing.links)
        worst, used = np.full(shape, -1.0), np.zeros(shape[1])
        tick, cause = (np.zeros(shape, dtype=np.int64) for _ in range(2))
        for number, ticks in enumerate(self._ticks):
            by_policy, of_capacity = self._block(number).worst_cases(self._highest[number])
            np.maximum(used, of_capacity, out=used)
            for policy, (ratio, place) in enumerate(by_policy):
                at = ticks[place]
                earlier = (ratio == worst[policy]) & (at < tick[policy])
                worse = (ratio > worst[policy]) | earlier
                worst[policy][worse], tick[policy][worse] = ratio[worse], at[worse]
                cause[policy][worse] = self._cause[number][np.arange(shape[1]), place][worse]
        rows = [
            {
                "policy": name,
                "link": link,
                "worst_utilization": max(worst[policy, number], 0.0),
                "worst_failure": self._names[cause[policy, number]],
                "worst_start_s": float(tick[policy, number] * self._recording.tick_s),
                "capacity_utilization": used[number],
                "violation_minutes": self._violated[policy, number],
            }
            for policy, name in enumerate(self._policies)
            for number, link in enumerate(self._routing.links)
        ]
        return failures.reset_index(drop=True), pd.DataFrame(rows)


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
