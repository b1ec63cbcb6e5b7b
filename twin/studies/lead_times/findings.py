"""What a comparison of lead times says, in sentences made from its table."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from twin.core.units import counted, format_duration
from twin.studies.lead_times.compare import LeadTimes, LeadTimeTable

if TYPE_CHECKING:
    import pandas as pd


def gain(study: LeadTimeTable) -> list[str]:
    """Return what an operator gains by provisioning faster, in sentences; the first is the sum.

    At each lead time the policy counts that keeps the SLA on every link of this replay at the least
    over-provisioning.
    """
    kept = {lead: row for lead in study.lead_times if (row := study.best(lead)) is not None}
    lost = [_closest(study, lead) for lead in study.lead_times if lead not in kept]
    if not kept:
        return ["At none of the lead times does a policy keep the SLA on every link.", *lost]
    if len(kept) == 1:
        (row,) = kept.values()
        only = f"the SLA on every link, at the least waste {_named(row)}"
        return [f"At one lead time alone does a policy keep {only}.", *lost]
    steps = [_step(slow, fast) for slow, fast in pairwise(reversed(kept.values()))]
    each = [f"In steps: {', '.join(steps)} of mean demand."] if len(steps) > 1 else []
    return [_difference(kept[max(kept)], kept[min(kept)]), *each, *lost]


def warnings(study: LeadTimes) -> list[str]:
    """Return a sentence where lead times are so long that nothing ordered takes effect."""
    if not study.too_long:
        return []
    leads = _listed([format_duration(lead) for lead in study.too_long])
    length = format_duration(study.scenario.span.horizon(study.scenario.trace.tick_s))
    return [
        f"With a lead time of {leads} no order takes effect within the replay of {length}: the "
        "first decision, which is in force at once, holds throughout."
    ]


def _difference(slow: pd.Series[Any], fast: pd.Series[Any]) -> str:
    """Return the sentence on the slowest and the fastest lead time."""
    waste = slow["over_provisioning_pct"] - fast["over_provisioning_pct"]
    mbps = slow["over_provisioning_mean_mbps"] - fast["over_provisioning_mean_mbps"]
    begin, end = (format_duration(row["lead_time_s"]) for row in (slow, fast))
    verb = "saves" if waste >= 0 else "costs"
    return (
        f"Provisioning within {end} instead of {begin} {verb} over-provisioning of "
        f"{abs(waste):.1f} % of mean demand, {abs(mbps):,.4g} Mbit/s a link on average: the "
        f"policies that keep the SLA on every link at the least waste are {_named(fast)} and "
        f"{_named(slow)}."
    )


def _named(row: pd.Series[Any]) -> str:
    lead = format_duration(row["lead_time_s"])
    return f"{row['policy']} with {row['over_provisioning_pct']:.1f} % at {lead}"


def _step(slow: pd.Series[Any], fast: pd.Series[Any]) -> str:
    begin, end = (format_duration(row["lead_time_s"]) for row in (slow, fast))
    waste = fast["over_provisioning_pct"] - slow["over_provisioning_pct"]
    return f"{begin} to {end} {waste:+.1f} %"


def _closest(study: LeadTimeTable, lead: float) -> str:
    """Return the sentence on a lead time at which no policy keeps the SLA."""
    rows = study.table[(study.table["lead_time_s"] == lead) & ~study.table["bound"]]
    at = f"At {format_duration(lead)} no policy keeps the SLA on every link"
    if rows.empty:
        return f"{at}."
    row = rows.sort_values(["links_missing_sla", "sla_violation_rate"], kind="stable").iloc[0]
    kept = int(row["links_within_sla"])
    return (
        f"{at}; {row['policy']} is closest, with {kept} of "
        f"{counted(kept + int(row['links_missing_sla']), 'link')}, "
        f"{100 * row['sla_violation_rate']:.2f} % of intervals violated and "
        f"{row['over_provisioning_pct']:.1f} % over-provisioning."
    )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
