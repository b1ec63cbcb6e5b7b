"""The slide of a comparison of lead times: what provisioning faster saves, and a bar for each."""

from __future__ import annotations

from functools import partial
from typing import Final

from twin.core.units import counted
from twin.report.savings import LeadTimeBar, paint_savings
from twin.report.slide import Paint
from twin.studies.lead_times.compare import LeadTimeTable
from twin.studies.lead_times.findings import gain

_UNIT: Final = "over-provisioning, % of mean demand, of the best policy that keeps the SLA"


def sentence_of(study: LeadTimeTable) -> str:
    """Return what provisioning faster saves; by which policies, the picture says."""
    saving, _, more = gain(study)[0].partition(": the policies ")
    return f"{saving}." if more else saving


def source_of(study: LeadTimeTable) -> str:
    """Return what the slide is from."""
    links, policies = counted(study.links, "link"), counted(len(study.policies), "policy")
    return f"{study.name}: {policies} on {links}, the same demand and events at each lead time"


def picture_of(study: LeadTimeTable) -> Paint:
    """Return the picture: a bar for each lead time, the slowest first."""
    return partial(paint_savings, bars_of(study), _UNIT)


def bars_of(study: LeadTimeTable) -> list[LeadTimeBar]:
    """Return what the best policy comes to at each lead time, the slowest first."""
    bars = []
    for lead in reversed(study.lead_times):
        row = study.best(lead)
        value = float("nan") if row is None else float(row["over_provisioning_pct"])
        bars.append(LeadTimeBar(lead, value, "" if row is None else str(row["policy"])))
    return bars
