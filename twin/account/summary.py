"""The summary of a run: a row for each policy and link, and one that pools all links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twin.account.block import Block, blocks
from twin.engine.recording import LaneRecord, Recording

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

ALL = "all"
"""The `link` of the row that pools all links."""

COLUMNS = (
    "policy",
    "link",
    "intervals",
    "missing_intervals",
    "mae",
    "rmse",
    "efficiency_mean",
    "efficiency_median",
    "wastage_mean",
    "utilization_mean",
    "over_provisioning_mean_mbps",
    "over_provisioning_pct",
    "sla_violation_rate",
    "sla_violation_minutes",
    "unmet_mbit",
    "allocated_mean_mbps",
    "infinite_utilization_intervals",
)


@dataclass(frozen=True, slots=True)
class _Totals:
    """Sums over the known intervals of each link, [links]."""

    known: Floats
    missing: Floats
    abs_error: Floats
    squared_error: Floats
    efficiency: Floats
    wastage: Floats
    utilization: Floats
    infinite: Floats
    over_provisioning: Floats
    violations: Floats
    violation_s: Floats
    unmet: Floats
    allocated: Floats
    demand: Floats

    @classmethod
    def joined(cls, parts: Sequence[_Totals]) -> _Totals:
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def pooled(self) -> _Totals:
        return _Totals(*(getattr(self, f.name).sum(keepdims=True) for f in fields(self)))


def summarise(recording: Recording) -> pd.DataFrame:
    """Return the summary: columns :data:`COLUMNS`, rates as shares, Mbit/s and Mbit."""
    import pandas as pd

    tables = [_lane_table(recording, lane) for lane in recording.lanes]
    table = {name: np.concatenate([t[name] for t in tables]) for name in COLUMNS[2:]}
    links = [*recording.links, ALL]
    labels = {
        "policy": [lane.name for lane in recording.lanes for _ in links],
        "link": links * len(recording.lanes),
    }
    return pd.DataFrame(labels | table)


def _lane_table(recording: Recording, lane: LaneRecord) -> dict[str, NDArray[np.generic]]:
    efficiencies = np.empty(recording.demand.size)
    filled = 0
    totals, medians = [], []
    for block in blocks(recording, lane):
        for part in _known_parts(block):
            values = part.metrics.efficiency
            efficiencies[filled : filled + values.size] = values.ravel()
            filled += values.size
            totals.append(_total(part, recording.intervals))
            medians.append(_median(values))
    links = _Totals.joined(totals)
    everything = _median(efficiencies[None, :filled])
    median = np.concatenate([*medians, everything])
    return _columns(_Totals.joined([links, links.pooled()]), median, recording.tick_s)


def _known_parts(block: Block) -> list[Block]:
    """Return the block without missing intervals: whole, or link by link."""
    missing = np.isnan(block.demand)
    if not missing.any():
        return [block]
    return [_select(block, i, ~missing[i]) for i in range(len(block.links))]


def _select(block: Block, link: int, known: NDArray[np.bool_]) -> Block:
    def pick(values: Floats) -> Floats:
        return np.broadcast_to(values, block.demand.shape)[link : link + 1, known]

    metrics = type(block.metrics)(
        *(pick(getattr(block.metrics, f.name)) for f in fields(block.metrics))
    )
    return Block(
        block.links[link : link + 1],
        pick(block.demand),
        pick(block.requested),
        pick(block.allocated),
        None if block.capacity is None else pick(block.capacity),
        metrics,
    )


def _total(block: Block, intervals: int) -> _Totals:
    metrics, known = block.metrics, block.demand.shape[1]
    error = np.abs(block.requested - block.demand)
    utilization = metrics.utilization.sum(axis=1)
    infinite = np.zeros(len(block.links))
    if np.isinf(utilization).any():
        infinite = np.isinf(metrics.utilization).sum(axis=1).astype(np.float64)
        utilization = metrics.utilization.sum(axis=1, where=np.isfinite(metrics.utilization))
    return _Totals(
        known=np.full(len(block.links), float(known)),
        missing=np.full(len(block.links), float(intervals - known)),
        abs_error=error.sum(axis=1),
        squared_error=np.einsum("ij,ij->i", error, error),
        efficiency=metrics.efficiency.sum(axis=1),
        wastage=metrics.wastage.sum(axis=1),
        utilization=utilization,
        infinite=infinite,
        over_provisioning=metrics.over_provisioning.sum(axis=1),
        violations=np.count_nonzero(metrics.violation_s, axis=1).astype(np.float64),
        violation_s=metrics.violation_s.sum(axis=1),
        unmet=metrics.unmet.sum(axis=1),
        allocated=block.allocated.sum(axis=1) * (known / block.allocated.shape[1]),
        demand=block.demand.sum(axis=1),
    )


def _median(values: Floats) -> Floats:
    """Return the median of each row, NaN for an empty one; the rows are reordered."""
    middle, odd = divmod(values.shape[1], 2)
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    # Selecting one element is several times faster than the two that np.median selects.
    values.partition(middle, axis=1)
    upper = values[:, middle]
    return upper.copy() if odd else (values[:, :middle].max(axis=1) + upper) / 2


def _columns(totals: _Totals, median: Floats, tick_s: int) -> dict[str, NDArray[np.generic]]:
    known = totals.known
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "intervals": (known + totals.missing).astype(np.int64),
            "missing_intervals": totals.missing.astype(np.int64),
            "mae": totals.abs_error / known,
            "rmse": np.sqrt(totals.squared_error / known),
            "efficiency_mean": totals.efficiency / known,
            "efficiency_median": median,
            "wastage_mean": totals.wastage / known,
            "utilization_mean": totals.utilization / (known - totals.infinite),
            "over_provisioning_mean_mbps": totals.over_provisioning / known,
            "over_provisioning_pct": np.where(
                totals.demand > 0, 100 * totals.over_provisioning / totals.demand, np.nan
            ),
            "sla_violation_rate": totals.violations / known,
            "sla_violation_minutes": totals.violation_s / 60,
            "unmet_mbit": totals.unmet * tick_s,
            "allocated_mean_mbps": totals.allocated / known,
            "infinite_utilization_intervals": totals.infinite.astype(np.int64),
        }
