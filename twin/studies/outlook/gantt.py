"""The Gantt of an outlook: each link's way to its capacity, and its upgrades."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Final

import numpy as np

from twin.core.arrays import Floats
from twin.core.units import DAY_S, MONTH_S
from twin.report.html.markup import Html, breakable, tag, text
from twin.studies.outlook.crossing import days_until
from twin.studies.outlook.findings import soonest
from twin.studies.outlook.study import LinkOutlook, Outlook
from twin.studies.outlook.tables import when

MOST: Final = 60
"""Links that are drawn; all are in the table."""

STYLE: Final = """
.gantt .timeline div { height: 1.3rem; }
.gantt .timeline li { grid-template-columns: 12rem 1fr; }
.gantt i.near { background: #E69F00; } .gantt i.short { background: #D55E00; }
.gantt i.order { top: auto; height: .3rem; background: #0072B2; }
.gantt i.span { top: .58rem; bottom: auto; height: .14rem; background: var(--ink); }
.gantt .axis div { background: none; overflow: hidden; height: 1.1rem; font-size: .74rem;
  color: var(--soft); }
.gantt .axis i { background: none; font-style: normal; white-space: nowrap; padding-left: .2rem;
  border-left: 1px solid var(--soft); overflow: hidden; }
.gantt .keys i { position: static; display: inline-block; width: 1.4rem; height: .7rem; }
.gantt .keys i.order { height: .3rem; vertical-align: middle; }
.gantt .keys i.span { height: .14rem; vertical-align: middle; }
@media (max-width: 40rem) { .gantt .timeline li { grid-template-columns: 6rem 1fr; } }
"""


def drawn(outlook: Outlook) -> list[LinkOutlook]:
    """Return the links that are drawn: those that reach the target, the first one first."""
    return soonest(outlook)[:MOST]


def gantt(outlook: Outlook) -> Html:
    """Return the picture, with its legend."""
    rows = [_axis(outlook), *(_row(outlook, link) for link in drawn(outlook))]
    at = f"{100 * outlook.spec.at:g} %"
    keys = (
        ("near", f"busy value at {at} of capacity or more"),
        ("short", "busier than capacity"),
        ("order", "upgrade: from its order to its effect"),
        ("span", f"90 % interval of when {at} of today's capacity is reached"),
    )
    legend = [tag("li", tag("i", class_=kind), text(f" {meaning}")) for kind, meaning in keys]
    return tag(
        "div",
        tag("ul", *legend, class_="keys"),
        tag("ul", *rows, class_="timeline"),
        class_="gantt",
    )


def _row(outlook: Outlook, link: LinkOutlook) -> Html:
    horizon = outlook.horizon_s
    bars = [_bar(kind, first, last, horizon) for kind, first, last in _states(outlook, link)]
    if not math.isnan(link.target.early):
        late = horizon if math.isnan(link.target.late) else link.target.late
        bars.append(_bar("span", link.target.early, late, horizon))
    for upgrade in link.upgrades:
        title = (
            f"ordered {when(outlook, upgrade.ordered)}, there {when(outlook, upgrade.effective)}"
        )
        effective = min(upgrade.effective, horizon)
        bars.append(_bar("order", upgrade.ordered, effective, horizon, title))
    label = f"{link.link}: reaches the target {when(outlook, link.target.middle)}"
    lane = tag("div", *bars, role="img", aria_label=label)
    return tag("li", tag("b", breakable(link.link)), lane)


def _states(outlook: Outlook, link: LinkOutlook) -> Iterator[tuple[str, float, float]]:
    """Yield when a link is near its capacity in force, and when beyond, day by day."""
    assert link.projection is not None
    times = days_until(outlook.horizon_s)
    capacity: Floats = np.full(len(times), link.capacity_mbps)
    for upgrade in link.upgrades:
        capacity[times >= upgrade.effective] = upgrade.after_mbps
    used = link.projection.at(times).middle / capacity
    state = np.where(used > 1, 2, np.where(used >= outlook.spec.at, 1, 0))
    edges = [0, *(np.flatnonzero(np.diff(state)) + 1).tolist(), len(times) - 1]
    for first, last in pairwise(edges):
        if state[first] and last > first:
            yield ("near", "short")[state[first] - 1], float(times[first]), float(times[last])


def _bar(kind: str, first: float, last: float, horizon: float, title: str | None = None) -> Html:
    return tag("i", class_=kind, style=_place(first, last, horizon), title=title)


def _place(first: float, last: float, horizon: float) -> str:
    """Return the style of what goes from one instant to another, wide enough to be seen."""
    width = max(100 * (last - first) / horizon, 0.3)
    return f"left:{100 * first / horizon:.2f}%;width:{width:.2f}%"


def _axis(outlook: Outlook) -> Html:
    """Return the row with the quarters."""
    marks = list(_marks(outlook))
    apart = max(math.ceil(len(marks) / 8), 1)
    shown = [
        tag("i", text(name), style=_place(at, after, outlook.horizon_s))
        for (at, name), (after, _) in pairwise([*marks[::apart], (outlook.horizon_s, "")])
    ]
    return tag("li", tag("b", text("")), tag("div", *shown), class_="axis")


def _marks(outlook: Outlook) -> Iterator[tuple[float, str]]:
    """Yield when each quarter begins, with its name."""
    end, horizon = outlook.end, outlook.horizon_s
    if end is None:
        for quarter in range(math.ceil(horizon / (3 * MONTH_S))):
            yield 3.0 * quarter * MONTH_S, f"month {3 * quarter + 1}"
        return
    year, quarter = end.year, (end.month - 1) // 3 + 1
    while True:
        year, quarter = year + quarter // 4, quarter % 4
        first = end.replace(
            year=year, month=3 * quarter + 1, day=1, hour=0, minute=0, second=0, microsecond=0
        )
        if (first - end) >= timedelta(seconds=horizon - DAY_S):
            return
        yield (first - end).total_seconds(), f"{year} Q{quarter + 1}"
        quarter += 1
