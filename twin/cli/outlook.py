"""`twin outlook`: when each link runs out, and what upgrades cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import typer

from twin.cli.progress import progress
from twin.core.calendar import calendar_span
from twin.core.errors import InputError, Problem
from twin.core.units import duration, share
from twin.demand.busy import BusyStatistic
from twin.demand.growth import growths
from twin.results.folder import check_free, files_of
from twin.results.manifest_file import MANIFEST
from twin.results.resolved import resolved_scenario
from twin.results.table import console, say, show_rows
from twin.scenario.given import Overrides
from twin.scenario.load import Scenario
from twin.studies.outlook.findings import answer, basis, failing, soonest, upgrading
from twin.studies.outlook.spec import OutlookSpec
from twin.studies.outlook.study import LinkOutlook, Outlook, outlook
from twin.studies.outlook.tables import between, spend_table, when
from twin.studies.outlook.write import save

T = TypeVar("T")

_SHOWN = 20
"""Links in the table that is printed; outlook.csv has all."""


def run_outlook(
    scenario: str,
    overrides: Sequence[str],
    out: Path | None,
    *,
    asked: dict[str, str],
    force: bool,
    report: bool,
) -> None:
    """Say when the links of a scenario run out; print and write.

    `asked` are the texts of options by name.
    """
    spec = _spec(asked)
    checked = Scenario.load(scenario, Overrides(tuple(overrides)))
    folder = out or Path("out") / f"{checked.spec.name}-outlook"
    # Before the work rather than after it.
    check_free(folder, force=force)
    with progress(f"outlook of {checked.spec.name}") as show:
        study = outlook(checked, spec, show)
    # Before anything is printed: whoever closes the pipe keeps the tables.
    save(study, resolved_scenario(checked), folder, force=force, report=report)
    _print(study)
    typer.echo(f"\nWritten to {folder}/: {', '.join([*files_of(folder), MANIFEST])}")


def _spec(asked: dict[str, str]) -> OutlookSpec:
    """Return what the options ask for. Raises InputError with every problem."""
    readers: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "--growth": ("growth", growths),
        "--for": ("ahead", calendar_span),
        "--at": ("at", _target),
        "--of": ("of", BusyStatistic.of),
        "--over": ("over_s", _window),
        "--fit": ("curve", _curve),
    }
    values, problems = {}, []
    for option, text in asked.items():
        key, read = readers[option]
        try:
            values[key] = read(text)
        except ValueError as error:
            problems.append(Problem(str(error), option))
    if problems:
        raise InputError(problems)
    return OutlookSpec(**values)


def _target(text: str) -> float:
    value = share(text)
    if not 0 < value <= 10:
        raise ValueError(f"must be more than 0 and at most 1000%, not '{text}'")
    return value


def _window(text: str) -> float:
    value = duration(text)
    if not value:
        raise ValueError("must be longer than 0s")
    return value


def _curve(text: str) -> str:
    if text not in ("compound", "linear"):
        raise ValueError(f"must be 'compound' or 'linear', not '{text}'")
    return text


def _print(study: Outlook) -> None:
    out = console()
    for line in [*answer(study), *upgrading(study), *failing(study)]:
        say(out, line)
    _table(study)
    _spend(study)
    for line in [*basis(study), *(f"Note: {note}" for note in study.notes)]:
        say(out, line)


def _table(study: Outlook) -> None:
    """Print the links that run out first, then those that are busiest at the end."""
    first = soonest(study)
    others = [each for each in study.links if each not in first]
    # A link of which nothing can be told is ordered by how busy it is.
    others.sort(key=lambda each: -(_end_share(each)))
    shown = [*first, *others][:_SHOWN]
    at = f"{100 * study.spec.at:g} %"
    headers = ["link", "capacity\nMbit/s", "busy\nMbit/s", "busy\n% of cap.", "growth\n% a year",
               "90 %\ninterval", f"reaches\n{at}", "90 %\ninterval of that", "full", "upgrades",
               "cost", "days\nshort"]  # fmt: skip
    dropped = [
        "capacity\nMbit/s",
        "days\nshort",
        "90 %\ninterval",
        "90 %\ninterval of that",
        "cost",
        "upgrades",
    ]
    failed = "full under\nworst failure"
    if study.failures:
        headers.append(failed)
    rows = [_cells(study, each) for each in shown]
    show_rows(headers, rows, dropped)
    if len(study.links) > len(shown):
        say(console(), f"and {len(study.links) - len(shown)} more links in outlook.csv")


def _end_share(link: LinkOutlook) -> float:
    value = link.busy_at_end_mbps / link.capacity_mbps
    value = link.busy_mbps / link.capacity_mbps if math.isnan(value) else value
    return -1.0 if math.isnan(value) else value


def _cells(study: Outlook, link: LinkOutlook) -> list[str]:
    growth, interval = "?", "-"
    if link.projection is not None:
        share_, low, high = link.projection.yearly()
        growth = f"{100 * share_:.1f}"
        if low != high:
            interval = f"{100 * low:.1f} to {100 * high:.1f}"
    used = 100 * link.busy_mbps / link.capacity_mbps
    cells = [
        link.link, f"{link.capacity_mbps:,.0f}", f"{link.busy_mbps:,.1f}", f"{used:.1f}", growth,
        interval, when(study, link.target.middle) or "-", between(study, link.target) or "-",
        when(study, link.full.middle) or "-", str(len(link.upgrades)),
        f"{sum(each.cost for each in link.upgrades):,.0f}", f"{link.days_short:.0f}",
    ]  # fmt: skip
    return cells + [when(study, link.full_failed) or "-"] * study.failures


def _spend(study: Outlook) -> None:
    table = spend_table(study)
    if table["orders"].sum():
        rows = [
            [str(row["quarter"]), str(row["orders"]), f"{row['cost']:,.0f}"]
            for row in table.to_dict("records")
        ]
        show_rows(["quarter", "orders", "cost"], rows, ())
