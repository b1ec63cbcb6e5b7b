"""The section on time: demand, every policy's allocation and what stayed unserved, to zoom into.

Paths are written once; the page's script zooms by changing the view box. Without the script, one
link is seen over the whole replay.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

from twin.core.arrays import Ints
from twin.core.units import format_duration
from twin.report.dates import axis_label, clock_changes, date_ticks
from twin.report.html.markup import Html, paragraph, section, some, stroke, swatch, tag, text
from twin.report.metrics import metric
from twin.report.run.aggregate import MOST_POLICIES, Aggregates, LinkSeries, PolicySeries
from twin.report.run.event_spans import EventSpan
from twin.report.run.findings import Findings
from twin.report.run.paths import HEIGHT, LANE, bars, line
from twin.report.run.source import RunData

_SHOWN_AT_FIRST = 6
_MOST_EVENTS = 12
_MOST_BANDS = 1_600
"""Times of events in all pictures together."""
_MOST_TICKS = 6
_ZOOMS = (
    ("in", "+", "Zoom in"),
    ("out", "\N{MINUS SIGN}", "Zoom out"),
    ("left", "\N{LEFTWARDS ARROW}", "Earlier"),
    ("right", "\N{RIGHTWARDS ARROW}", "Later"),
    ("all", "Whole replay", "Show the whole replay"),
)
_STEPS_S = (300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2419200)


def series_section(found: Findings) -> Html:
    """Return the section: one figure for each link that is drawn, the one in focus to be seen."""
    run, aggregates, spans = found.run, found.aggregates, found.spans
    policies, links = _order(run, found.first), _links(found)
    figures = [
        _figure(run, aggregates, spans, link, policies, hidden=i > 0)
        for i, link in enumerate(links)
    ]
    parts = [_lead(run, aggregates, len(policies)), _controls(links, run, spans)]
    return section("series", "Over time", *parts, *figures)


def _links(found: Findings) -> list[str]:
    """Return the links that are drawn: in focus first, then those that fall short, then others."""
    names = [found.focus, *(found.run.links[i] for i in found.short(found.lead)), *found.run.links]
    return [name for name in dict.fromkeys(names) if name in found.aggregates.drawn]


def _order(run: RunData, first: str | None) -> list[int]:
    """Return the policies that are drawn, by position; the recommended one among them."""
    names = run.policies
    order = sorted(range(len(names)), key=lambda i: (names[i] != first, names[i] in run.bounds))
    return sorted(order[:MOST_POLICIES])


def _lead(run: RunData, aggregates: Aggregates, policies: int) -> Html:
    drawn, links = len(aggregates.drawn), len(run.links)
    sentences = ["The black line is the demand; bars under the picture are what stayed unserved."]
    if drawn < links:
        sentences.append(
            f"{drawn} of {links:,} links: those of events first, then the most violated."
        )
    if policies < len(run.policies):
        sentences.append(f"{policies} of {len(run.policies)} policies.")
    widest = int(np.diff(aggregates.at).max())
    if widest > 1:
        sentences.append(
            f"Away from events a line runs through the lowest and the highest value of every "
            f"{format_duration(widest * run.tick_s)}."
        )
    return paragraph(*sentences)


def _controls(links: Sequence[str], run: RunData, spans: Sequence[EventSpan]) -> Html:
    """Return the controls that need the script; they are hidden until it runs."""
    options = [tag("option", text(link), value=i) for i, link in enumerate(links)]
    choose = tag("label", text("Link "), tag("select", *options, id="link"))
    buttons = [
        tag("button", text(face), type="button", data_zoom=key, aria_label=name)
        for key, face, name in _ZOOMS
    ]
    for span in [span for span in spans if set(span.links) & set(links)][:_MOST_EVENTS]:
        near = max(span.end - span.start, 3600) / 2
        low, high = (span.start - near) / run.tick_s, (span.end + near) / run.tick_s
        link = next(i for i, name in enumerate(links) if name in span.links)
        on = " ".join(str(i) for i, name in enumerate(links) if name in span.links)
        extent = f"{2 * max(low, 0):.0f} {2 * min(high, run.intervals):.0f}"
        face = text(f"Event: {span.label}")
        buttons.append(
            tag("button", face, type="button", data_extent=extent, data_links=on, data_link=link)
        )
    hint = tag("small", text("Drag across the picture to zoom, double-click for all of it."))
    return tag("div", choose, *buttons, hint, class_="controls", hidden=True)


def _figure(
    run: RunData,
    aggregates: Aggregates,
    spans: Sequence[EventSpan],
    link: str,
    policies: Sequence[int],
    *,
    hidden: bool,
) -> Html:
    names, drawn, at = run.policies, aggregates.drawn[link], aggregates.at
    rows = {i: aggregates.totals[names[i]].rows[link] for i in policies}
    top, wide = _top(drawn, rows.values()), 2 * run.intervals
    bands = _bands(run, spans, link, wide, len(aggregates.drawn))
    paths = [
        _path(
            line(row.allocated, at, top),
            f"p{i}",
            hide=n >= _SHOWN_AT_FIRST,
            **stroke(run.looks[names[i]]),
        )
        for n, (i, row) in enumerate(rows.items())
    ]
    paths.append(_path(line(drawn.demand, at, top), "demand"))
    if drawn.capacity is not None:
        paths.insert(0, _path(line(drawn.capacity, at, top), "capacity"))
    label = f"Demand and allocation on {link}, Mbit/s over time"
    plot = tag(
        "svg", bands, *paths, class_="plot", preserveAspectRatio="none",
        viewBox=f"0 0 {wide} {HEIGHT}", role="img", aria_label=label,
    )  # fmt: skip
    most = max((float(np.nanmax(row.unmet, initial=0.0)) for row in rows.values()), default=0.0)
    lanes = [
        _lane(run, link, i, row, at, most, bands, shown=n < _SHOWN_AT_FIRST)
        for n, (i, row) in enumerate(rows.items())
    ]
    scale = f"Bars: unserved demand, up to {most:,.1f} Mbit/s" if most else "Nothing was unserved"
    under = tag("p", text(f"{scale}. Grey: events. Dotted: capacity."), class_="note")
    chart = tag("div", plot, _ticks_y(top), _ticks_x(run), class_="chart")
    unit = text(f" \N{EN DASH} Mbit/s, by {_clock(run)}")
    title = tag("figcaption", tag("strong", text(link)), unit)
    return tag(
        "figure", title, chart, *lanes, under, class_="series", hidden=hidden,
        data_wide=wide, data_tick=run.tick_s, data_top=f"{top:.6g}", data_clock=_changes(run),
    )  # fmt: skip


def _top(drawn: LinkSeries, rows: Iterable[PolicySeries]) -> float:
    shown = [float(np.nanmax(row.allocated.high, initial=0.0)) for row in rows]
    demand = float(np.nanmax(drawn.demand.high, initial=0.0))
    high = max([demand, *(value for value in shown if np.isfinite(value))])
    # One policy that asks for far too much must not flatten the others.
    return 1.06 * (min(high, 3 * demand) if demand > 0 else high) or 1.0


def _bands(run: RunData, spans: Sequence[EventSpan], link: str, wide: int, drawn: int) -> Html:
    """Return the times of the link's events, the longest where there are very many."""
    most = max(_MOST_BANDS // drawn, 8)
    own = sorted((s for s in spans if link in s.links), key=lambda s: s.start - s.end)[:most]
    parts = []
    for span in own:
        start, end = (min(2 * time / run.tick_s, wide) for time in (span.start, span.end))
        parts.append(f"M{start:.10g} 0H{end:.10g}V{HEIGHT}H{start:.10g}z")
    if not parts:
        return Html("")
    title = tag("title", text(some([span.label for span in own])))
    return tag("path", title, d="".join(parts), class_="band")


def _path(d: str, class_: str, *, hide: bool = False, **attributes: object) -> Html:
    style = "display:none" if hide else None
    fixed = {"vector_effect": "non-scaling-stroke", "style": style}
    return tag("path", d=d, class_=class_, **fixed, **attributes)


def _lane(
    run: RunData, link: str, policy: int, row: PolicySeries, at: Ints, most: float, bands: Html, *,
    shown: bool,
) -> Html:  # fmt: skip
    name = run.policies[policy]
    summary = run.cells[name, link]
    rate = metric("sla_violation_rate").text(summary["sla_violation_rate"])
    waste = metric("over_provisioning_pct").text(summary["over_provisioning_pct"])
    box = tag("input", type="checkbox", checked=shown, data_policy=policy, hidden=True)
    bound = " (bound)" if name in run.bounds else ""
    numbers = tag("small", text(f" {rate} % violated, {waste} % over"))
    label = tag("label", box, swatch(run.looks[name]), text(f" {name}{bound}"), numbers)
    strip = tag(
        "svg", bands, _path(bars(row.unmet, at, most or 1.0), "unmet"), class_="lane",
        viewBox=f"0 0 {2 * run.intervals} {LANE}", preserveAspectRatio="none", role="img",
        aria_label=f"When {name} left demand unserved on {link}",
    )  # fmt: skip
    return tag("div", label, strip, class_="strip")


def _ticks_y(top: float) -> Html:
    """Return the labels of the vertical axis, from round value to round value."""
    step = 10 ** np.floor(np.log10(top / 2))
    step *= next(factor for factor in (1, 2, 5, 10) if top / (step * factor) <= 5)
    marks = np.arange(step, top * 0.999, step)
    return tag(
        "div",
        *(tag("span", text(f"{v:,.6g}"), style=f"top:{100 * (1 - v / top):.3f}%") for v in marks),
        class_="ys", aria_hidden="true",
    )  # fmt: skip


def _ticks_x(run: RunData) -> Html:
    """Return the labels of the horizontal axis."""
    length = run.intervals * run.tick_s
    if run.starts is not None:
        steps = [step // 3600 for step in _STEPS_S if step >= 3600]
        dates = date_ticks(run.starts, run.timezone, 0, length / 3600, steps, _MOST_TICKS)
        # Of a midnight the day alone: there is one line.
        marks = [
            tag("span", text(label.rpartition("\n")[2]), style=f"left:{360000 * at / length:.3f}%")
            for at, label in dates if at * 3600 < length
        ]  # fmt: skip
        return tag("div", *marks, class_="xs", aria_hidden="true")
    fitting = (step for step in _STEPS_S if length / step <= _MOST_TICKS)
    step = next(fitting, -(-length // _MOST_TICKS // 86_400) * 86_400)
    marks = [
        tag("span", text(format_duration(at)), style=f"left:{100 * at / length:.3f}%")
        for at in range(0, length, step)
    ]
    return tag("div", *marks, class_="xs", aria_hidden="true")


def _clock(run: RunData) -> str:
    """Return what the horizontal axis counts."""
    if run.starts is None:
        return "time since the start of the replay"
    return axis_label(run.starts, run.timezone)


def _changes(run: RunData) -> str | None:
    """Return by how much clocks are ahead from when on, for labels that follow a zoom."""
    if run.starts is None:
        return None
    changes = clock_changes(run.starts, run.timezone, run.intervals * run.tick_s / 3600)
    return json.dumps(changes, separators=(",", ":"))
