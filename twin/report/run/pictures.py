"""The sections with pictures: radar, spread of efficiency, violations by hour."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from twin.account.hours import HOURS
from twin.account.summary import ALL
from twin.core.arrays import Floats
from twin.report.html.markup import (
    Html,
    breakable,
    head,
    paragraph,
    section,
    some,
    stroke,
    table,
    tag,
    text,
)
from twin.report.html.parts import legend_of_policies, policy_head
from twin.report.run.aggregate import Aggregates
from twin.report.run.source import RunData

_MOST_RADAR = 6
_MOST_HEAT = 20
_MOST_HEAT_POLICIES = 12
_AXES = (
    ("MAE", "mae", -1), ("RMSE", "rmse", -1), ("Efficiency", "efficiency_mean", 1),
    ("SLA compliance", "sla_violation_rate", -1), ("Cost efficiency", "", 1),
)  # fmt: skip
"""Name, column of the summary, and sign: 1 where more is better, -1 where less is."""
_R = 100


def radar_section(run: RunData, aggregates: Aggregates, order: Sequence[str]) -> Html:
    """Return a radar over the policies that are ranked; `order` begins with the best."""
    names = sorted(order[:_MOST_RADAR], key=run.policies.index)
    if len(names) < 2:
        only = paragraph("A radar compares policies; only one was ranked.")
        return section("radar", "Five metrics at a glance", only)
    values = _values(run, aggregates, names)
    low, high = values.min(axis=0), values.max(axis=0)
    spread = np.where(high > low, high - low, 1.0)
    scaled = np.where(high > low, (values - low) / spread, 1.0)
    legend = legend_of_policies((run.looks[name], name) for name in names)
    note = (
        "Every axis runs from the worst (centre) to the best (rim) of the policies drawn. "
        "It hides how far apart they are: the rim may be a hair or a mile from the "
        "centre, and a policy that is left out would move all others. Read sizes from the table."
    )
    left = len(run.ranked) - len(names)
    more = f" {left} more policies are not drawn." if left else ""
    caption = tag("figcaption", paragraph(note + more, class_="note"))
    figure = tag("figure", _web(run, names, scaled), legend, caption)
    return section("radar", "Five metrics at a glance", figure)


def _values(run: RunData, aggregates: Aggregates, names: Sequence[str]) -> Floats:
    pooled = run.pooled
    return np.nan_to_num(
        [
            [
                sign * (float(pooled.loc[name, column]) if column  # type: ignore[arg-type]
                        else aggregates.totals[name].cost_efficiency)
                for _, column, sign in _AXES
            ]
            for name in names
        ]
    )  # fmt: skip


def _web(run: RunData, names: Sequence[str], scaled: Floats) -> Html:
    angles = [2 * math.pi * i / len(_AXES) - math.pi / 2 for i in range(len(_AXES))]
    rings = [
        tag("polygon", points=_points(angles, [part] * len(angles)), class_="ring")
        for part in (0.25, 0.5, 0.75, 1)
    ]
    spokes = [tag("polyline", points=f"0,0 {_points([a], [1])}", class_="ring") for a in angles]
    labels = []
    for angle, (name, _, _) in zip(angles, _AXES, strict=True):
        x, y = 1.12 * _R * math.cos(angle), 1.12 * _R * math.sin(angle)
        side = "middle" if abs(x) < 1 else "start" if x > 0 else "end"
        labels.append(tag("text", text(name), x=f"{x:.1f}", y=f"{y + 4:.1f}", text_anchor=side))
    shapes = [
        # The worst is a little off the centre, so that it can be seen.
        tag("polygon", points=_points(angles, 0.04 + 0.96 * row), class_="shape",
            **stroke(run.looks[name]))
        for name, row in zip(names, scaled, strict=True)
    ]  # fmt: skip
    label = f"Radar of {', '.join(name for name, _, _ in _AXES)} for {some(names, 6)}"
    parts = [*rings, *spokes, *shapes, *labels]
    return tag("svg", *parts, class_="radar", viewBox="-215 -130 430 245", role="img",
               aria_label=label)  # fmt: skip


def _points(angles: Sequence[float], radii: Sequence[float] | Floats) -> str:
    return " ".join(
        f"{_R * r * math.cos(a):.1f},{_R * r * math.sin(a):.1f}"
        for a, r in zip(angles, radii, strict=True)
    )


def efficiency_section(run: RunData, aggregates: Aggregates) -> Html:
    """Return box plots of efficiency, a row for each policy."""
    shares = (0.05, 0.25, 0.5, 0.75, 0.95)
    headers = [head("Policy"), head("Box", "0 to 1"), *(head(f"{100 * s:g} %") for s in shares)]
    rows = []
    for i, name in enumerate(run.policies):
        values = [aggregates.totals[name].efficiency(share) for share in shares]
        values[2] = float(run.pooled.loc[name, "efficiency_median"])  # type: ignore[arg-type]
        cells = [tag("td", text(f"{value:.3f}")) for value in values]
        rows.append(
            [_name(run, i), tag("td", _box(name, values, run.looks[name]), class_="box"), *cells]
        )
    note = paragraph(
        "Efficiency is min(demand / allocation, 1) of each interval, over all links. The box holds "
        "the middle half, the bar is the median, the whiskers end at 5 % and 95 %. Close to 1 "
        "nothing is wasted; exactly 1 means that demand met or exceeded the allocation.",
        class_="note",
    )
    shown = table(headers, rows, caption="Efficiency of the intervals")
    return section("efficiency", "Spread of efficiency", shown, note)


def _box(name: str, values: Sequence[float], look: int) -> Html:
    if any(math.isnan(value) for value in values):
        return Html("")
    x = [200 * value for value in values]
    colour = stroke(look)["stroke"]
    whisker = f"M{x[0]:.1f} 10H{x[4]:.1f}M{x[0]:.1f} 5v10M{x[4]:.1f} 5v10"
    parts = [
        tag("path", d="M50 0v20M100 0v20M150 0v20", class_="ring"),
        tag("path", d=whisker, class_="whisker"),
        tag("rect", x=f"{x[1]:.1f}", y=3, width=f"{max(x[3] - x[1], 1):.1f}", height=14,
            fill=colour, fill_opacity=0.45, stroke=colour),
        tag("path", d=f"M{x[2]:.1f} 1v18", class_="median"),
    ]  # fmt: skip
    label = f"Box plot of {name}: half of the intervals between {values[1]:.3f} and {values[3]:.3f}"
    return tag("svg", *parts, viewBox="-2 0 204 20", role="img", aria_label=label)


def _name(run: RunData, index: int) -> Html:
    name = run.policies[index]
    return policy_head(run.looks[name], name, "bound" if name in run.bounds else "")


def hours_section(run: RunData, order: Sequence[str]) -> Html:
    """Return violations by link and hour, a table for each policy, the first to be seen."""
    known = run.starts is not None
    timezone = run.manifest["trace"].get("timezone")
    day = f"hour of the day in {timezone}" if timezone else "hour of the day"
    hour = day if known else "hours since the start of the replay, modulo 24"
    names = list(order[:_MOST_HEAT_POLICIES])
    options = [tag("option", text(name), value=i) for i, name in enumerate(names)]
    label = tag("label", text("Policy "), tag("select", *options, id="heat-policy"))
    choose = tag("div", label, class_="controls", hidden=True)
    tables = [
        tag("div", _heat(run, name, hour), class_="heat", hidden=i > 0)
        for i, name in enumerate(names)
    ]
    lead = f"Violated intervals, % of those in that hour; columns are the {hour}."
    if not known:
        lead += " The trace has no start time, so no hour of the day is known."
    return section("hours", "When the SLA is violated", paragraph(lead), choose, *tables)


def _heat(run: RunData, name: str, hour: str) -> Html:
    own = run.hours[(run.hours["policy"] == name) & (run.hours["link"] != ALL)]
    violated, known = (
        own[column].to_numpy().astype(np.int64).reshape(-1, HOURS)
        for column in ("violated_intervals", "intervals")
    )
    order = np.argsort(-violated.sum(axis=1), kind="stable")
    shown, rest = order[:_MOST_HEAT], order[_MOST_HEAT:]
    rows = [_heat_row(run.links[i], violated[i], known[i]) for i in shown]
    if len(rest):
        label = f"{len(rest):,} other links"
        rows.append(_heat_row(label, violated[rest].sum(axis=0), known[rest].sum(axis=0)))
    headers = [head("Link"), *(head(str(i)) for i in range(HOURS))]
    return table(headers, rows, caption=f"{name}: violated intervals, %, by link and {hour}")


def _heat_row(name: str, violated: np.ndarray, known: np.ndarray) -> list[Html]:
    cells = []
    for short, count in zip(violated.tolist(), known.tolist(), strict=True):
        share = 100 * short / count if count else 0.0
        # Steps of a factor of about three, from one in a thousand.
        level = sum(share > limit for limit in (0, 0.3, 1, 3, 10, 30))
        face = "" if not short else f"{share:.1f}" if share < 0.95 else f"{share:.0f}"
        cells.append(tag("td", text(face if count else "\N{EN DASH}"), class_=f"h{level}"))
    return [tag("th", breakable(name), scope="row"), *cells]
