"""The events: when they were, on which links, and what each policy violated in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twin.core.units import format_duration
from twin.report.html.markup import (
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
from twin.report.html.parts import folded
from twin.report.run.aggregate import Aggregates
from twin.report.run.event_spans import EventSpan
from twin.report.run.failures import FailedPolicy, failures
from twin.report.run.source import RunData

_MOST_ROWS = 40
_MOST_POLICIES = 6


def events_section(
    run: RunData, aggregates: Aggregates, spans: Sequence[EventSpan], first: str | None
) -> Html:
    """Return the section with a timeline and a table."""
    shown = list(spans[:_MOST_ROWS])
    parts = [_timeline(run, shown), _table(run, aggregates, shown, first)]
    if not spans:
        parts = [paragraph("None: the demand was replayed as it is.")]
    if len(shown) < len(spans):
        parts.append(paragraph(f"The first {len(shown)} of {len(spans):,} events."))
    return section("events", "Events", *parts, *_failures(run, failures(run)))


def _failures(run: RunData, failed: Sequence[FailedPolicy]) -> list[Html]:
    """Return which policies failed and why, and every failure, where any did."""
    if not failed:
        return []
    rows = [
        _words(
            one.policy, f"{one.decided:,} of {run.intervals:,}", f"{len(one.log):,}",
            run.instant(one.first_s), some(one.links) or "all", one.reason,
        )
        for one in failed
    ]  # fmt: skip
    headers = [head("Policy"), head("Decided by the fallback", "intervals"), head("Failures"),
               head("First at"), head("Links"), head("What it failed at first")]  # fmt: skip
    caption = f"Policies that failed, and that {run.fallback} stood in for"
    shown = table(headers, rows, caption=caption, class_="words")
    return [tag("h3", text("Policies that failed")), shown, _log(run, failed)]


def _log(run: RunData, failed: Sequence[FailedPolicy]) -> Html:
    entries = [(time, one.policy, reason) for one in failed for time, reason in one.log]
    rows = [
        _words(policy, run.instant(time), reason)
        for time, policy, reason in sorted(entries)[:_MOST_ROWS]
    ]
    title = f"Every failure: {len(entries):,}"
    if len(rows) < len(entries):
        title += f", the first {len(rows)} of them here, all in events.csv"
    headers = [head("Policy"), head("At"), head("What it failed at")]
    shown = table(headers, rows, caption=title, class_="words")
    return folded(title, shown)


def _words(name: str, *cells: str) -> list[Html]:
    """Return a row of texts under a name."""
    inside = (tag("td", breakable(cell), class_="l") for cell in cells)
    return [tag("th", breakable(name), scope="row"), *inside]


def _timeline(run: RunData, spans: Sequence[EventSpan]) -> Html:
    length = run.intervals * run.tick_s
    rows = []
    for span in spans:
        left, wide = 100 * span.start / length, 100 * (span.end - span.start) / length
        bar = tag("i", style=f"left:{left:.3f}%;width:{max(wide, 0.4):.3f}%")
        rows.append(tag("li", tag("span", text(span.label)), tag("div", bar)))
    begin = "start of the replay" if run.starts is None else run.instant(0)
    ends = tag("small", text(begin), tag("b", text(run.instant(length))))
    return tag("ul", *rows, tag("li", tag("span"), ends), class_="timeline", aria_hidden="true")


def _table(
    run: RunData, aggregates: Aggregates, spans: Sequence[EventSpan], first: str | None
) -> Html:
    policies = sorted(run.ranked, key=lambda name: name != first)[:_MOST_POLICIES]
    headers = [head("Event"), head("Kind"), head("Links"), head("Starts"), head("Lasts"),
               head("Details"), *(head(name, "violated min") for name in policies)]  # fmt: skip
    rows = []
    for i, span in enumerate(spans):
        minutes = [aggregates.totals[name].in_events[i] for name in policies]
        cells = [
            span.kind, _links(run, span), run.instant(span.start),
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


def _links(run: RunData, span: EventSpan) -> str:
    if len(span.links) == len(run.links) > 1:
        return f"all {len(span.links):,}"
    return some(span.links)


def _details(details: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in details.items()) or "\N{EN DASH}"
