"""Small charts of a mean against a key, drawn as SVG: a line over levels, or dots and classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twin.core.arrays import Floats
from twin.report.html.markup import Html, stroke, tag, text

_WIDE, _HIGH = 400, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 12, 10, 34
_MOST_DOTS = 250
_ROW = 58
"""Letters that fit into a row of labels."""


@dataclass(frozen=True, slots=True)
class Line:
    """A policy by its look: means at the levels, half widths (NaN where unknown), and dots."""

    look: int
    means: Floats
    half_widths: Floats
    dots: tuple[Floats, Floats] | None = None
    """Horizontal positions, from 0 to 1, and values of single points of the sweep."""


def chart(
    label: str, lines: Sequence[Line], at: Floats, marks: Sequence[tuple[float, str]]
) -> Html:
    """Return a chart of `lines` at the positions `at`, from 0 to 1; `marks` label positions."""
    axis = _Axis(lines)
    parts = [*axis.grid(), *_labels(marks)]
    parts += [part for line in lines for part in _line(line, at, axis)]
    return tag("svg", *parts, viewBox=f"0 0 {_WIDE} {_HIGH}", class_="chart-small", role="img",
               aria_label=label)  # fmt: skip


class _Axis:
    """The vertical axis: linear, or a square root where small values stand beside large ones."""

    def __init__(self, lines: Sequence[Line]) -> None:
        means = np.concatenate([line.means for line in lines])
        tops = np.concatenate([line.means + np.nan_to_num(line.half_widths) for line in lines])
        highest = max(means.max(initial=0.0, where=np.isfinite(means)), 1e-9)
        reach = min(tops.max(initial=0.0, where=np.isfinite(tops)), 1.6 * highest)
        self.top = 1.05 * max(reach, highest)
        ends = [line.means.max(initial=0.0, where=np.isfinite(line.means)) for line in lines]
        self.root = min(ends) < highest / 6

    def y(self, value: float) -> float:
        share = min(max(value, 0.0) / self.top, 1.0)
        share = math.sqrt(share) if self.root else share
        return round(_TOP + (1 - share) * (_HIGH - _TOP - _BOTTOM), 1)

    def grid(self) -> list[Html]:
        parts = []
        for value in self._marks():
            y = self.y(value)
            parts.append(tag("path", d=f"M{_LEFT} {y}H{_WIDE - _RIGHT}", class_="ring"))
            parts.append(tag("text", text(f"{value:g}"), x=_LEFT - 6, y=y + 4, text_anchor="end"))
        return parts

    def _marks(self) -> list[float]:
        step = 10.0 ** math.floor(math.log10(self.top))
        if not self.root:
            step *= next(f for f in (0.2, 0.5, 1, 2) if self.top / (step * f) < 5.5)
            return [round(step * i, 12) for i in range(int(self.top / step) + 1)]
        marks = [round(self.top * share, 12) for share in (0.0625, 0.25, 0.5625, 1)]
        return [0.0, *(float(f"{mark:.1g}") for mark in marks if float(f"{mark:.1g}") <= self.top)]


def _x(share: float) -> float:
    return round(_LEFT + 8 + share * (_WIDE - _LEFT - _RIGHT - 16), 1)


def _labels(marks: Sequence[tuple[float, str]]) -> list[Html]:
    labels = []
    room = max(3, 2 * _ROW // max(len(marks), 1) - 2)
    crowded = sum(len(label[:room]) + 2 for _, label in marks) > _ROW
    for i, (share, label) in enumerate(marks):
        # Where there are many labels, every second one is a line lower.
        y = _HIGH - (4 if crowded and i % 2 else 18)
        short = label if len(label) <= room else f"{label[: room - 1]}\N{HORIZONTAL ELLIPSIS}"
        side = "end" if share > 0.9 and len(short) > 6 else "middle"
        labels.append(tag("text", text(short), x=_x(share), y=y, text_anchor=side))
    return labels


def _line(line: Line, at: Floats, axis: _Axis) -> list[Html]:
    parts = []
    look = stroke(line.look)
    if line.dots is not None:
        parts.append(_dots(line, axis))
    known = [i for i in range(len(at)) if math.isfinite(line.means[i])]
    places = [(_x(at[i]), axis.y(line.means[i])) for i in known]
    whiskers = "".join(
        f"M{x} {axis.y(line.means[i] - w)}V{axis.y(line.means[i] + w)}"
        for i, (x, _) in zip(known, places, strict=True)
        if math.isfinite(w := line.half_widths[i])
    )
    if whiskers:
        parts.append(tag("path", d=whiskers, class_="whiskers", stroke=look["stroke"]))
    joined = " ".join(f"{x},{y}" for x, y in places)
    parts.append(tag("polyline", points=joined, class_="means", **look))
    marks = "".join(f"M{x} {y}h0" for x, y in places)
    parts.append(tag("path", d=marks, class_="marks", stroke=look["stroke"]))
    return parts


def _dots(line: Line, axis: _Axis) -> Html:
    assert line.dots is not None
    shares, values = line.dots
    step = -(-len(values) // _MOST_DOTS)
    path = "".join(
        f"M{_x(share):.0f} {axis.y(value):.0f}h0"
        for share, value in zip(shares[::step], values[::step], strict=True)
        if math.isfinite(value)
    )
    return tag("path", d=path, class_="dots", stroke=stroke(line.look)["stroke"])
