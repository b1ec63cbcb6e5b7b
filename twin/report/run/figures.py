"""Pictures of a run: allocation over time, and metrics side by side."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twin.account.summary import ALL
from twin.core.arrays import Floats
from twin.core.units import counted, format_duration
from twin.report.colours import colour_of
from twin.report.dates import date_axis
from twin.report.run.event_spans import EventSpan
from twin.report.run.findings import Findings, find
from twin.report.run.source import RunData
from twin.report.style import (
    GREY,
    INK,
    SHADE,
    VERMILION,
    add_title,
    new_figure,
    plot_style,
    save,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_MOST_PANELS = 8


def draw(found: Findings, folder: Path) -> list[str]:
    """Write the pictures of a run to `folder`, and return their names.

    Raises InputError where the files behind the report are damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with plot_style(grid=True):
        figures = {"allocation.png": _allocation(found), "metrics.png": _metrics(found.run)}
        for name, figure in figures.items():
            save(figure, folder / name)
    return list(figures)


def allocation_figure(run: RunData) -> Figure:
    """Return demand and each policy's allocation on one link, to look at or to save."""
    with plot_style(grid=True):
        return _allocation(find(run))


def _allocation(found: Findings) -> Figure:
    """Return demand and each policy's allocation on one link: the whole replay, and six hours."""
    run, link = found.run, found.focus
    own = [span for span in found.spans if link in span.links]
    spans = own or [found.spans[i] for i in found.failures]
    policies = run.policies[:_MOST_PANELS]
    rows = _rows(run, link, policies)
    figure = new_figure(12.5, 1.1 + 1.65 * len(policies))
    panels = figure.subplots(
        len(policies), 2, sharex="col", sharey="col", squeeze=False, width_ratios=(2.2, 1)
    )
    hours = np.arange(run.intervals + 1) * run.tick_s / 3600
    near = _six_hours(run, rows[0].demand, spans)
    for i, (policy, row) in enumerate(zip(policies, rows, strict=True)):
        for panel, part in zip(panels[i], (slice(None), near), strict=True):
            _panel(panel, hours, row, part, colour_of(run.looks[policy]))
        share = _value(run, policy, "sla_violation_rate", link)
        waste = _value(run, policy, "over_provisioning_pct", link)
        title = f"{policy}: {share:.2%} of intervals violated, over-provisioning {waste:.1f} %"
        panels[i, 0].set_title(title, loc="left", fontsize=9)
    _mark_events(panels, spans)
    _scale(panels, hours, rows, near, run.starts, run.timezone)
    figure.supylabel("Mbit/s")
    _legend(figure, panels[0, 1])
    title = f"{run.name}: demand and allocation on {link}"
    if len(policies) < len(run.policies):
        title += f" (the first {len(policies)} of {len(run.policies)} policies)"
    add_title(figure, title)
    return figure


def _legend(figure: Figure, panel: Axes) -> None:
    """Say what is drawn in every panel; allocations are in each policy's own colour."""
    from matplotlib.patches import Patch

    shown = dict(zip(*reversed(panel.get_legend_handles_labels()), strict=True))
    shown["allocation"] = Patch(facecolor=SHADE, edgecolor=GREY, linewidth=1.1)
    figure.legend(shown.values(), shown.keys(), loc="upper right", ncols=len(shown), frameon=False)


class _Row(NamedTuple):
    """One link under one policy, [intervals]."""

    demand: Floats
    allocated: Floats
    served: Floats
    capacity: Floats
    violated: NDArray[np.bool_]


def _rows(run: RunData, link: str, policies: Sequence[str]) -> list[_Row]:
    rows = {}
    for block in run.read_intervals(link):
        if block.policy in policies:
            i = block.links.index(link)
            demand, allocated, unmet, violation_s = (
                values[i].copy()
                for values in (block.demand, block.allocated, block.unmet, block.violation_s)
            )
            rows[block.policy] = _Row(
                demand, allocated, demand - unmet, block.capacity[i].copy(), violation_s > 0
            )
    return [rows[policy] for policy in policies]


def _six_hours(run: RunData, demand: Floats, spans: Sequence[EventSpan]) -> slice:
    """Return the intervals around the first event on the link, else around its highest demand."""
    wide = min(run.intervals, max(2, round(6 * 3600 / run.tick_s)))
    if spans:
        first = int(spans[0].start // run.tick_s) - wide // 4
    else:
        first = int(np.nan_to_num(demand, nan=-1).argmax()) - wide // 2
    first = min(max(first, 0), run.intervals - wide)
    return slice(first, first + wide)


def _panel(panel: Axes, hours: Floats, row: _Row, part: slice, colour: str) -> None:
    demand, allocated, served, capacity, violated = (values[part] for values in row)
    first = part.start or 0
    edges = hours[first : first + len(demand) + 1]
    panel.stairs(allocated, edges, color=colour, fill=True, alpha=0.25)
    panel.stairs(allocated, edges, color=colour, linewidth=1.1, label="allocation")
    unmet: dict[str, Any] = {"baseline": served, "fill": True, "alpha": 0.7, "linewidth": 0}
    panel.stairs(demand, edges, color=VERMILION, label="unmet", **unmet)
    panel.stairs(demand, edges, color=INK, linewidth=0.8, label="demand", baseline=None)
    if np.isfinite(capacity).any():
        limit = np.where(np.isfinite(capacity), capacity, np.nan)
        dashes: dict[str, Any] = {"linestyle": ":", "linewidth": 1, "baseline": None}
        panel.stairs(limit, edges, color=INK, label="capacity", **dashes)
    at = ((edges[:-1] + edges[1:]) / 2)[violated]
    # Drawn on the axis itself, whatever the scale above it.
    (marks,) = panel.plot(
        at,
        np.zeros(len(at)),
        "|",
        color=VERMILION,
        markersize=6,
        markeredgewidth=0.8,
        clip_on=False,
        transform=panel.get_xaxis_transform(),
        label="violated interval",
    )
    marks.set_in_layout(False)


def _scale(
    panels: Any,
    hours: Floats,
    rows: list[_Row],
    near: slice,
    starts: datetime | None,
    timezone: str | None,
) -> None:
    for column, part in ((0, slice(None)), (1, near)):
        demand = np.concatenate([row.demand[part] for row in rows])
        shown = np.concatenate([demand, *(row.allocated[part] for row in rows)])
        low, high = (np.nanmin(shown), np.nanmax(shown)) if np.isfinite(shown).any() else (0, 1)
        if np.isfinite(demand).any():
            # One policy that asks for far too much must not flatten the others.
            high = min(high, 3 * np.nanmax(demand))
        # Six hours show the difference between policies; the whole replay shows the waste.
        low = 0 if column == 0 or low < high / 2 else low - (high - low) * 0.1
        panels[0, column].set_ylim(low, high * 1.08 or 1)
        panels[-1, column].set_xlabel("hours since the start of the replay")
    panels[0, 0].set_xlim(0, hours[-1])
    panels[0, 1].set_xlim(hours[near.start], hours[near.stop])
    if starts is not None:
        for axes in panels[-1]:
            date_axis(axes, starts, timezone)


def _mark_events(panels: Any, spans: Sequence[EventSpan]) -> None:
    for span in spans:
        for panel in panels.flat:
            panel.axvspan(
                span.start / 3600, span.end / 3600, color=SHADE, alpha=0.35, linewidth=0, zorder=0
            )
        place = (span.start / 3600, 0.98)
        note = panels[0, 0].annotate(
            span.label, place, xycoords=("data", "axes fraction"), va="top", fontsize=8
        )
        note.set_in_layout(False)


def _metrics(run: RunData) -> Figure:
    """Return bars of the main metrics, all links pooled."""
    names = run.policies
    figure = new_figure(11, 1.2 + 2 * max(1.6, 0.28 * len(names)))
    panels = figure.subplots(2, 3)
    shown = (
        ("MAE of the allocation, Mbit/s", "mae", 1, "{:.1f}"),
        ("RMSE of the allocation, Mbit/s", "rmse", 1, "{:.1f}"),
        ("mean over-provisioning, Mbit/s", "over_provisioning_mean_mbps", 1, "{:.1f}"),
        ("median efficiency", "efficiency_median", 1, "{:.3f}"),
        ("mean utilization", "utilization_mean", 1, "{:.3f}"),
        ("violated intervals, %", "sla_violation_rate", 100, "{:.2f}"),
    )
    for panel, (title, column, scale, text) in zip(panels.flat, shown, strict=True):
        values = [scale * _value(run, name, column, ALL) for name in names]
        colours = [colour_of(run.looks[name]) for name in names]
        bars = panel.barh(names, np.nan_to_num(values), color=colours)
        panel.bar_label(bars, [text.format(value) for value in values], padding=3, fontsize=8)
        panel.set_title(title, loc="left")
        panel.invert_yaxis()
        panel.margins(x=0.18)
        panel.grid(visible=False, axis="y")
    for panel in panels[:, 1:].flat:
        panel.set_yticklabels([])
    target = 100 * run.target
    panels[1, 2].axvline(target, color=INK, linewidth=0.8, linestyle="--")
    panels[1, 2].set_title(f"violated intervals, % (line: SLA, {target:g} %)", loc="left")
    span = format_duration(run.intervals * run.tick_s)
    add_title(figure, f"{run.name}: {counted(len(run.links), 'link')} over {span}")
    return figure


def _value(run: RunData, policy: str, column: str, link: str) -> float:
    table = run.summary
    return float(table.loc[(table["policy"] == policy) & (table["link"] == link), column].iloc[0])
