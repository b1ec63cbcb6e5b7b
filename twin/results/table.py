"""The tables that are printed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from twin.account.summary import ALL
from twin.units import format_duration

if TYPE_CHECKING:
    from rich.console import Console

    from twin.results.result import Result

_PIPE_WIDTH = 200
"""Columns of a table that is not on a terminal, so that nothing is cut."""

_SHOWN = (
    ("policy", "policy", "{}"),
    ("MAE\nMbit/s", "mae", "{:.2f}"),
    ("RMSE\nMbit/s", "rmse", "{:.2f}"),
    ("allocated\nMbit/s", "allocated_mean_mbps", "{:.1f}"),
    ("over-provisioning\nMbit/s", "over_provisioning_mean_mbps", "{:.1f}"),
    ("over-prov.\n% of demand", "over_provisioning_pct", "{:.1f}"),
    ("efficiency\nmedian", "efficiency_median", "{:.3f}"),
    ("utilization\nmean", "utilization_mean", "{:.3f}"),
    ("violated\n% intervals", "violated_pct", "{:.3f}"),
    ("violated\nminutes", "sla_violation_minutes", "{:.0f}"),
    ("unmet\nGbit", "unmet_gbit", "{:.2f}"),
)


def print_table(result: Result) -> None:
    """Print what was replayed, and a row for each policy over all links."""
    scenario, recording = result.scenario, result.recording
    tick_s = recording.tick_s
    links = len(recording.links)
    out = console()
    missing = int(result.summary["missing_intervals"][result.summary["link"] == ALL].iloc[0])
    lines = [
        f"{scenario.spec.name}: {links} link{'s' * (links != 1)}, "
        f"{recording.intervals} intervals of {format_duration(tick_s)} "
        f"({format_duration(recording.intervals * tick_s)}) replayed after "
        f"{format_duration(scenario.span.history * tick_s)} of history, seed {scenario.spec.seed}",
        f"Demand: {scenario.trace.origin}"
        + (f"; {missing} link-intervals missing" if missing else ""),
        *(f"Repaired: {repair}" for repair in scenario.trace.repairs),
    ]
    for line in lines:
        out.print(line, soft_wrap=True, highlight=False, markup=False)
    pooled = result.summary[result.summary["link"] == ALL].assign(
        violated_pct=lambda rows: 100 * rows["sla_violation_rate"],
        unmet_gbit=lambda rows: rows["unmet_mbit"] / 1000,
    )
    rows = [
        [text.format(row[column]).replace("nan", "-") for _, column, text in _SHOWN]
        for row in pooled.to_dict("records")
    ]
    show_rows([header for header, _, _ in _SHOWN], rows)


def show_rows(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, the first column to the left and the others to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for i, header in enumerate(headers):
        table.add_column(header, justify="right" if i else "left", no_wrap=True, vertical="bottom")
    for row in rows:
        table.add_row(*map(Text, row))
    console().print(table)


def console() -> Console:
    """Return a console on standard output."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
