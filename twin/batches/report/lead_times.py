"""What provisioning faster saves, where a sweep varies a lead time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from twin.batches.report.source import COST, BatchData
from twin.core.units import duration, format_duration
from twin.report.html.markup import Html, amount, head, paragraph, section, some, table, tag, text
from twin.report.savings import LeadTimeBar

if TYPE_CHECKING:
    import pandas as pd

_ENDING = "lead_time"


class LeadTime(NamedTuple):
    """What the best policies come to at one lead time."""

    seconds: float
    kept: int
    """Points at which a policy keeps the SLA on every link."""
    points: int
    value: float
    """Mean over those points of what the best policy costs, or over-provisions; NaN without."""
    policies: tuple[str, ...]
    """The best policies, the most frequent first."""


def lead_times(batch: BatchData) -> list[LeadTime]:
    """Return what each lead time comes to, the slowest first; nothing where none is varied.

    Where some points are judged by cost and others by over-provisioning they cannot be compared,
    and nothing is returned.
    """
    keys = [key for key in batch.keys if key.split(".")[-1] == _ENDING]
    if len(keys) != 1 or not len(batch.points):
        return []
    best = batch.best
    kept = best[best["policy"] != ""]
    if len(set(kept["by"])) != 1:
        return []
    try:
        seconds = best[keys[0]].map(duration)
    except (TypeError, ValueError):
        return []
    if len(set(seconds)) < 2:
        return []
    each = best.assign(seconds=seconds).groupby("seconds")
    return [_of(float(lead), rows) for lead, rows in sorted(each, reverse=True)]  # type: ignore[arg-type]


def _of(lead: float, rows: pd.DataFrame) -> LeadTime:
    kept = rows[rows["policy"] != ""]
    policies = kept["policy"].value_counts(sort=True)
    names = sorted(policies.index, key=lambda name: (-policies[name], name))
    return LeadTime(lead, len(kept), len(rows), float(kept["value"].mean()), tuple(names))


def saving_in_words(batch: BatchData) -> list[str]:
    """Return the sentence on what the fastest lead time saves against the slowest that is kept."""
    whole = [lead for lead in lead_times(batch) if lead.kept == lead.points]
    if len(whole) < 2:
        return []
    slow, fast = whole[0], whole[-1]
    saved = slow.value - fast.value
    verb = "saves" if saved >= 0 else "costs"
    what = "in cost" if _by_cost(batch) else "% of demand in over-provisioning"
    return [
        f"Provisioning within {format_duration(fast.seconds)} instead of "
        f"{format_duration(slow.seconds)} {verb} {amount(abs(saved), 3)} {what}: the best policies "
        f"that keep the SLA on every link come to {amount(fast.value, 3)} instead of "
        f"{amount(slow.value, 3)}."
    ]


def saving_bars(batch: BatchData) -> list[LeadTimeBar]:
    """Return what each lead time comes to, the slowest first; NaN where not all points are kept."""
    return [
        LeadTimeBar(
            lead.seconds,
            lead.value if lead.kept == lead.points else float("nan"),
            some(lead.policies, 2) if lead.kept == lead.points else "",
        )
        for lead in lead_times(batch)
    ]


def saving_unit(batch: BatchData) -> str:
    """Return what the bars measure."""
    what = "cost" if _by_cost(batch) else "over-provisioning, % of demand,"
    return f"{what} of the best policy that keeps the SLA, mean over points"


def _by_cost(batch: BatchData) -> bool:
    best = batch.best
    return bool((best.loc[best["policy"] != "", "by"] == COST).all())


def lead_times_section(batch: BatchData) -> list[Html]:
    """Return the section with what each lead time comes to; nothing where none is varied."""
    found = lead_times(batch)
    if not found:
        return []
    value = "Cost" if _by_cost(batch) else "Over-provisioning"
    unit = "mean over points" if _by_cost(batch) else "% of demand, mean over points"
    headers = [
        head("Lead time"), head("Points at which a policy keeps the SLA"), head(value, unit),
        head("Saved against the slowest"), head("Best policies", class_="l"),
    ]  # fmt: skip
    note = (
        "At each point the policy counts that keeps the SLA on every link at the least "
        f"{value.lower()}. A saving is said where a policy keeps it at all points of both lead "
        "times; what is saved on fewer points would compare other points."
    )
    shown = table(headers, _rows(found), caption="Lead times, the slowest first")
    return [section("lead-times", "What provisioning faster saves", shown, paragraph(note))]


def _rows(found: Sequence[LeadTime]) -> list[list[Html]]:
    slowest = next((lead for lead in found if lead.kept == lead.points), None)
    rows = []
    for lead in found:
        whole = slowest is not None and lead.kept == lead.points and lead is not slowest
        cells = [
            f"{lead.kept:,} of {lead.points:,}",
            amount(lead.value, 3) if lead.kept else "\N{EN DASH}",
            amount(slowest.value - lead.value, 3) if whole and slowest else "\N{EN DASH}",
        ]
        row = [tag("th", text(format_duration(lead.seconds)), scope="row")]
        row += [tag("td", text(cell)) for cell in cells]
        rows.append([*row, tag("td", text(some(lead.policies) or "none"), class_="l")])
    return rows
