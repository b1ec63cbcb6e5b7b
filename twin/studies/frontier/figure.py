"""The picture of a frontier: violations against over-provisioning, a line for each policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

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
_LETTER: Final = (0.011, 0.035)
"""Width of a letter and height of a line of text, as shares of the panel."""


def draw(frontier: Frontier, path: Path) -> None:
    """Draw the frontier to `path`: the lower left is best, the oracle's line the bound."""
    with style.plot_style():
        figure = style.new_figure(9, 5.4)
        panel = figure.subplots()
        floor = _floor(frontier)
        _axes(panel, frontier, floor)
        taken: list[tuple[float, float, float, float]] = []
        for i, name in enumerate(frontier.policies):
            rows = frontier.points[frontier.points["policy"] == name]
            _line(panel, name, rows, floor, i, taken)
        title = f"{frontier.scenario.spec.name}: what each policy's knob buys, all links"
        style.add_title(figure, title)
        style.save(figure, path)


def _floor(frontier: Frontier) -> float:
    """Return the height at which 0 violations are drawn, %: below a single violated interval."""
    links, intervals = len(frontier.scenario.trace.links), frontier.scenario.span.intervals
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


def _line(
    panel: Axes,
    name: str,
    rows: pd.DataFrame,
    floor: float,
    place: int,
    taken: list[tuple[float, float, float, float]],
) -> None:
    bound = bool(rows["bound"].iloc[0])
    again, shade = divmod(place, len(_COLOURS))
    colour = style.GREY if bound else _COLOURS[shade]
    x = rows["over_provisioning_pct"].to_numpy()
    y = np.maximum(100 * rows["sla_violation_rate"].to_numpy(), floor)
    panel.plot(
        x, y, color=colour, clip_on=False, marker="*" if bound else _MARKERS[(shade + again) % 7],
        markersize=9 if bound else 4.5, linewidth=1.4,
        linestyle=":" if bound else ("-", "--", "-.")[again % 3],
    )  # fmt: skip
    at = panel.transAxes.inverted().transform(panel.transData.transform(np.column_stack([x, y])))
    at = at[np.isfinite(at).all(axis=1)]
    if len(at):
        text = f"{name} (bound)" if bound else name
        left, bottom = _free(at, len(text), taken)
        panel.text(left, bottom, text, color=colour, transform=panel.transAxes, fontweight="bold")


def _free(
    points: Floats, letters: int, taken: list[tuple[float, float, float, float]]
) -> tuple[float, float]:
    """Return left and bottom of a label beside one of `points` that overlaps no label in `taken`.

    All are shares of the panel: `points` [points, 2], labels left, bottom, right and top.
    """
    width, height = letters * _LETTER[0], _LETTER[1]
    places = [
        (float(x) + dx, float(y) + dy)
        for dy in (0.012, 0.05, 0.09, 0.13, -0.05)
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


def _overlap(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
