"""What one course of events comes to under each policy: the numbers that a what-if is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from twin.account.block import blocks
from twin.core.arrays import Floats
from twin.engine.recording import Recording


@dataclass(frozen=True)
class Outcomes:
    """What each replication comes to. Arrays are [replications, policies, links] if not said."""

    violated_minutes: Floats
    unmet_mbit: Floats
    peak_utilization: Floats
    """The highest demand over allocation of an interval; infinite where nothing was allocated."""
    allocated_mbps: Floats
    """Mean over time."""
    peak_mbps: Floats
    """The highest load of an interval, [replications, links]."""
    allocation: Floats
    """Sum over links, Mbit/s, [replications, policies, intervals]."""
    unrouted_mbit: Floats
    """Demand that no path was left for, which no policy can help, [replications]."""

    @classmethod
    def of(cls, recording: Recording, policies: Sequence[str]) -> Outcomes:
        """Return what is recorded of some of the policies, as one replication."""
        of_policy = [_of_policy(recording, name) for name in policies]
        violated, unmet, highest, mean, allocation = (
            np.stack(column)[None] for column in zip(*of_policy, strict=True)
        )
        peak = np.fmax.reduce(recording.demand, axis=0, initial=0.0)
        lost = np.array([sum(recording.unrouted.values())])
        return cls(violated, unmet, highest, mean, peak[None], allocation, lost)

    def total(self, at: int) -> dict[str, Floats]:
        """Return what policy number `at` comes to over all links, a number for each replication."""
        return {
            "violated_minutes": self.violated_minutes[:, at].sum(axis=1),
            "unmet_mbit": self.unmet_mbit[:, at].sum(axis=1),
            "unrouted_mbit": self.unrouted_mbit,
            "peak_utilization": self.peak_utilization[:, at].max(axis=1),
            "peak_load_mbps": self.peak_mbps.max(axis=1),
            "allocated_mbps": self.allocated_mbps[:, at].sum(axis=1),
        }

    @classmethod
    def beside(cls, parts: Sequence[Self]) -> Self:
        """Return the policies of all parts, which met the same demand, in order."""
        first, *others = parts
        if not others:
            return first
        of_network = ("peak_mbps", "unrouted_mbit")
        return cls(
            *(
                getattr(first, f.name)
                if f.name in of_network
                else np.concatenate([getattr(p, f.name) for p in parts], axis=1)
                for f in fields(cls)
            )
        )

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return all replications of all parts, in order."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


def _of_policy(recording: Recording, name: str) -> tuple[Floats, ...]:
    lane = next(each for each in recording.lanes if each.name == name)
    violated, unmet, highest, mean = [], [], [], []
    allocation = np.zeros(recording.intervals)
    for block in blocks(recording, lane):
        metrics = block.metrics
        violated.append(metrics.violation_s.sum(axis=1) / 60)
        unmet.append(np.nansum(metrics.unmet, axis=1) * recording.tick_s)
        highest.append(np.fmax.reduce(metrics.utilization, axis=1, initial=0.0))
        allocated = np.broadcast_to(block.allocated, block.demand.shape)
        mean.append(allocated.mean(axis=1))
        allocation += allocated.sum(axis=0)
    return (*(np.concatenate(each) for each in (violated, unmet, highest, mean)), allocation)
