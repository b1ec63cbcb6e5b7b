"""The tables of an outlook: links, orders, and what is spent in each quarter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from twin.core.units import DAY_S, MONTH_S
from twin.studies.outlook.study import LinkOutlook, Outlook, Reach
from twin.studies.outlook.upgrades import UpgradeOrder

if TYPE_CHECKING:
    import pandas as pd

_QUARTER_S = 3 * MONTH_S


def when(outlook: Outlook, seconds: float) -> str:
    """Return the day of an instant after the end of the trace; without dates, ``in 427 days``.

    Empty where there is no such instant.
    """
    if math.isnan(seconds):
        return ""
    if outlook.end is None:
        return f"in {math.floor(seconds / DAY_S)} days"
    return (outlook.end + timedelta(seconds=seconds)).date().isoformat()


def between(outlook: Outlook, reach: Reach) -> str:
    """Return the interval of an instant, such as ``2027-01-03 to 2027-04-18``; empty: not told."""
    if math.isnan(reach.early):
        return ""
    early = when(outlook, reach.early)
    late = when(outlook, reach.late) or f"later than {outlook.spec.ahead.text}"
    if outlook.end is None and not math.isnan(reach.late):
        early = early.removesuffix(" days")
        late = late.removeprefix("in ")
    return f"{early} to {late}"


def link_table(outlook: Outlook) -> pd.DataFrame:
    """Return a row for each link; see docs/outlook.md for the columns."""
    import pandas as pd

    table = pd.DataFrame([_link_row(outlook, each) for each in outlook.links])
    failed = ["busy_failed_mbps", "worst_failure", "reaches_capacity_failed",
              "reaches_capacity_failed_days"]  # fmt: skip
    return table if outlook.failures else table.drop(columns=failed)


def _link_row(outlook: Outlook, link: LinkOutlook) -> dict[str, Any]:
    share = low = high = math.nan
    if link.projection is not None:
        share, low, high = link.projection.yearly()
    return {
        "link": link.link,
        "capacity_mbps": link.capacity_mbps,
        "busy_mbps": link.busy_mbps,
        "utilization": link.busy_mbps / link.capacity_mbps,
        "growth_per_year": share,
        "growth_low": low,
        "growth_high": high,
        "reaches_target": when(outlook, link.target.middle),
        "reaches_capacity": when(outlook, link.full.middle),
        "upgrades": len(link.upgrades),
        "cost": sum(upgrade.cost for upgrade in link.upgrades),
        "growth_source": "" if link.projection is None else link.projection.source,
        "reason": link.reason,
        "reaches_target_early": when(outlook, link.target.early),
        "reaches_target_late": when(outlook, link.target.late),
        "reaches_capacity_early": when(outlook, link.full.early),
        "reaches_capacity_late": when(outlook, link.full.late),
        "reaches_target_days": link.target.middle / DAY_S,
        "reaches_capacity_days": link.full.middle / DAY_S,
        "utilization_at_end": link.busy_at_end_mbps / link.capacity_mbps,
        "days_short": link.days_short,
        "busy_failed_mbps": link.busy_failed_mbps,
        "worst_failure": link.worst_failure,
        "reaches_capacity_failed": when(outlook, link.full_failed),
        "reaches_capacity_failed_days": link.full_failed / DAY_S,
    }


def orders(outlook: Outlook) -> Iterator[tuple[LinkOutlook, UpgradeOrder]]:
    """Yield every order with its link, in order of time."""
    every = [(link, upgrade) for link in outlook.links for upgrade in link.upgrades]
    yield from sorted(every, key=lambda order: order[1].ordered)


def upgrade_table(outlook: Outlook) -> pd.DataFrame:
    """Return a row for each order, in order of time."""
    import pandas as pd

    rows = [
        {
            "link": link.link,
            "ordered": when(outlook, each.ordered),
            "effective": when(outlook, each.effective),
            "steps": each.steps,
            "capacity_before_mbps": each.before_mbps,
            "capacity_after_mbps": each.after_mbps,
            "busy_mbps": each.busy_mbps,
            "cost": each.cost,
            "days_short": each.days_short,
            "ordered_days": each.ordered / DAY_S,
            "effective_days": each.effective / DAY_S,
        }
        for link, each in orders(outlook)
    ]
    columns = ["link", "ordered", "effective", "steps", "capacity_before_mbps",
               "capacity_after_mbps", "busy_mbps", "cost", "days_short", "ordered_days",
               "effective_days"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def spend_table(outlook: Outlook) -> pd.DataFrame:
    """Return a row for each quarter up to the horizon: orders, steps and their cost.

    An order counts in the quarter in which it is placed.
    """
    import pandas as pd

    spent: dict[str, list[float]] = {name: [0, 0, 0.0] for name in _quarters(outlook)}
    for _, upgrade in orders(outlook):
        row = spent.setdefault(_quarter(outlook.end, upgrade.ordered), [0, 0, 0.0])
        row[0], row[1], row[2] = row[0] + 1, row[1] + upgrade.steps, row[2] + upgrade.cost
    rows = [(name, int(count), int(steps), cost) for name, (count, steps, cost) in spent.items()]
    return pd.DataFrame(rows, columns=["quarter", "orders", "steps", "cost"])


def _quarters(outlook: Outlook) -> list[str]:
    """Return the names of all quarters before the horizon."""
    # In steps of less than a quarter, so that none is missed.
    times = [float(seconds) for seconds in range(0, math.ceil(outlook.horizon_s), 80 * DAY_S)]
    last = max(outlook.horizon_s - 1, 0.0)
    return list(dict.fromkeys(_quarter(outlook.end, each) for each in [*times, last]))


def _quarter(end: datetime | None, seconds: float) -> str:
    """Return the quarter of an instant: ``2027Q1``, or ``months 1-3`` where there are no dates."""
    if end is None:
        first = 3 * int(seconds // _QUARTER_S) + 1
        return f"months {first}-{first + 2}"
    date = end + timedelta(seconds=seconds)
    return f"{date.year}Q{(date.month + 2) // 3}"
