"""Pictures of a batch for slides: policies against each other, and what each factor changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from twin.batches.report.effects import EFFECTS, MOST_VALUES, Factor, at_levels, measure_factors
from twin.batches.report.ranking_entries import RankingEntry, rank_policies
from twin.batches.report.source import OVER, RATE, BatchData
from twin.report.colours import colour_of
from twin.report.metrics import metric
from twin.report.style import add_title, new_figure, plot_style, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_FACTORS = 6
_MOST_LINES = 6
_MOST_NAMED = 12

Draw = Callable[[BinaryIO], None]


def pictures_of(batch: BatchData) -> dict[str, Draw]:
    """Return a function that draws each picture, by file name; none where every run failed."""
    ranked, measured = rank_policies(batch), measure_factors(batch)
    pictures: dict[str, Draw] = {}
    if ranked:
        pictures["policies.png"] = partial(_save, lambda: _policies(batch, ranked))
    if measured:
        pictures["factors.png"] = partial(_save, lambda: _factors(batch, measured, ranked))
    return pictures


def _save(draw: Callable[[], Figure], stream: BinaryIO) -> None:
    with plot_style(grid=True):
        save(draw(), stream)


def _policies(batch: BatchData, ranked: list[RankingEntry]) -> Figure:
    """Return a figure of violations against over-provisioning, a mark for each policy."""
    figure = new_figure(8, 5)
    panel = figure.subplots()
    paint_policies(batch, ranked, panel)
    title = f"{batch.name}: means over {batch.finished_points:,} points"
    if batch.most_replications > 1:
        title += ", bars are 95 % intervals"
    if len(ranked) > _MOST_NAMED:
        title += f" (the first {_MOST_NAMED} of {len(ranked)} policies are named)"
    panel.set_title(title, loc="left", fontweight="bold")
    return figure


def paint_policies(batch: BatchData, ranked: list[RankingEntry], panel: Axes) -> None:
    """Draw violations against over-provisioning on a panel, a mark for each policy."""
    over, rate = batch.mean(OVER), batch.mean(RATE)
    for at, s in enumerate(ranked):
        x, y = over.mean[s.index], 100 * rate.mean[s.index]
        wide = [np.nan_to_num(over.half_width[s.index])]
        high = [np.nan_to_num(100 * rate.half_width[s.index])]
        colour = colour_of(s.look)
        marker = "D" if s.bound else "o"
        panel.errorbar([x], [y], high, wide, fmt=marker, color=colour, capsize=3, markersize=6)
        if at < _MOST_NAMED:
            name = f"{s.name} (bound)" if s.bound else s.name
            panel.annotate(name, (x, y), xytext=(7, 5), textcoords="offset points")
    panel.set_xlabel("over-provisioning, % of demand")
    panel.set_ylabel("violated intervals, %")
    panel.set_xlim(left=min(0, panel.get_xlim()[0]))
    panel.set_ylim(bottom=min(0, panel.get_ylim()[0]))
    panel.margins(x=0.15)


def _factors(batch: BatchData, measured: list[Factor], ranked: list[RankingEntry]) -> Figure:
    """Return a figure of means at the values of the factors of largest effect, a row for each."""
    shown = measured[:_MOST_FACTORS]
    figure = new_figure(11, 0.8 + 2.5 * len(shown))
    panels = figure.subplots(len(shown), 2, squeeze=False)
    for row, factor in zip(panels, shown, strict=True):
        for panel, name in zip(row, EFFECTS, strict=True):
            _levels(panel, batch, factor, name, ranked[:_MOST_LINES])
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    add_title(figure, f"{batch.name}: what each factor changes")
    return figure


def _levels(
    panel: Axes, batch: BatchData, factor: Factor, name: str, ranked: list[RankingEntry]
) -> None:
    shown = metric(name)
    means = at_levels(batch, factor, name)[:MOST_VALUES]
    labels = list(factor.labels[: len(means)])
    for s in ranked:
        mean = np.array([at.mean[s.index] for at in means]) * shown.display.scale
        width = np.array([at.half_width[s.index] for at in means]) * shown.display.scale
        colour = colour_of(s.look)
        panel.errorbar(
            range(len(means)), mean, np.nan_to_num(width), color=colour, marker="o", markersize=4,
            capsize=2, label=s.name,
        )  # fmt: skip
    small = 7 if sum(len(label) for label in labels) > 60 else 9
    panel.set_xticks(range(len(labels)), labels, fontsize=small)
    panel.set_title(f"{shown.name}, {shown.unit}, by {factor.key}", loc="left")
    panel.set_ylim(bottom=min(0, panel.get_ylim()[0]))
