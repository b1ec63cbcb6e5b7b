"""The summary of a run: a row for each policy and link, and one that pools all links.

Means are over known intervals, and each interval of each link counts the same. Efficiency, wastage
and utilization are means of an interval's ratio (utilization where it is finite); `unmet_pct`,
`over_provisioning_pct` and `cost_efficiency` are ratios of sums. The pool's sums are those over all
links, its median is that of all intervals of all links, its longest episode the longest of any
link, and its bill the sum of the links' 95th percentiles. Its error budget is that of the link that
uses most of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twin.account.block import AccountBlock, blocks
from twin.account.budget import BudgetUse, budget_use, by_period
from twin.account.energy import LinkPower
from twin.account.onset import Onsets, onset_s, onsets
from twin.account.prices import PricesSpec, priced
from twin.account.uncertainty import MeasuredRows, StretchSums, share_interval
from twin.core.arrays import Floats
from twin.engine.recording import LaneRecord, Recording

if TYPE_CHECKING:
    import pandas as pd


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
    "unmet_pct",
    "violation_episodes",
    "violation_longest_minutes",
    "violation_mean_minutes",
    "error_budget_left_pct",
    "burn_rate",
    "allocation_changes",
    "churn_mbps",
    "cost_efficiency",
    "p95_bill_mbps",
    "fallback_intervals",
    "cost",
    "unavoidable_violation_minutes",
    "onset_violation_minutes",
    "sla_allowed_intervals",
    "sla_used_intervals",
    "worst_burn_rate",
    "sla_violation_rate_low",
    "sla_violation_rate_high",
    "energy_kwh",
)
"""Columns of the summary, in order; :data:`twin.account.catalogue.METRICS` says what each is."""

ENDS = ("sla_violation_rate_low", "sla_violation_rate_high")
"""The columns that are ends of an interval."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the account is settled by."""

    sla_target: float
    """Largest share of violated intervals."""
    prices: PricesSpec | None
    change_cost: Floats
    """Cost of an order, [links]."""
    sla_period: int = 0
    """Intervals of each period in which the target is to be held; 0: the whole replay."""
    power: LinkPower | None = None
    """What links draw; None where the scenario says nothing of it."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a run comes to."""

    summary: pd.DataFrame
    """Columns :data:`COLUMNS`, rates as shares, Mbit/s and Mbit."""
    sums: dict[str, StretchSums]
    """Of each policy, to tell differences from chance."""


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
    served: Floats
    episodes: Floats
    longest: Floats
    """Intervals of the longest episode."""
    changes: Floats
    churn: Floats
    change_cost: Floats
    bill: Floats
    """95th percentile of what was served; of the pool, the sum over links."""
    fallbacks: Floats
    overload_s: Floats
    watts: Floats
    """NaN where nothing is said of the link's power."""

    @classmethod
    def joined(cls, parts: Sequence[_Totals]) -> _Totals:
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def pooled(self) -> _Totals:
        sums = {f.name: getattr(self, f.name).sum(keepdims=True) for f in fields(self)}
        powered = ~np.isnan(self.watts)
        watts = self.watts.sum(keepdims=True, where=powered) if powered.any() else self.watts[:1]
        return _Totals(
            **(sums | {"longest": self.longest.max(keepdims=True, initial=0), "watts": watts})
        )


def summarise(recording: Recording, settlement: Settlement) -> pd.DataFrame:
    """Return the summary alone."""
    return settle(recording, settlement).summary


def settle(recording: Recording, settlement: Settlement) -> Account:
    """Return the account of a run, from one pass over its intervals."""
    import pandas as pd

    begun = onsets(recording)
    sums = {
        lane.name: StretchSums(priced=settlement.prices is not None) for lane in recording.lanes
    }
    tables = [
        _lane_table(recording, lane, settlement, begun, sums[lane.name]) for lane in recording.lanes
    ]
    table = {name: np.concatenate([t[name] for t in tables]) for name in COLUMNS[2:]}
    links = [*recording.links, ALL]
    labels = {
        "policy": [lane.name for lane in recording.lanes for _ in links],
        "link": links * len(recording.lanes),
    }
    return Account(pd.DataFrame(labels | table), sums)


def _lane_table(
    recording: Recording,
    lane: LaneRecord,
    settlement: Settlement,
    begun: Onsets,
    sums: StretchSums,
) -> dict[str, NDArray[np.generic]]:
    efficiencies = np.empty(recording.demand.size)
    filled = 0
    totals, medians, uses = [], [], []
    onset: list[Floats] = []
    for block in blocks(recording, lane, power=settlement.power):
        known = ~np.isnan(block.demand)
        uses.append(_budget_use(known, block.metrics.violation_s > 0, settlement))
        sums.add(_rows(block))
        onset.append(onset_s(block, sum(len(seconds) for seconds in onset), begun))
        for part in _known_parts(block):
            values = part.metrics.efficiency
            efficiencies[filled : filled + values.size] = values.ravel()
            filled += values.size
            totals.append(_total(part, recording, lane, settlement))
            medians.append(_median(values))
    links = _Totals.joined(totals)
    everything = _median(efficiencies[None, :filled])
    median = np.concatenate([*medians, everything])
    surprised = np.concatenate(onset)
    table = _columns(_Totals.joined([links, links.pooled()]), median, recording.tick_s, settlement)
    table |= {"onset_violation_minutes": np.append(surprised, surprised.sum()) / 60}
    return table | _budget_columns(uses) | _interval_columns(sums)


def _rows(block: AccountBlock) -> MeasuredRows:
    metrics = block.metrics
    return MeasuredRows(
        block.demand, block.allocated, metrics.over_provisioning, metrics.unmet, metrics.violation_s
    )


def _budget_use(
    known: NDArray[np.bool_], violated: NDArray[np.bool_], settlement: Settlement
) -> BudgetUse:
    period = settlement.sla_period
    counts = by_period(violated, period), by_period(known, period)
    return budget_use(*counts, settlement.sla_target)


def _budget_columns(uses: Sequence[BudgetUse]) -> dict[str, NDArray[np.generic]]:
    use = BudgetUse(*(np.concatenate(column) for column in zip(*uses, strict=True)))
    tightest = [use.tightest]
    return {
        "sla_allowed_intervals": np.append(use.allowed, use.allowed[tightest]),
        "sla_used_intervals": np.append(use.used, use.used[tightest]),
        "worst_burn_rate": np.append(use.burn, use.burn[tightest]),
    }


def _interval_columns(sums: StretchSums) -> dict[str, NDArray[np.generic]]:
    ends = zip(share_interval(*sums.by_link), share_interval(*sums.pooled), strict=True)
    low, high = (np.append(links, pool) for links, pool in ends)
    return dict(zip(ENDS, (low, high), strict=True))


def _known_parts(block: AccountBlock) -> list[AccountBlock]:
    """Return the block without missing intervals: whole, or link by link."""
    missing = np.isnan(block.demand)
    if not missing.any():
        return [block]
    return [_select(block, i, ~missing[i]) for i in range(len(block.links))]


def _select(block: AccountBlock, link: int, known: NDArray[np.bool_]) -> AccountBlock:
    def pick(values: Floats) -> Floats:
        return np.broadcast_to(values, block.demand.shape)[link : link + 1, known]

    metrics = type(block.metrics)(
        *(pick(getattr(block.metrics, f.name)) for f in fields(block.metrics))
    )
    return AccountBlock(
        block.links[link : link + 1],
        pick(block.demand),
        pick(block.requested),
        pick(block.allocated),
        None if block.capacity is None else pick(block.capacity),
        metrics,
        None if block.watts is None else pick(block.watts),
    )


def _total(
    block: AccountBlock, recording: Recording, lane: LaneRecord, settlement: Settlement
) -> _Totals:
    metrics, known = block.metrics, block.demand.shape[1]
    at = [recording.links.index(link) for link in block.links[:1]]
    links = slice(at[0], at[0] + len(block.links))
    steps = np.abs(np.diff(block.allocated, axis=1))
    changes = np.count_nonzero(steps, axis=1) if lane.changes is None else lane.changes[links]
    episodes, longest = _episodes(metrics.violation_s > 0)
    error = np.abs(block.requested - block.demand)
    utilization = metrics.utilization.sum(axis=1)
    infinite = np.zeros(len(block.links))
    if np.isinf(utilization).any():
        infinite = np.isinf(metrics.utilization).sum(axis=1).astype(np.float64)
        utilization = metrics.utilization.sum(axis=1, where=np.isfinite(metrics.utilization))
    return _Totals(
        known=np.full(len(block.links), float(known)),
        missing=np.full(len(block.links), float(recording.intervals - known)),
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
        # One column stands for all where the allocation never changes.
        allocated=block.allocated.sum(axis=1) * (known / max(block.allocated.shape[1], 1)),
        demand=block.demand.sum(axis=1),
        served=metrics.served.sum(axis=1),
        episodes=episodes,
        longest=longest,
        changes=changes.astype(np.float64),
        churn=steps.sum(axis=1),
        change_cost=changes * settlement.change_cost[links],
        bill=_billed(metrics.served),
        fallbacks=np.full(len(block.links), float(lane.fallbacks)),
        overload_s=metrics.overload_s.sum(axis=1),
        watts=np.full(len(block.links), np.nan) if block.watts is None else block.watts.sum(axis=1),
    )


def _episodes(violated: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the runs of violated intervals of each row, and the intervals of the longest."""
    padded = np.zeros((len(violated), violated.shape[1] + 2), dtype=np.bool_)
    padded[:, 1:-1] = violated
    # Beginnings and ends alternate along each row, and no run goes on into the next row.
    edges = np.flatnonzero(padded[:, 1:] != padded[:, :-1])
    first, last = edges[::2], edges[1::2]
    row = first // (violated.shape[1] + 1)
    longest = np.zeros(len(violated))
    if len(row):
        begins = np.flatnonzero(np.diff(row, prepend=-1))
        longest[row[begins]] = np.maximum.reduceat(last - first, begins)
    return np.bincount(row, minlength=len(violated)).astype(np.float64), longest


def _billed(served: Floats) -> Floats:
    """Return the 95th percentile of each row as it is billed: the top 5 % dropped."""
    kept = served.shape[1] - served.shape[1] // 20
    if not kept:
        return np.full(len(served), np.nan)
    return np.partition(served, kept - 1, axis=1)[:, kept - 1]


def _median(values: Floats) -> Floats:
    """Return the median of each row, NaN for an empty one; the rows are reordered."""
    middle, odd = divmod(values.shape[1], 2)
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    # Selecting one element is several times faster than the two that np.median selects.
    values.partition(middle, axis=1)
    upper = values[:, middle]
    return upper.copy() if odd else (values[:, :middle].max(axis=1) + upper) / 2


def _columns(
    totals: _Totals, median: Floats, tick_s: int, settlement: Settlement
) -> dict[str, NDArray[np.generic]]:
    known = totals.known
    rate = totals.violations / np.where(known > 0, known, np.nan)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
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
            "sla_violation_rate": rate,
            "sla_violation_minutes": totals.violation_s / 60,
            "unmet_mbit": totals.unmet * tick_s,
            "allocated_mean_mbps": totals.allocated / known,
            "infinite_utilization_intervals": totals.infinite.astype(np.int64),
            "unmet_pct": np.where(totals.demand > 0, 100 * totals.unmet / totals.demand, np.nan),
            "violation_episodes": totals.episodes.astype(np.int64),
            "violation_longest_minutes": totals.longest * tick_s / 60,
            "violation_mean_minutes": totals.violations / totals.episodes * tick_s / 60,
            "error_budget_left_pct": 100 * (1 - rate / settlement.sla_target),
            "burn_rate": rate / settlement.sla_target,
            "allocation_changes": totals.changes.astype(np.int64),
            "churn_mbps": totals.churn,
            "cost_efficiency": totals.demand / totals.allocated,
            "p95_bill_mbps": totals.bill,
            "fallback_intervals": totals.fallbacks.astype(np.int64),
            "cost": _cost(totals, tick_s, settlement),
            "unavoidable_violation_minutes": totals.overload_s / 60,
            "energy_kwh": totals.watts * tick_s / 3.6e6,
        }


def _cost(totals: _Totals, tick_s: int, settlement: Settlement) -> Floats:
    """Return what it all costs; NaN where the scenario states no prices."""
    prices = settlement.prices
    if prices is None:
        return np.full(len(totals.known), np.nan)
    cost = priced(prices, totals.allocated, totals.violation_s, totals.unmet, tick_s)
    return cost + totals.change_cost
