"""The page of an outlook: which links run out and when, and what upgrades cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from twin.core.units import counted
from twin.report.html.markup import Html, breakable, head, paragraph, section, table, tag, text
from twin.report.html.page import page
from twin.report.html.parts import (
    code_block,
    facts_table,
    folded,
    page_header,
    short_digest,
    verdict_box,
)
from twin.studies.outlook.findings import answer, basis, failing, soonest, upgrading
from twin.studies.outlook.gantt import STYLE, drawn, gantt
from twin.studies.outlook.study import LinkOutlook, Outlook
from twin.studies.outlook.tables import between, spend_table, upgrade_table, when

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
    picture = [gantt(outlook)] if drawn(outlook) else []
    at = f"{100 * outlook.spec.at:g} %"
    headers = [
        head("link"), head(f"reaches {at}"), head("interval of that", "90 %"), head("full"),
        head("busy", "% of capacity"), head("at the end", "% of capacity"),
        head("growth", "% a year"), head("growth", "90 % interval"), head("capacity", "Mbit/s"),
        head("busy", "Mbit/s"),
    ]  # fmt: skip
    if outlook.failures:
        headers += [head("full", "worst failure"), head("worst failure")]
    order = [*(first := soonest(outlook)), *(each for each in outlook.links if each not in first)]
    rows = [_cells(outlook, link) for link in order]
    return [*picture, *_folding(headers, rows, "Links, the first to run out first")]


def _cells(outlook: Outlook, link: LinkOutlook) -> list[Html]:
    growth, interval = "not known", "-"
    if link.projection is not None:
        yearly, stated = link.projection.yearly(), link.projection.source == "stated"
        growth = _share(yearly.share)
        interval = "stated" if stated else f"{_share(yearly.low)} to {_share(yearly.high)}"
    texts = [
        when(outlook, link.target.middle), between(outlook, link.target),
        when(outlook, link.full.middle), _share(link.busy_mbps / link.capacity_mbps),
        _share(link.busy_at_end_mbps / link.capacity_mbps), growth, interval,
        _number(link.capacity_mbps), _number(link.busy_mbps),
    ]  # fmt: skip
    if outlook.failures:
        texts += [when(outlook, link.full_failed), link.worst_failure]
    name = tag("th", breakable(link.link), scope="row")
    return [name, *(tag("td", text(each or "-")) for each in texts)]


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
        *(paragraph(f"Note: {note}.") for note in outlook.notes),
        facts_table(facts),
        folded("The scenario", code_block(resolved)),
    ]


def _number(number: float) -> str:
    if math.isinf(number):
        return "unlimited"
    return "-" if math.isnan(number) else f"{number:,.0f}"


def _share(number: float) -> str:
    return "-" if math.isnan(number) else f"{100 * number:.1f}"
