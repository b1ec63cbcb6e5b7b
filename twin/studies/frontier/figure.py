"""The picture of a frontier: violations against over-provisioning, two lines for each policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from twin.core.arrays import Floats
from twin.report import style
from twin.studies.frontier.sweep import Frontier

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


_COLOURS: Final = (
    style.BLUE,
    style.VERMILION,
    style.GREEN,
    style.PINK,
    style.ORANGE,
    style.SKY,
    style.BLACK,
)
_MARKERS: Final = "osD^vPX"
_PALE: Final = 0.5
_RING: Final[dict[str, Any]] = {"marker": "o", "markersize": 11, "markerfacecolor": "none"}
_Box = tuple[float, float, float, float]
"""Left, bottom, right and top, as shares of the panel."""
_LETTER: Final = (0.011, 0.035)
"""Width of a letter and height of a line of text, as shares of the panel."""


def draw(frontier: Frontier, path: Path) -> None:
    """Draw the frontier to `path`: the lower left is best, the oracle's line the bound.

    Whole lines are of the replay, dashed and pale ones of the end of the history; a ring marks the
    setting that was chosen there.
    """
    with style.plot_style():
        figure = style.new_figure(9, 5.4)
        panel = figure.subplots()
        floor = _floor(frontier)
        _axes(panel, frontier, floor)
        replayed = [_rows(frontier.points, name, "replay") for name in frontier.policies]
        for i, name in enumerate(frontier.policies):
            _past(panel, _rows(frontier.points, name, "history"), floor, i)
        places = [_line(panel, rows, floor, i) for i, rows in enumerate(replayed)]
        taken = [_legend(panel), *(box for at in places for box in _boxes(at))]
        for i, (rows, at) in enumerate(zip(replayed, places, strict=True)):
            _name(panel, rows, i, at, taken)
        title = f"{frontier.scenario.spec.name}: what each policy's knob buys, all links"
        style.add_title(figure, title)
        style.save(figure, path)


def _floor(frontier: Frontier) -> float:
    """Return the height at which 0 violations are drawn, %: below a single violated interval."""
    links, intervals = len(frontier.scenario.links), int(frontier.points["intervals"].max())
    return 100 * min(0.4 / (links * intervals), frontier.scenario.spec.sla.target or 1.0)


def _axes(panel: Axes, frontier: Frontier, floor: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    widest = float(np.nanmax([*frontier.points["over_provisioning_pct"], 1.0]))
    # A square-root scale shows 0, and gives the good policies on its left more space.
    panel.set_xscale("function", functions=(_root, np.square))
    panel.set(xlim=(0, widest * 1.15), yscale="log", ylim=(floor * 0.7, 130))
    marks = np.array([0, 1, 2, 5, 10, 20, 50, 100, 200, 500, *10.0 ** np.arange(3, 12)])
    panel.xaxis.set_major_locator(FixedLocator(list(marks[marks <= widest * 1.15])))
    panel.xaxis.set_major_formatter("{x:g}")
    decades = [decade for decade in 10.0 ** np.arange(-6, 3) if decade > 1.5 * floor]
    panel.yaxis.set_major_locator(FixedLocator([floor, *decades]))
    panel.yaxis.set_major_formatter(
        FuncFormatter(lambda y, _: "none" if y <= floor * 1.01 else f"{y:g}")
    )
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.grid(alpha=0.25)
    panel.set_xlabel("over-provisioning, % of mean demand (square-root scale)")
    panel.set_ylabel("violated intervals, % (log scale)")
    target = 100 * frontier.scenario.spec.sla.target
    if target > 0:
        panel.axhline(target, color=style.INK, linewidth=1, linestyle=(0, (6, 3)))
        place = panel.get_yaxis_transform()
        panel.text(0.995, target * 1.06, f"SLA target {target:g} %", transform=place, ha="right")


def _root(values: Floats) -> Floats:
    return np.asarray(np.sqrt(np.maximum(values, 0)))


def _rows(points: pd.DataFrame, policy: str, part: str) -> pd.DataFrame:
    return points[(points["policy"] == policy) & (points["part"] == part)]


def _legend(panel: Axes) -> _Box:
    """Draw what lines and rings mean, and return the box it takes, as shares of the panel."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=style.GREY, linewidth=1.4, marker="o", markersize=4.5),
        Line2D([], [], color=style.GREY, linewidth=1, linestyle="--", alpha=_PALE),
        Line2D([], [], color=style.GREY, linestyle="", **_RING),
    ]
    names = ["replay", "end of the history", "chosen on the history"]
    panel.legend(handles, names, loc="upper right", frameon=False, fontsize=8)
    return 0.7, 0.82, 1.0, 1.0


def _colour(rows: pd.DataFrame, place: int) -> str:
    return style.GREY if rows["bound"].iloc[0] else _COLOURS[place % len(_COLOURS)]


def _places(rows: pd.DataFrame, floor: float) -> tuple[Floats, Floats]:
    """Return over-provisioning and violations of the points, %, the latter at least `floor`."""
    return (
        rows["over_provisioning_pct"].to_numpy(),
        np.maximum(100 * rows["sla_violation_rate"].to_numpy(), floor),
    )


def _past(panel: Axes, rows: pd.DataFrame, floor: float, place: int) -> None:
    if rows["bound"].iloc[0]:
        return
    marker = "" if len(rows) > 1 else _MARKERS[place % 7]
    panel.plot(
        *_places(rows, floor), color=_colour(rows, place), clip_on=False, linewidth=1,
        linestyle="--", alpha=_PALE, marker=marker, markersize=4.5,
    )  # fmt: skip


def _line(panel: Axes, rows: pd.DataFrame, floor: float, place: int) -> Floats:
    """Draw a policy in the replay, and return its points as shares of the panel, [points, 2]."""
    bound, colour = bool(rows["bound"].iloc[0]), _colour(rows, place)
    # Where colours come again, markers differ.
    again, shade = divmod(place, len(_COLOURS))
    x, y = _places(rows, floor)
    panel.plot(
        x, y, color=colour, clip_on=False, marker="*" if bound else _MARKERS[(shade + again) % 7],
        markersize=9 if bound else 4.5, linewidth=1.4, linestyle=":" if bound else "-",
    )  # fmt: skip
    for chosen in np.flatnonzero(rows["recommended"]):
        panel.plot(x[chosen], y[chosen], color=colour, clip_on=False, **_RING)
    at = panel.transAxes.inverted().transform(panel.transData.transform(np.column_stack([x, y])))
    return np.asarray(at[np.isfinite(at).all(axis=1)])


def _name(panel: Axes, rows: pd.DataFrame, place: int, at: Floats, taken: list[_Box]) -> None:
    """Write the name of a policy beside one of its points, `at`, and add its box to `taken`."""
    if len(at):
        name = str(rows["policy"].iloc[0])
        text = f"{name} (bound)" if rows["bound"].iloc[0] else name
        left, bottom = _free(at, len(text), taken)
        colour = _colour(rows, place)
        panel.text(left, bottom, text, color=colour, transform=panel.transAxes, fontweight="bold")


def _boxes(points: Floats) -> list[_Box]:
    """Return boxes that cover the line through `points`, [points, 2]."""
    if not len(points):
        return []
    at = np.linspace(0, len(points) - 1, 20 * len(points))
    x, y = (np.interp(at, np.arange(len(points)), column) for column in points.T)
    return [(a - 0.006, b - 0.01, a + 0.006, b + 0.01) for a, b in zip(x, y, strict=True)]


def _free(points: Floats, letters: int, taken: list[_Box]) -> tuple[float, float]:
    """Return left and bottom of a label beside one of `points` that overlaps nothing in `taken`.

    All are shares of the panel: `points` [points, 2], labels left, bottom, right and top.
    """
    width, height = letters * _LETTER[0], _LETTER[1]
    places = [
        (float(x) + dx, float(y) + dy)
        for dy in (0.012, 0.05, 0.09, 0.13, -0.05, -0.015)
        for x, y in points
        for dx in (0.012, -width)
    ]
    inside = [p for p in places if 0 <= p[0] <= 1 - width and 0.02 <= p[1] <= 0.95]
    for left, bottom in inside:
        box = (left, bottom, left + width, bottom + height)
        if not any(_overlap(box, other) for other in taken):
            taken.append(box)
            return left, bottom
    return inside[0] if inside else (0.4, 0.5)


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
