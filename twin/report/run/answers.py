"""The sections that answer: which links fall short, why and what would do; what failures did."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from twin.core.units import counted, format_duration
from twin.report.html.markup import (
    Html,
    amount,
    breakable,
    head,
    paragraph,
    section,
    some,
    tag,
    text,
)
from twin.report.html.parts import folded, long_table
from twin.report.run.event_spans import EventSpan
from twin.report.run.findings import Findings
from twin.report.run.network import when
from twin.report.run.shortfall import Cause
from twin.report.run.source import RunData

_MOST_FAILURES = 3
_MOST_POLICIES = 6
_CROSS = "\N{MULTIPLICATION X}"


def short_in_words(found: Findings) -> list[str]:
    """Return the sentence on the links that fall short under the recommended policy."""
    short = found.short(found.lead)
    if not short or len(found.run.links) == 1:
        return []
    names = some([found.run.links[i] for i in short])
    return [f"Under {found.lead} {counted(len(short), 'link')} of {len(found.run.links):,} "
            f"{'falls' if len(short) == 1 else 'fall'} short at some time: {names}."]  # fmt: skip


def short_section(found: Findings) -> Html:
    """Return the section that names every link that falls short, and what to allocate."""
    run, lead = found.run, found.lead
    short = found.short(lead)
    target = f"{100 * run.target:.3g} %"
    headers = [
        head("Link"), head("Violated", "min"), head("Used of the budget", "intervals"),
        head("Peak shortfall", "Mbit/s"), head("at"), head("Meanwhile", class_="l"),
        head("To allocate", "Mbit/s, constant"), head(f"{lead} allocated", "Mbit/s, mean"),
    ]  # fmt: skip
    rows = [_short_row(found, i) for i in short]
    parts = [paragraph(_others(found))]
    if short:
        caption = f"Links that fall short under {lead}, the most violated first"
        parts.append(long_table(headers, rows, caption=caption, class_="answers"))
    rest = [i for i in range(len(run.links)) if i not in set(short)]
    if rest:
        caption = f"Links that never fall short under {lead}"
        quiet = long_table([headers[0], *headers[-2:]], [_quiet_row(found, i) for i in rest],
                           caption=caption)  # fmt: skip
        parts.append(folded(f"{caption}: {len(rest):,}", quiet))
    note = (
        "The peak shortfall is the largest mean of an interval. \N{LEFT DOUBLE QUOTATION MARK}To "
        "allocate\N{RIGHT DOUBLE QUOTATION MARK} is the least constant allocation with which the "
        f"link would have kept the SLA ({target}) in this replay: of its demands, from the "
        "highest down, as many may exceed it as the SLA allows. It is known only afterwards, and "
        "made of the means of intervals: inside one that an event cuts, demand can be above its "
        "mean. A dash: none would do, as demand is above the capacity too often."
    )
    return section("short", "What falls short", *parts, paragraph(note, class_="note"))


def _others(found: Findings) -> str:
    """Say how many links fall short under each policy, and which where they are few."""
    run, parts = found.run, []
    for name in found.order[:_MOST_POLICIES]:
        short = [run.links[i] for i in found.short(name)]
        if not short:
            parts.append(f"none under {name}")
        elif len(short) == len(run.links) > 1:
            parts.append(f"all {len(short):,} under {name}")
        else:
            parts.append(f"{len(short):,} of {len(run.links):,} under {name} ({some(short)})")
    return f"Links that fall short at some time: {'; '.join(parts)}."


def _short_row(found: Findings, i: int) -> list[Html]:
    run, own = found.run, found.aggregates.shortfall.policies[found.lead]
    link = run.links[i]
    row = run.cells[found.lead, link]
    used, allowed = int(row["sla_used_intervals"]), int(row["sla_allowed_intervals"])
    over = used > allowed
    cells = [
        tag("th", breakable(link), scope="row"),
        tag("td", text(amount(row['sla_violation_minutes'], 3))),
        tag("td", text(f"{_CROSS * over} {used:,} of {allowed:,}".strip()),
            class_="missed" if over else None),
        tag("td", text(amount(own.peak[i]))),
        tag("td", text(when(run, int(own.peak_at[i])))),
        tag("td", text(meanwhile(found, i)), class_="l"),
    ]  # fmt: skip
    return [*cells, *_amounts(found, i)]


def _quiet_row(found: Findings, i: int) -> list[Html]:
    return [tag("th", breakable(found.run.links[i]), scope="row"), *_amounts(found, i)]


def _amounts(found: Findings, i: int) -> list[Html]:
    needed = float(found.aggregates.shortfall.needed[i])
    mean = float(found.run.cells[found.lead, found.run.links[i]]["allocated_mean_mbps"])
    face = "\N{EN DASH}" if math.isinf(needed) else amount(needed)
    return [tag("td", text(face)), tag("td", text(amount(mean)))]


def meanwhile(found: Findings, i: int) -> str:
    """Return what happened while a link was violated: its own events, and failures elsewhere.

    A failure elsewhere is said with what the link's demand did, and nothing beyond.
    """
    run, shortfall = found.run, found.aggregates.shortfall
    causes = [
        cause
        for cause in shortfall.policies[found.lead].causes.get(i, ())
        if cause.own or run.rerouted
    ]
    total = float(found.minutes(found.lead)[i])
    if not causes:
        return "outside of events"
    said = [_said(found, i, cause) for cause in causes[:2]]
    rest = total - sum(cause.minutes for cause in causes)
    if rest > 0.05 and len(causes) <= 2:
        said.append(f"{amount(rest, 3)} min outside of events")
    return "; ".join(said)


def _said(found: Findings, i: int, cause: Cause) -> str:
    span, shortfall = found.spans[cause.span], found.aggregates.shortfall
    minutes = f"{amount(cause.minutes, 3)} min"
    if cause.own:
        return f"{minutes} in {span.label}"
    before, during = shortfall.before[i, cause.span], shortfall.during[i, cause.span]
    went = "" if math.isnan(before + during) else (
        f" (its demand: {amount(before)} Mbit/s before, {amount(during)} then)"
    )  # fmt: skip
    return f"{minutes} while {span.failed} was down{went}"


def failures_sections(found: Findings) -> list[Html]:
    """Return the section on what failures did to other links, where traffic is rerouted."""
    failures = found.failures
    if not failures:
        return []
    parts = [_failure(found, i) for i in failures[:_MOST_FAILURES]]
    if len(failures) > _MOST_FAILURES:
        rest = [_failure(found, i) for i in failures[_MOST_FAILURES:40]]
        title = f"{len(failures) - _MOST_FAILURES:,} more failures"
        if len(rest) < len(failures) - _MOST_FAILURES:
            title += f", the first {len(rest)} of them here"
        parts.append(folded(title, *rest))
    note = paragraph(
        "Demand is the mean over the intervals that a failure touches, and over as many before it: "
        "what rose may have risen by itself, as with the hour of the day.",
        class_="note",
    )
    return [section("failures", "What failures did", *parts, note)]


def failure_in_words(found: Findings, i: int, most_named: int = 4) -> str:
    """Return the sentence on a failure: where demand rose most, and what fell short."""
    run, span = found.run, found.spans[i]
    rise = found.risen([i])[:, 0]
    down = f"While {span.failed} was down ({_times(run, span)})"
    if not rise.any():
        return f"{down}, demand rose on no other link."
    most = int(rise.argmax())
    before = float(found.aggregates.shortfall.before[most, i])
    share = f" ({100 * rise[most] / before:+,.0f} %)" if before > 0 else ""
    short = _short_meanwhile(found, i, found.lead)
    fell = "no link fell short"
    if short:
        fell = f"{some([run.links[n] for n in short], most_named)} fell short"
    return (
        f"{down}, demand rose most on {run.links[most]}, by {amount(rise[most])} Mbit/s{share}; "
        f"under {found.lead} {fell}."
    )


def _times(run: RunData, span: EventSpan) -> str:
    return f"from {run.instant(span.start)}, for {format_duration(span.end - span.start)}"


def _short_meanwhile(found: Findings, i: int, policy: str) -> list[int]:
    causes = found.aggregates.shortfall.policies[policy].causes
    down = set(found.spans[i].links)
    minutes = {
        link: cause.minutes
        for link, each in causes.items()
        for cause in each
        if cause.span == i and found.run.links[link] not in down
    }
    return sorted(minutes, key=lambda link: -minutes[link])


def _failure(found: Findings, i: int) -> Html:
    """Return the links whose demand rose in a failure, the neighbours first."""
    run, span, shortfall = found.run, found.spans[i], found.aggregates.shortfall
    rise = found.risen([i])[:, 0]
    order = [int(n) for n in np.argsort(-rise, kind="stable") if rise[n] > 0]
    policies = found.order[:_MOST_POLICIES]
    headers = [head("Link"), head("Demand before", "Mbit/s"), head("while down", "Mbit/s"),
               head("Change", "%"), head("of its capacity", "while down"),
               *(head(name, "violated min, while down") for name in policies)]  # fmt: skip
    capacity = _capacities(found)
    rows = []
    for n in order:
        before, during = shortfall.before[n, i], shortfall.during[n, i]
        used = during / capacity[n] if np.isfinite(capacity[n]) and capacity[n] > 0 else math.nan
        cells = [
            amount(before),
            amount(during),
            f"{100 * (during / before - 1):+,.0f}" if before > 0 else "\N{EN DASH}",
            "\N{EN DASH}" if math.isnan(used) else f"{100 * used:,.0f} %",
        ]
        row = [tag("th", breakable(run.links[n]), scope="row")]
        row += [tag("td", text(cell)) for cell in cells]
        rows.append([*row, *(_minutes(found, name, n, i) for name in policies)])
    title = tag("h3", text(f"{span.label}: {span.failed} down"))
    lead = paragraph(failure_in_words(found, i))
    caption = "Links whose demand rose, the most first"
    return tag("div", title, lead, *([long_table(headers, rows, caption=caption)] * bool(rows)))


def _capacities(found: Findings) -> Sequence[float]:
    samples = found.aggregates.samples
    if samples is None:
        return [math.inf] * len(found.run.links)
    return [float(value) for value in samples.capacity.max(axis=1)]


def _minutes(found: Findings, policy: str, link: int, span: int) -> Html:
    causes = found.aggregates.shortfall.policies[policy].causes.get(link, ())
    minutes = sum(cause.minutes for cause in causes if cause.span == span)
    face = amount(minutes, 3) if minutes else "\N{EN DASH}"
    return tag("td", text(face), class_="missed" if minutes else None)
