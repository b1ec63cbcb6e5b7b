"""What every metric is: its unit and its meaning, stated once for tables, reports and docs."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """One column of the summary."""

    title: str
    unit: str
    meaning: str
    better: Literal["lower", "higher", "neither"] = "lower"


METRICS: dict[str, Metric] = {
    "intervals": Metric(
        "intervals", "", "intervals of the replay, missing ones included", "neither"
    ),
    "missing_intervals": Metric(
        "missing", "", "intervals without a sample, left out of all else", "neither"
    ),
    "mae": Metric("MAE", "Mbit/s", "mean absolute difference of request and demand"),
    "rmse": Metric("RMSE", "Mbit/s", "root of their mean squared difference"),
    "efficiency_mean": Metric("efficiency, mean", "", "min(demand / allocation, 1)", "higher"),
    "efficiency_median": Metric("efficiency, median", "", "min(demand / allocation, 1)", "higher"),
    "wastage_mean": Metric("wastage", "", "max((allocation - demand) / allocation, 0), mean"),
    "utilization_mean": Metric(
        "utilization", "", "demand / allocation, mean; may exceed 1", "neither"
    ),
    "over_provisioning_mean_mbps": Metric(
        "over-provisioning", "Mbit/s", "max(allocation - demand, 0), mean"
    ),
    "over_provisioning_pct": Metric(
        "over-provisioning", "% of demand", "mean of max(allocation - demand, 0) / mean demand"
    ),
    "sla_violation_rate": Metric("violated", "share", "share of intervals with unmet demand"),
    "sla_violation_minutes": Metric("violated", "min", "time with unmet demand"),
    "unmet_mbit": Metric("unmet", "Mbit", "demand that was not served"),
    "allocated_mean_mbps": Metric("allocated", "Mbit/s", "mean allocation", "neither"),
    "infinite_utilization_intervals": Metric(
        "nothing allocated", "", "intervals with demand and no allocation, left out of utilization"
    ),
    "unmet_pct": Metric("unmet", "% of demand", "share of the offered volume not served"),
    "violation_episodes": Metric("episodes", "", "runs of violated intervals"),
    "violation_longest_minutes": Metric("longest episode", "min", "its intervals in full"),
    "violation_mean_minutes": Metric("mean episode", "min", "its intervals in full"),
    "error_budget_left_pct": Metric(
        "error budget left",
        "%",
        "of the violated intervals that the SLA allows; below 0: overdrawn",
        "higher",
    ),
    "burn_rate": Metric("burn rate", "", "violated share over the share that the SLA allows"),
    "allocation_changes": Metric("changes", "", "times that the allocation was changed"),
    "churn_mbps": Metric("churn", "Mbit/s", "sum of all changes of the allocation, up and down"),
    "cost_efficiency": Metric("cost efficiency", "", "sum of demand / sum of allocation", "higher"),
    "p95_bill_mbps": Metric(
        "95th-percentile bill", "Mbit/s", "served traffic, the top 5 % of intervals dropped"
    ),
    "fallback_intervals": Metric("fallback", "", "intervals that the fallback decided"),
    "cost": Metric("cost", "currency", "capacity, penalties and changes at the stated prices"),
    "unavoidable_violation_minutes": Metric(
        "unavoidable", "min", "time with demand above capacity, violated whatever the allocation"
    ),
    "onset_violation_minutes": Metric(
        "at the onset of events",
        "min",
        "other violated time from an event's start to the next tick, before any observation of it",
    ),
    "sla_allowed_intervals": Metric(
        "budget of the worst link",
        "intervals",
        "violated intervals that the SLA allows, in the period and on the link that use most",
        "neither",
    ),
    "sla_used_intervals": Metric(
        "used of the budget, worst link", "intervals", "violated intervals there, in that period"
    ),
    "worst_burn_rate": Metric(
        "worst burn rate",
        "",
        "violated share over the target, in that period; above 1: the SLA is broken",
    ),
    "sla_violation_rate_low": Metric(
        "violated, at least", "share", "lower end of a 95 % interval of the share", "neither"
    ),
    "sla_violation_rate_high": Metric(
        "violated, at most", "share", "upper end of a 95 % interval of the share", "neither"
    ),
    "energy_kwh": Metric("energy", "kWh", "idle ports that are awake, and served traffic"),
}
