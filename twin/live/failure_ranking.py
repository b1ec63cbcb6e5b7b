"""What would hurt most: every single failure, held against what policies will have allocated.

As in a contingency, a failure strikes unannounced: policies decide on the network without it, and
its traffic moves to the paths that are left. It is held at every tick of every replication.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from twin.core.arrays import Bools, Floats
from twin.engine.recording import Recording
from twin.live.demand_paths import ranked
from twin.routing.shortest_paths import ShortestPaths
from twin.studies.contingency.block import Block
from twin.studies.contingency.failures import Failure, single_failures
from twin.studies.contingency.rerouted import rerouted
from twin.studies.contingency.vectorised import hold
from twin.topology.topology import Topology

_ENDS: Final = (0.05, 0.95)


class FailureRanking:
    """What each failure comes to, replication by replication."""

    def __init__(
        self, routing: ShortestPaths, topology: Topology, down: Bools, policies: Mapping[str, str]
    ) -> None:
        """Take the network, of which some links are `down` anyway.

        `policies` are what policies are called here, and in recordings.
        """
        self.policies = tuple(policies)
        self._lanes = tuple(policies.values())
        self._routing = routing
        self._intact, usual = routing.matrix(down), routing.paths(down)
        new = [each for each in single_failures(topology) if (each.down & ~down).any()]
        self._moved = [
            rerouted(routing, usual, Failure(each.name, each.down | down)) for each in new
        ]
        self._unmet: list[Floats] = []
        self._minutes: list[Floats] = []
        self._worst: Floats = np.full((len(new), len(policies)), -np.inf)
        self._worst_link = np.zeros(self._worst.shape, dtype=np.int64)

    def add(self, recording: Recording) -> None:
        """Hold all failures against one replication."""
        assert recording.flow_demand is not None
        flows = np.ascontiguousarray(np.nan_to_num(recording.flow_demand).T)
        ticks = np.arange(recording.intervals)
        lanes = {lane.name: lane for lane in recording.lanes}
        loads = np.asarray(self._intact @ flows)
        deciding = [lanes[name] for name in self._lanes]
        block = Block.of(recording, deciding, ticks, flows, loads)
        highest = np.full(loads.shape, -np.inf)
        cause = np.zeros(loads.shape, dtype=np.int64)
        tally = hold(block, self._moved, highest, cause, 0)
        lost = np.array([flows[each.lost].sum() for each in self._moved])
        tick_s = recording.tick_s
        self._unmet.append((tally.unserved + lost[:, None]) * tick_s)
        self._minutes.append(tally.short.sum(axis=2) * (tick_s / 60))
        worse = tally.worst > self._worst
        self._worst = np.where(worse, tally.worst, self._worst)
        self._worst_link = np.where(worse, tally.link, self._worst_link)

    def as_rows(self) -> list[dict[str, Any]]:
        """Return a row for each policy and failure, of each policy the one that hurts most first.

        By the mean demand that is not served; with the interval that holds nine of ten.
        """
        unmet, minutes = np.stack(self._unmet), np.stack(self._minutes)
        rows = []
        for at, policy in enumerate(self.policies):
            order = np.lexsort((-minutes[..., at].mean(axis=0), -unmet[..., at].mean(axis=0)))
            for i in order.tolist():
                utilization = float(self._worst[i, at])
                rows.append(
                    {
                        "policy": policy,
                        "failure": self._moved[i].failure.name,
                        "unmet_mbit": _estimate(unmet[:, i, at]),
                        "violated_minutes": _estimate(minutes[:, i, at]),
                        "worst_link": self._routing.links[int(self._worst_link[i, at])],
                        "worst_utilization": utilization if np.isfinite(utilization) else None,
                    }
                )
        return rows


def _estimate(values: Floats) -> dict[str, float]:
    low, high = (float(ranked(values, level)) for level in _ENDS)
    return {"mean": float(values.mean()), "low": low, "high": high}
