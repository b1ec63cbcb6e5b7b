"""The page of an outlook: which links run out and when, and what upgrades cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from twin.core.units import counted
from twin.report.html.markup import Html, head, paragraph, section, table, tag, text
from twin.report.html.page import page
from twin.report.html.parts import (
    code_block,
    facts_table,
    folded,
    page_header,
    short_digest,
    verdict_box,
)
from twin.studies.outlook.findings import answer, basis, failing, upgrading
from twin.studies.outlook.gantt import STYLE, drawn, gantt
from twin.studies.outlook.study import Outlook
from twin.studies.outlook.tables import link_table, spend_table, upgrade_table

_MOST: Final = 200
"""Rows of a table before the rest is folded away."""


def render(outlook: Outlook, resolved: str) -> str:
    """Return the page; `resolved` is the scenario as YAML."""
    name = outlook.scenario.spec.name
    summary = f"{counted(len(outlook.links), 'link')}, {outlook.spec.ahead.text} ahead"
    more = [*upgrading(outlook), *failing(outlook)]
    body = [
        page_header(f"{name}: outlook", summary),
        verdict_box(answer(outlook), more),
        section("links", "When links run out", *_links(outlook)),
    ]
    if any(link.upgrades for link in outlook.links):
        body.append(section("upgrades", "Upgrades", *_upgrades(outlook)))
    body.append(section("read", "What was read", *_facts(outlook, resolved)))
    return page(f"{name}: outlook", body, STYLE)


def _links(outlook: Outlook) -> list[Html]:
    rows = link_table(outlook)
    order = rows.sort_values(
        ["reaches_target_days", "utilization_at_end"], ascending=[True, False], na_position="last"
    )
    many = len(drawn(outlook))
    picture = [gantt(outlook)] if many else []
    at = f"{100 * outlook.spec.at:g} %"
    headers = [
        head("link"), head("capacity", "Mbit/s"), head("busy", "Mbit/s"),
        head("utilization", "% of capacity"), head("growth", "% a year"), head("growth", "90 %"),
        head(f"reaches {at}"), head("interval", "90 %"), head("full"),
        head("at the end", "% of capacity"),
    ]  # fmt: skip
    if outlook.failures:
        headers += [head("full", "worst failure"), head("worst failure")]
    cells = [_cells(row, failures=outlook.failures) for row in order.to_dict("records")]
    return [*picture, *_folding(headers, cells, "Links, the first to run out first")]


def _cells(row: Mapping[Any, Any], *, failures: bool) -> list[Html]:
    reach = str(row["reaches_target"]) or "-"
    between = f"{row['reaches_target_early']} to {row['reaches_target_late'] or 'later'}"
    texts = [
        _number(row["capacity_mbps"]), _number(row["busy_mbps"]), _share(row["utilization"]),
        _share(row["growth_per_year"]),
        f"{_share(row['growth_low'])} to {_share(row['growth_high'])}",
        reach, between if row["reaches_target_early"] else "-",
        str(row["reaches_capacity"]) or "-", _share(row["utilization_at_end"]),
    ]  # fmt: skip
    if row["reason"]:
        texts[3:5] = ["cannot be told", "-"]
    if failures:
        texts += [str(row["reaches_capacity_failed"]) or "-", str(row["worst_failure"]) or "-"]
    name = tag("th", text(row["link"]), scope="row")
    return [name, *(tag("td", text(each)) for each in texts)]


def _upgrades(outlook: Outlook) -> list[Html]:
    rows = upgrade_table(outlook)
    headers = [
        head("link"), head("ordered"), head("there"), head("steps"), head("capacity", "Mbit/s"),
        head("busy", "Mbit/s, at the order"), head("cost"), head("days short"),
    ]  # fmt: skip
    cells = [
        [
            tag("th", text(row["link"]), scope="row"),
            *(
                tag("td", text(each))
                for each in (
                    row["ordered"], row["effective"], row["steps"],
                    f"{_number(row['capacity_before_mbps'])} to "
                    f"{_number(row['capacity_after_mbps'])}",
                    _number(row["busy_mbps"]), f"{row['cost']:,.0f}", f"{row['days_short']:.0f}",
                )
            ),
        ]
        for row in rows.to_dict("records")
    ]  # fmt: skip
    spend = [
        [
            tag("th", text(row["quarter"]), scope="row"),
            tag("td", text(row["orders"])),
            tag("td", text(f"{row['cost']:,.0f}")),
        ]
        for row in spend_table(outlook).to_dict("records")
    ]
    note = (
        "An order counts in the quarter in which it is placed. Days short are those before its "
        "effect on which the link is busier than its capacity."
    )
    return [
        table([head("quarter"), head("orders"), head("cost")], spend, caption="Spend by quarter"),
        *_folding(headers, cells, "Orders, in order of time"),
        paragraph(note, class_="note"),
    ]


def _folding(headers: Sequence[Html], rows: Sequence[Sequence[Html]], caption: str) -> list[Html]:
    parts = [table(headers, rows[:_MOST], caption=caption, class_="sortable")]
    if len(rows) > _MOST:
        rest = table(headers, rows[_MOST:], caption=caption, class_="sortable")
        parts.append(folded(f"{len(rows) - _MOST} more", rest))
    return parts


def _facts(outlook: Outlook, resolved: str) -> Iterable[Html]:
    trace = outlook.scenario.trace
    facts = [
        ("Demand", trace.origin),
        ("Digest of the demand", short_digest(trace.digest)),
        ("Repairs", "; ".join(trace.repairs) or "none"),
    ]
    return [
        paragraph(*basis(outlook)),
        *(paragraph(f"{note[0].upper()}{note[1:]}.") for note in outlook.notes),
        facts_table(facts),
        folded("The scenario", code_block(resolved)),
    ]


def _number(value: object) -> str:
    number = float(str(value))
    if math.isinf(number):
        return "unlimited"
    return "-" if pd.isna(number) else f"{number:,.0f}"


def _share(value: object) -> str:
    number = float(str(value))
    return "-" if pd.isna(number) else f"{100 * number:.1f}"
