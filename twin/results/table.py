"""The tables that are printed on the terminal."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from twin.account.ranking import kept_by
from twin.account.summary import ALL
from twin.core.printable import printable
from twin.core.units import format_duration
from twin.results.verdict import ordered, verdict_lines

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from twin.results.result import Result

_PIPE_WIDTH = 200
"""Width of a table that is not printed on a terminal, characters, so that nothing is cut."""

_SHOWN = (
    ("policy", "policy", "{}"),
    ("MAE\nMbit/s", "mae", "{:.2f}"),
    ("RMSE\nMbit/s", "rmse", "{:.2f}"),
    ("allocated\nMbit/s", "allocated_mean_mbps", "{:.1f}"),
    ("over-prov.\nMbit/s", "over_provisioning_mean_mbps", "{:.1f}"),
    ("over-prov.\n% of demand", "over_provisioning_pct", "{:.1f}"),
    ("efficiency\nmedian", "efficiency_median", "{:.3f}"),
    ("utilization\nmean", "utilization_mean", "{:.3f}"),
    ("violated\n% intervals", "violated_pct", "{:.3f}"),
    ("violated\nminutes", "sla_violation_minutes", "{:.0f}"),
    ("unmet\nGbit", "unmet_gbit", "{:.2f}"),
    ("links\nwithin SLA", "within_sla", "{}"),
    ("budget used\nworst link", "budget", "{}"),
    ("cost", "cost", "{:,.2f}"),
    ("energy\nkWh", "energy_kwh", "{:.1f}"),
)
"""Header, column and format, in the order of the paper's metrics."""

_DROPPED_FIRST = (
    "RMSE\nMbit/s", "utilization\nmean", "over-prov.\nMbit/s", "violated\nminutes",
    "allocated\nMbit/s", "efficiency\nmedian", "unmet\nGbit", "MAE\nMbit/s",
    "budget used\nworst link", "links\nwithin SLA", "energy\nkWh",
)  # fmt: skip
"""Columns that are left out on a narrow terminal, in this order; numbers are never cut."""


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
        *(f"Demand: {note}" for note in scenario.trace.notes),
        *(f"Read: {repair}" for repair in scenario.trace.repairs),
        *(f"Warning: {warning}" for warning in scenario.warnings),
    ]
    for line in lines:
        say(out, line)
    pooled = _pooled(result)
    # What no policy has, such as a cost without prices, is no column.
    shown = [each for each in _SHOWN if each[1] == "policy" or pooled[each[1]].notna().any()]
    rows = [
        [cell(text, row[column]) for _, column, text in shown] for row in pooled.to_dict("records")
    ]
    headers = [header for header, _, _ in shown]
    show_rows(headers, rows, [header for header in _DROPPED_FIRST if header in headers])
    for line in [*verdict_lines(result), *_failed(result)]:
        say(out, line)


def _failed(result: Result) -> list[str]:
    """Return a line for each policy that failed, with its first failure."""
    log = result.events[result.events["phase"] == "failure"].drop_duplicates("name")
    links = result.summary[result.summary["link"] != ALL]
    rows = links.groupby("policy")["fallback_intervals"].max()
    return [
        f"Failed: {failure}; the fallback decided {rows[name]} of its "
        f"{result.recording.intervals} intervals (events.csv has every failure)"
        for name, failure in zip(log["name"], log["detail"], strict=True)
    ]


def _pooled(result: Result) -> pd.DataFrame:
    """Return the rows over all links in order, with the columns that only the table has."""
    summary, links = result.summary, len(result.recording.links)
    kept = kept_by(summary[summary["link"] != ALL])
    pooled = summary[summary["link"] == ALL].set_index("policy", drop=False)
    used = zip(pooled["sla_used_intervals"], pooled["sla_allowed_intervals"], strict=True)
    pooled = pooled.assign(
        violated_pct=lambda rows: 100 * rows["sla_violation_rate"],
        unmet_gbit=lambda rows: rows["unmet_mbit"] / 1000,
        within_sla=[f"{kept[name]} of {links}" for name in pooled["policy"]],
        budget=[f"{count} of {limit}" for count, limit in used],
    )
    return pooled.loc[ordered(result)]


def cell(form: str, value: Any) -> str:
    """Return a value in the format of its column; ``-`` where there is none."""
    return "-" if isinstance(value, float) and math.isnan(value) else form.format(value)


def show_rows(
    headers: Sequence[str], rows: Sequence[Sequence[str]], dropped_first: Sequence[str] = ()
) -> None:
    """Print a table, the first column to the left and the others to the right.

    Where the terminal is too narrow, the columns `dropped_first` go, in this order.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    out = console()
    rows = [[printable(cell) for cell in row] for row in rows]
    shown = _that_fit(headers, rows, dropped_first, out.width)
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for i in shown:
        justify: Literal["left", "right"] = "right" if i else "left"
        table.add_column(headers[i], justify=justify, no_wrap=True, vertical="bottom")
    for row in rows:
        table.add_row(*(Text(row[i]) for i in shown))
    out.print(table)
    if len(shown) < len(headers):
        out.print("Widen the terminal for more columns.", style="dim")


def _that_fit(
    headers: Sequence[str], rows: Sequence[Sequence[str]], dropped_first: Sequence[str], width: int
) -> list[int]:
    """Return the columns that fit into `width` characters, each with three between."""
    lines = [header.split("\n") for header in headers]
    widths = [
        max(len(cell) for cell in (*lines[i], *(row[i] for row in rows)))
        for i in range(len(headers))
    ]
    shown = list(range(len(headers)))
    for header in dropped_first:
        if sum(widths[i] + 3 for i in shown) + 2 <= width:
            break
        shown.remove(list(headers).index(header))
    return shown


def say(out: Console, line: str) -> None:
    """Print a line as it is, but for what would control the terminal."""
    out.print(printable(line), soft_wrap=True, highlight=False, markup=False)


def console() -> Console:
    """Return a console on standard output."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
