"""The section on the frontier, where the run has one: what each policy's knob buys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from twin.report.colours import looks_of
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
from twin.report.run.recommended import FrontierRow, Setting, chosen, keeps, recommendation
from twin.report.run.source import RunData
from twin.report.run.verdict import percent

if TYPE_CHECKING:
    import pandas as pd

_WIDE, _HIGH = 640, 340
_LEFT, _TOP = 46, 8
_MARKS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000, 100_000, 1_000_000)
"""Over-provisioning that is marked on the axis, %."""


def frontier_sections(run: RunData) -> list[Html]:
    """Return the section with a picture and a table; nothing where there is no frontier."""
    points = run.frontier
    if points is None:
        return []
    advice = tag("p", tag("strong", text(recommendation(points, run.tick_s))))
    lead = paragraph(
        "Each line is a policy as one parameter of it, its knob, is turned: whole in the replay, "
        "dashed and pale on the end of the history, where policies were fitted on what is before "
        "it. The lower left is best. A setting is chosen on the history, where it keeps the SLA on "
        "every link at the least waste; what it then gave in the replay has a ring.",
        *(["Events are in the replay alone."] if run.scenario.get("events") else []),
        "A setting is dominated where another policy has one with no more violations and no more "
        "over-provisioning in the replay, and 1 % less of one of them.",
    )
    names = [str(name) for name in points["policy"].unique()]
    looks = looks_of([*run.policies, *names])
    legend = legend_of_policies((looks[name], name) for name in names)
    figure = tag("figure", _picture(run, points, looks), legend)
    shown = _table(points, looks)
    return [section("frontier", "What each policy's knob buys", advice, lead, figure, shown)]


def _picture(run: RunData, points: pd.DataFrame, looks: Mapping[str, int]) -> Html:
    scale = _Scale(run, points)
    lines = []
    for part in ("history", "replay"):
        for name, rows in points[points["part"] == part].groupby("policy", sort=False):
            lines += _line_of(str(name), rows.to_dict("records"), scale, looks)
    label = "Violated intervals against over-provisioning, a line for each policy"
    parts = [*scale.axes(), *lines]
    return tag(
        "svg", *parts, viewBox=f"0 0 {_WIDE} {_HIGH}", class_="frontier", role="img",
        aria_label=label,
    )  # fmt: skip


def _line_of(
    name: str, rows: Sequence[FrontierRow], scale: _Scale, looks: Mapping[str, int]
) -> list[Html]:
    """Return the line of a policy in one part, its points, and a ring at what was recommended."""
    placed = [(*scale.at(row), row) for row in rows]
    placed = [each for each in placed if not math.isnan(each[0])]
    shape = " ".join(f"{x:.1f},{y:.1f}" for x, y, *_ in placed)
    past = rows[0]["part"] == "history"
    look = stroke(looks[name]) | ({"stroke_dasharray": "4 3"} if past else {})
    lines = [tag("polyline", points=shape, class_="shape", **look)]
    for x, y, label, row in placed:
        at = {"cx": f"{x:.1f}", "cy": f"{y:.1f}"}
        where = " on the history" if past else ""
        title = tag("title", text(f"{name}{label}{where}"))
        lines.append(tag("circle", title, **at, r=2.5 if past else 3.5, fill=look["stroke"]))
        if row["recommended"] and not past:
            lines.append(tag("circle", **at, r=7, class_="shape", stroke=look["stroke"]))
    return [tag("g", *lines, class_="past" if past else None)]


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


def _table(points: pd.DataFrame, looks: Mapping[str, int]) -> Html:
    headers = [head("Policy"), head("Knob"), head("Set to")]
    headers += [
        head(name, f"{unit}, {part}")
        for part in ("history", "replay")
        for name, unit in (("Violated", "% of intervals"), ("Over-provisioning", "% of demand"))
    ]
    headers += [head("Links within SLA", "replay"), head("Dominated", "settings, replay")]
    rows = [_row(setting, points, looks) for setting in chosen(points)]
    caption = (
        "Each policy's setting, chosen on the end of the history, and what it then gave in the "
        "replay, all links together"
    )
    return table(headers, rows, caption=caption)


def _row(setting: Setting, points: pd.DataFrame, looks: Mapping[str, int]) -> list[Html]:
    name, past, replay = setting.policy, setting.history, setting.replay
    rows = points[(points["policy"] == name) & (points["part"] == "replay")]
    value = setting.value or "fixed"
    kept = int(replay["links_within_sla"])
    cells = [
        past["knob"] or "\N{EN DASH}",
        value if setting.held else f"{value} (misses the SLA there)",
        *_numbers(past),
        *_numbers(replay),
        f"{kept} of {kept + int(replay['links_missing_sla'])}",
        "the bound" if setting.bound else f"{int(rows['dominated'].sum())} of {len(rows)}",
    ]
    missed = "missed" if not setting.bound and not keeps(replay) else None
    policy = policy_head(looks[name], name)
    return [policy, *(tag("td", text(cell), class_=missed) for cell in cells)]


def _numbers(row: FrontierRow) -> list[str]:
    waste = float(row["over_provisioning_pct"])
    return [
        f"{100 * row['sla_violation_rate']:.3f}",
        "\N{EN DASH}" if math.isnan(waste) else f"{waste:,.1f}",
    ]
