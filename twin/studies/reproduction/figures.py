"""Figures 1 to 6 of the paper, drawn from the tables of their numbers."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from twin.report import style
from twin.studies.reproduction.measure import PAPER
from twin.studies.reproduction.published import BASELINE_1, BASELINE_2, QUANTITIES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from twin.studies.reproduction.measure import Measured

_COLOURS: Final = {
    BASELINE_1: style.ORANGE,
    BASELINE_2: style.SKY,
    PAPER: style.BLUE,
    "last_value": style.GREY,
}
"""Of what figures show: the paper's methods and persistence. The others are in a table."""
_PUBLISHED: Final = style.VERMILION
_LETTERS: Final = 110
"""Of a line below a figure."""
_KPI_UNITS: Final = {"internet": "Mbit/s", "downstream": "Mbit/s"}

TITLES: Final = {
    1: "The four KPIs over time",
    2: "Forecast errors: MAE and RMSE",
    3: "Mean over-provisioning",
    4: "The methods on five axes, the best of them outwards",
    5: "Efficiency, wastage and utilization",
    6: "Efficiency of every interval",
}


def draw(measured: Measured, tables: dict[int, pd.DataFrame], folder: Path) -> None:
    """Write `figure-N.png` to `folder` for each of `tables`, which hold the numbers of figure N."""
    with style.plot_style():
        for number, table in tables.items():
            figure = _drawn(number, table, measured)
            title, below = f"Figure {number}: {TITLES[number]}", [f"Data: {measured.data}"]
            if measured.left_out and number > 1:
                title += "\n(without the AI-enabled DT)"
                below.append(f"The AI-enabled DT comes from: {measured.left_out.command}")
            style.add_title(figure, title)
            lines = [line for text in below for line in wrap(text, _LETTERS)]
            figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=7.5)
            style.save(figure, folder / f"figure-{number}.png", dpi=160)


def _drawn(number: int, table: pd.DataFrame, measured: Measured) -> Figure:
    if number == 1:
        return _over_time(table)
    if number == 4:
        return _radar(table)
    if number == 6:
        return _boxes(table, measured)
    return _bars(table)


def _over_time(table: pd.DataFrame) -> Figure:
    kpis = [name for name in table.columns if name not in ("hours", "part", "data")]
    figure = style.new_figure(6.4, 1 + 1.3 * len(kpis))
    panels = figure.subplots(len(kpis), 1, sharex=True, squeeze=False)[:, 0]
    days = table["hours"] / 24
    split = days[table["part"] == "test"].iloc[0]
    for panel, kpi, colour in zip(panels, kpis, (style.BLUE, style.GREEN, style.ORANGE, style.PINK),
                                  strict=False):  # fmt: skip
        panel.plot(days, table[kpi], linewidth=0.6, color=colour)
        panel.axvspan(split, days.iloc[-1], color=style.SHADE, alpha=0.3, linewidth=0)
        panel.set_ylabel(f"{kpi}\n{_KPI_UNITS.get(kpi, 'scaled')}")
        panel.set_ylim(bottom=0)
        panel.grid(visible=True)
    panels[0].set_title("shaded: the test part", loc="right", fontsize=8)
    panels[-1].set_xlabel("days since the first sample")
    panels[-1].set_xlim(0, days.iloc[-1])
    return figure


def _bars(table: pd.DataFrame) -> Figure:
    """Return a panel for each quantity, measured and published bars for each method."""
    quantities = list(dict.fromkeys(table["quantity"]))
    figure = style.new_figure(6.4, 1.1 + 1.75 * len(quantities))
    panels = figure.subplots(len(quantities), 1, squeeze=False)[:, 0]
    for panel, quantity in zip(panels, quantities, strict=True):
        rows = table[(table["quantity"] == quantity) & table["policy"].isin(_COLOURS)]
        _panel(panel, rows)
        panel.set_title(QUANTITIES[quantity], loc="left")
    _legend(figure)
    return figure


def _legend(figure: Figure) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(color=style.GREY, label="measured"),
        Patch(facecolor="white", edgecolor=_PUBLISHED, hatch="////", label="published"),
    ]
    figure.legend(handles=handles, loc="upper right", ncols=2, frameon=False)


def _panel(panel: Axes, rows: pd.DataFrame) -> None:
    at = np.arange(len(rows))
    known = rows["published"].notna().to_numpy()
    colours = [_COLOURS[policy] for policy in rows["policy"]]
    own = panel.barh(at - 0.2 * known, rows["measured"], 0.36, color=colours)
    other = panel.barh(
        at[known] + 0.2, rows["published"][known], 0.36, color="white", edgecolor=_PUBLISHED,
        hatch="////", linewidth=0.8,
    )  # fmt: skip
    panel.bar_label(own, [f"{value:.4g}" for value in rows["measured"]], padding=3, fontsize=8)
    panel.bar_label(
        other, list(rows["published_as"][known]), padding=3, fontsize=8, color=_PUBLISHED
    )
    panel.set_yticks(at, [name.replace(" (", "\n(") for name in rows["method"]])
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.margins(x=0.25)
    panel.grid(visible=True, axis="x")


def _radar(table: pd.DataFrame) -> Figure:
    figure = style.new_figure(6.4, 4.4)
    panel: Any = figure.add_subplot(1, 2, 1, projection="polar")
    beside = figure.add_subplot(1, 2, 2)
    beside.axis("off")
    axes = list(dict.fromkeys(table["axis"]))
    angles = np.linspace(0, 2 * np.pi, len(axes), endpoint=False)
    around = np.append(angles, angles[0])
    for policy, rows in table.groupby("policy", sort=False):
        values, colour = rows["normalised"].to_numpy(), _COLOURS[str(policy)]
        name = str(rows["method"].iloc[0])
        panel.plot(around, np.append(values, values[0]), color=colour, linewidth=1.8,
                   marker="o", markersize=4, label=name, clip_on=False)  # fmt: skip
        panel.fill(around, np.append(values, values[0]), color=colour, alpha=0.12)
    panel.set_theta_offset(np.pi / 2)
    panel.set_theta_direction(-1)
    panel.set_xticks(angles, [name.replace("cost ", "cost\n") for name in axes])
    panel.tick_params(axis="x", pad=16)
    panel.set_ylim(0, 1)
    panel.set_yticks([0.25, 0.5, 0.75, 1], ["", "0.5", "", "1"], fontsize=7, color=style.GREY)
    beside.legend(*panel.get_legend_handles_labels(), loc="upper left", frameon=False)
    note = (
        "Each axis runs from the worst\nof them (centre) to the best\n(edge).\n\n"
        "In the paper's own radar the\nAI-enabled DT is last on SLA\ncompliance."
    )
    beside.text(0.02, 0.3, note, fontsize=8)
    return figure


def _boxes(table: pd.DataFrame, measured: Measured) -> Figure:
    """Return box plots, whiskers from the least to the greatest; published quartiles beside."""
    figure = style.new_figure(6.4, 4.4)
    panel = figure.subplots()
    intervals = measured.result.intervals.dropna(subset="demand_mbps")
    table = table[table["policy"].isin(_COLOURS)]
    policies = list(dict.fromkeys(table["policy"]))
    for i, policy in enumerate(policies):
        values = intervals.loc[intervals["policy"] == policy, "efficiency"]
        rows = table[table["policy"] == policy].set_index("quantity")["published"]
        known = bool(np.isfinite(rows["efficiency_median"]))
        at = i - 0.2 * known
        box = panel.boxplot(
            [values], positions=[at], widths=0.32, whis=(0, 100), patch_artist=True,
            medianprops={"color": style.INK}, manage_ticks=False,
        )  # fmt: skip
        box["boxes"][0].set(facecolor=_COLOURS[policy], alpha=0.8)
        middle = values.median()
        panel.annotate(f"{middle:.3f}", (at, middle), xytext=(0, 3), textcoords="offset points",
                       ha="center", fontsize=8)  # fmt: skip
        if known:
            _published_box(panel, i + 0.2, *map(float, rows))
    names = [name.replace(" (", "\n(") for name in dict.fromkeys(table["method"])]
    panel.set_xticks(range(len(policies)), names)
    panel.set_xlim(-0.6, len(policies) - 0.4)
    panel.set_ylabel("efficiency = min(demand / allocated, 1)")
    panel.set_ylim(0, 1.08)
    panel.grid(visible=True, axis="y")
    _legend(figure)
    return figure


def _published_box(
    panel: Axes, at: float, low: float, middle: float, high: float, greatest: float
) -> None:
    panel.bar(
        at, high - low, 0.32, low, facecolor="white", edgecolor=_PUBLISHED, hatch="////",
        linewidth=0.8,
    )  # fmt: skip
    panel.plot([at - 0.16, at + 0.16], [middle, middle], color=_PUBLISHED, linewidth=2)
    panel.annotate(f"{middle:g}", (at + 0.18, middle), va="center", fontsize=8, color=_PUBLISHED)
    if np.isfinite(greatest):
        panel.plot([at, at], [high, greatest], color=_PUBLISHED, linewidth=0.8)
        panel.plot([at - 0.08, at + 0.08], [greatest, greatest], color=_PUBLISHED, linewidth=0.8)
