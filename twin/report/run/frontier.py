"""The section on the frontier, where the run has one: what each policy's knob buys."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from twin.report.html.markup import (
    Html,
    head,
    paragraph,
    section,
    stroke,
    table,
    tag,
    text,
)
from twin.report.html.parts import legend_of_policies, policy_head
from twin.report.run.source import RunData
from twin.report.run.verdict import percent

if TYPE_CHECKING:
    import pandas as pd

_WIDE, _HIGH = 640, 340
_LEFT, _TOP = 46, 8
_MARKS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000, 100_000, 1_000_000)
"""Over-provisioning that is marked on the axis, %."""

FrontierRow = dict[Hashable, Any]


def frontier_sections(run: RunData) -> list[Html]:
    """Return the section with a picture and a table; nothing where there is no frontier."""
    points = run.frontier
    if points is None:
        return []
    lead = paragraph(
        "Each line is a policy as one parameter of it, its knob, is turned; the lower left is "
        "best. A setting is dominated where another policy has one with no more violations and no "
        "more over-provisioning, and 1 % less of one of them.",
    )
    names = [str(name) for name in points["policy"].unique()]
    order = list(dict.fromkeys([*run.policies, *names]))
    legend = legend_of_policies((order.index(name), name) for name in names)
    figure = tag("figure", _picture(run, points, order), legend)
    shown = _table(run, points, order)
    return [section("frontier", "What each policy's knob buys", lead, figure, shown)]


def _picture(run: RunData, points: pd.DataFrame, order: Sequence[str]) -> Html:
    scale = _Scale(run, points)
    lines = []
    for name, rows in points.groupby("policy", sort=False):
        at = [scale.at(row) for row in rows.to_dict("records")]
        shape = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in at if not math.isnan(x))
        look = stroke(order.index(str(name)))
        lines.append(tag("polyline", points=shape, class_="shape", **look))
        lines += [
            tag("circle", tag("title", text(f"{name}{label}")), cx=f"{x:.1f}", cy=f"{y:.1f}", r=3.5,
                fill=look["stroke"])
            for x, y, label in at
            if not math.isnan(x)
        ]  # fmt: skip
    label = "Violated intervals against over-provisioning, a line for each policy"
    parts = [*scale.axes(), *lines]
    return tag(
        "svg", *parts, viewBox=f"0 0 {_WIDE} {_HIGH}", class_="frontier", role="img",
        aria_label=label,
    )  # fmt: skip


class _Scale:
    """The axes: square roots of over-provisioning, logarithms of violations."""

    def __init__(self, run: RunData, points: pd.DataFrame) -> None:
        self._target = 100 * run.target
        # No violation at all is drawn below where a single violated interval would be.
        cells = len(run.links) * run.intervals
        self._floor = 100 * min(0.4 / cells, run.target or 1.0)
        widest = points["over_provisioning_pct"].max()
        self._widest = max(1.0, 0.0 if math.isnan(widest) else float(widest)) * 1.08

    def at(self, row: FrontierRow) -> tuple[float, float, str]:
        """Return the position of a setting in the picture, and its label."""
        waste, share = float(row["over_provisioning_pct"]), float(row["sla_violation_rate"])
        knob = f", {row['knob']} {row['value']:g}" if row["knob"] else ""
        label = f"{knob}: {percent(share)} violated, {waste:.3g} % over"
        return self._x(waste), self._y(100 * share), label

    def axes(self) -> list[Html]:
        """Return the lines of the axes, their labels, and the SLA's target."""
        right, bottom = self._x(self._widest), self._y(self._floor)
        parts = []
        for mark in (mark for mark in _MARKS if mark <= self._widest):
            x = self._x(mark)
            parts += [_line(x, _TOP, x, bottom), _label(x, bottom + 15, f"{mark:,}", "middle")]
        decades = [10.0**power for power in range(-6, 3) if 10.0**power > 1.5 * self._floor]
        for share in [self._floor, *decades]:
            y, face = self._y(share), "none" if share == self._floor else f"{share:g}"
            parts += [_line(_LEFT, y, right, y), _label(_LEFT - 5, y + 4, face, "end")]
        if self._target > 0:
            y = self._y(self._target)
            target = tag("path", d=f"M{_LEFT} {y:.1f}H{right:.1f}", class_="target")
            parts += [target, _label(right, y - 4, f"SLA target {self._target:g} %", "end")]
        below = "over-provisioning, % of mean demand (square-root scale)"
        beside = "violated intervals, % (log scale)"
        turned = tag(
            "text", text(beside), text_anchor="end", transform=f"translate(10,{_TOP})rotate(-90)"
        )
        return [*parts, _label(right, _HIGH - 4, below, "end"), turned]

    def _x(self, waste: float) -> float:
        return _LEFT + (_WIDE - _LEFT - 10) * math.sqrt(max(waste, 0.0) / self._widest)

    def _y(self, share: float) -> float:
        high, low = math.log10(130), math.log10(self._floor)
        part = (high - math.log10(max(share, self._floor))) / (high - low)
        return _TOP + (_HIGH - _TOP - 44) * part


def _line(x1: float, y1: float, x2: float, y2: float) -> Html:
    return tag("path", d=f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}", class_="ring")


def _label(x: float, y: float, face: str, anchor: str) -> Html:
    return tag("text", text(face), x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)


def _table(run: RunData, points: pd.DataFrame, order: Sequence[str]) -> Html:
    rows = [
        _row(run, str(name), rows, order) for name, rows in points.groupby("policy", sort=False)
    ]
    headers = [head("Policy"), head("Knob"), head("Set to"), head("Violated", "% of intervals"),
               head("Over-provisioning", "% of demand"), head("Dominated", "settings")]  # fmt: skip
    caption = "Each policy's setting with the least waste within the SLA target, all links together"
    return table(headers, rows, caption=caption)


def _row(run: RunData, name: str, rows: pd.DataFrame, order: Sequence[str]) -> list[Html]:
    kept = rows[rows["sla_violation_rate"] <= run.target]
    by = "sla_violation_rate" if kept.empty else "over_provisioning_pct"
    best = (rows if kept.empty else kept).sort_values(by, kind="stable").iloc[0]
    setting = "fixed" if not best["knob"] else f"{best['value']:.4g}"
    waste = float(best["over_provisioning_pct"])
    cells = [
        best["knob"] or "\N{EN DASH}",
        f"{setting} (misses the SLA)" if kept.empty else setting,
        f"{100 * best['sla_violation_rate']:.3f}",
        "\N{EN DASH}" if math.isnan(waste) else f"{waste:,.1f}",
        "the bound" if best["bound"] else f"{int(rows['dominated'].sum())} of {len(rows)}",
    ]
    policy = policy_head(order.index(name), name)
    missed = "missed" if kept.empty and not best["bound"] else None
    return [policy, *(tag("td", text(cell), class_=missed) for cell in cells)]
