"""The events: when they were, on which links, and what each policy violated in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twin.report.page.gather import Gathered
from twin.report.page.markup import (
    Html,
    breakable,
    head,
    paragraph,
    section,
    some,
    table,
    tag,
    text,
)
from twin.report.source import Report
from twin.report.spans import Span
from twin.units import format_duration

_MOST_ROWS = 40
_MOST_POLICIES = 6


def events(report: Report, gathered: Gathered, spans: Sequence[Span], first: str | None) -> Html:
    """Return the section with a timeline and a table."""
    shown = list(spans[:_MOST_ROWS])
    parts = [_timeline(report, shown), _table(report, gathered, shown, first)]
    if not spans:
        parts = [paragraph("None: the demand was replayed as it is.")]
    if len(shown) < len(spans):
        parts.append(paragraph(f"The first {len(shown)} of {len(spans):,} events."))
    return section("events", "Events", *parts, *_failures(report))


def _failures(report: Report) -> list[Html]:
    """Return what policies failed at, and what followed, where any did."""
    log = report.events
    failed = log[~log["phase"].isin(["start", "end"])]
    if not len(failed):
        return []
    rows = [
        [
            tag("th", text(row["name"]), scope="row"),
            *(
                tag("td", breakable(str(cell)), class_="l")
                for cell in (
                    format_duration(float(row["time_s"])), row["phase"], row.get("detail", "")
                )
            ),
        ]
        for row in failed.head(_MOST_ROWS).to_dict("records")
    ]  # fmt: skip
    headers = [head("Policy"), head("At"), head("What"), head("Detail")]
    said = f"{len(failed):,} entries of the log"
    if len(rows) < len(failed):
        said += f", the first {len(rows)} of them here"
    title = tag("h3", text("Policies that failed, and what stood in for them"))
    return [title, table(headers, rows, caption=said, class_="words")]


def _timeline(report: Report, spans: Sequence[Span]) -> Html:
    length = report.intervals * report.tick_s
    rows = []
    for span in spans:
        left, wide = 100 * span.start / length, 100 * (span.end - span.start) / length
        bar = tag("i", style=f"left:{left:.3f}%;width:{max(wide, 0.4):.3f}%")
        rows.append(tag("li", tag("span", text(span.label)), tag("div", bar)))
    ends = tag("small", text("start of the replay"), tag("b", text(format_duration(length))))
    return tag("ul", *rows, tag("li", tag("span"), ends), class_="timeline", aria_hidden="true")


def _table(report: Report, gathered: Gathered, spans: Sequence[Span], first: str | None) -> Html:
    policies = sorted(report.ranked, key=lambda name: name != first)[:_MOST_POLICIES]
    headers = [head("Event"), head("Kind"), head("Links"), head("Starts"), head("Lasts"),
               head("Details"), *(head(name, "violated min") for name in policies)]  # fmt: skip
    rows = []
    for i, span in enumerate(spans):
        minutes = [gathered.tallies[name].in_events[i] for name in policies]
        cells = [
            span.kind, _links(report, span), format_duration(span.start),
            format_duration(span.end - span.start), _details(span.details),
        ]  # fmt: skip
        rows.append(
            [
                tag("th", text(span.label), scope="row"),
                *(tag("td", breakable(cell), class_="l") for cell in cells),
                *(tag("td", text(f"{value:,.0f}")) for value in minutes),
            ]
        )
    caption = "Events, and the violated minutes on their links in the intervals they touch"
    return table(headers, rows, caption=caption, class_="words")


def _links(report: Report, span: Span) -> str:
    if len(span.links) == len(report.links) > 1:
        return f"all {len(span.links):,}"
    return some(span.links)


def _details(details: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in details.items()) or "\N{EN DASH}"
