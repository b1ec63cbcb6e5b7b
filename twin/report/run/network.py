"""The section with the map of a run: how much of its allocation each link used, and when."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from twin.core.arrays import Floats
from twin.core.units import format_duration
from twin.report.html.markup import (
    Html,
    amount,
    head,
    paragraph,
    percent,
    section,
    table,
    tag,
    text,
)
from twin.report.html.parts import folded, policy_head
from twin.report.map.drawing import DrawnLink
from twin.report.map.figure import CAPACITY, against, choice, map_figure
from twin.report.map.levels import levels_of
from twin.report.run.event_spans import EventSpan
from twin.report.run.sampled import SampledLinks, WorstCase
from twin.report.run.source import RunData

_MOST_POLICIES = 6


def network_section(
    run: RunData, samples: SampledLinks, spans: Sequence[EventSpan], order: Sequence[str]
) -> Html:
    """Return the section; `order` begins with the policy whose state is seen first."""
    topology = run.topology
    assert topology is not None
    policies = list(order[:_MOST_POLICIES])
    struck = struck_at(run, samples, spans)
    labels = [when(run, int(i)) for i in samples.instants]
    place = {name: i for i, name in enumerate(run.links)}
    links = [
        _link(run, samples, spans, policies, place[name], struck) if name in place
        else DrawnLink("unknown", "no demand is known")
        for name in topology.link_names
    ]  # fmt: skip
    at_first = 0 if struck is None else struck
    views = [
        tag("option", text("each link at its worst"), value="worst", selected=struck is None),
        tag("option", text("one time"), value="instant", selected=struck is not None),
    ]
    slider = tag("input", type="range", min=0, max=len(labels) - 1, value=at_first, step=1,
                 data_map="instant", aria_label="Time")  # fmt: skip
    reading = tag("output", text(labels[at_first]), data_map="label")
    controls = [against(policies), choice("Show", "view", views), slider, reading]
    now = "each link at its worst" if struck is None else f"at {labels[struck]}"
    label = f"Map of {len(topology.sites)} sites and {len(topology.links)} links, {now}"
    figure = map_figure(
        topology, label, links, controls, f"Load over the allocation of {policies[0]}, {now}.",
        labels, series=True,
    )  # fmt: skip
    lead = paragraph(
        "Utilization is demand over what was allocated, or over capacity. A time is an interval "
        f"of {format_duration(run.tick_s)}; {len(labels)} of {run.intervals:,} can be chosen, and "
        "the worst of each link is over all of them. A click on a link goes to it over time.",
    )
    shown = _table(run, samples, policies)
    every = folded(f"Every link at its worst: {len(run.links):,}", shown)
    return section("map", "The network", lead, figure, every)


def when(run: RunData, interval: int) -> str:
    """Return the start of an interval as text, with its date where that is known."""
    since = format_duration(interval * run.tick_s)
    if run.starts is None:
        return since
    return f"{run.instant(interval * run.tick_s)} ({since})"


def struck_at(run: RunData, samples: SampledLinks, spans: Sequence[EventSpan]) -> int | None:
    """Return the place of an instant in the first failure, None without one."""
    for span in spans:
        during = span.touches(run.intervals, run.tick_s)
        inside = np.flatnonzero(
            (samples.instants > during.start) & (samples.instants < during.stop)
        )
        if span.outage and len(inside):
            return int(inside[len(inside) // 2])
    return None


def _link(
    run: RunData,
    samples: SampledLinks,
    spans: Sequence[EventSpan],
    policies: Sequence[str],
    i: int,
    struck: int | None,
) -> DrawnLink:
    """Return what the map shows of the link at place `i`."""
    data: dict[str, object] = {
        "data_d": _row(samples.demand[i]),
        "data_c": _row(samples.capacity[i]),
    }
    down = _down(run, samples, spans, run.links[i])
    if down:
        data["data_x"] = " ".join(map(str, down))
    for number, name in enumerate(policies):
        data[f"data_a{number}"] = _row(samples.allocated[name][i])
        _add_worst(data, run, str(number), samples.worst[name], i, "allocated")
    _add_worst(data, run, CAPACITY, samples.worst_capacity, i, "capacity")
    if struck is None:
        ratio = samples.worst[policies[0]].ratio[i]
    else:
        limit = samples.allocated[policies[0]][i, struck]
        ratio = _over(samples.demand[i, struck], limit)
    class_ = "unknown" if math.isnan(ratio) else f"u{levels_of(np.array([ratio]))[0]}"
    class_ += " down" * (struck is not None and struck in down)
    return DrawnLink(class_, str(data["data_s0"]), data)


def _down(run: RunData, samples: SampledLinks, spans: Sequence[EventSpan], link: str) -> list[int]:
    """Return the places of the instants throughout which a link is down."""
    starts = samples.instants * run.tick_s
    down = np.zeros(len(starts), dtype=np.bool_)
    for span in spans:
        if span.outage and link in span.links:
            down |= (starts >= span.start) & (starts + run.tick_s <= span.end)
    return [int(i) for i in np.flatnonzero(down)]


def _add_worst(
    data: dict[str, object], run: RunData, number: str, worst: WorstCase, i: int, limit: str
) -> None:
    ratio = float(worst.ratio[i])
    data[f"data_w{number}"] = _number(ratio)
    data[f"data_s{number}"] = (
        "no demand is known" if math.isnan(ratio) else
        f"{percent(ratio)} at worst, at {when(run, int(worst.interval[i]))}: demand "
        f"{amount(float(worst.demand[i]))} Mbit/s, {limit} {_amount(float(worst.limit[i]))}"
    )  # fmt: skip


def _amount(mbps: float) -> str:
    return "unlimited" if math.isinf(mbps) else f"{amount(mbps)} Mbit/s"


def _over(demand: float, limit: float) -> float:
    if not demand > 0:
        return 0.0 if demand == 0 else math.nan
    return demand / limit if limit > 0 else math.inf


def _row(values: Floats) -> str:
    """Return numbers as the script reads them, once where all are the same."""
    first = values[:1]
    row = first if (values == first).all() else values
    return " ".join(_number(value) for value in row.tolist())


def _number(value: float) -> str:
    if math.isnan(value):
        return ""
    return "Infinity" if math.isinf(value) else f"{value:.4g}"


def _table(run: RunData, samples: SampledLinks, policies: Sequence[str]) -> Html:
    headers = [head("Link"), head("Load over capacity", "at worst"), head("at")]
    headers += [policy_head(run.looks[name], name, "load over allocation, at", "col")
                for name in policies]  # fmt: skip
    rows = []
    worst = samples.worst[policies[0]].ratio
    for i in np.argsort(-np.nan_to_num(worst, posinf=1e300), kind="stable"):
        used = samples.worst_capacity
        row = [tag("th", text(run.links[i]), scope="row"), tag("td", text(_said(used.ratio[i])))]
        row.append(tag("td", text(when(run, int(used.interval[i])))))
        for name in policies:
            case = samples.worst[name]
            face = f"{_said(case.ratio[i])}, {format_duration(int(case.interval[i]) * run.tick_s)}"
            row.append(tag("td", text(face), class_="missed" if case.ratio[i] > 1 else None))
        rows.append(row)
    return table(headers, rows, caption="Links, the most used first")


def _said(ratio: float) -> str:
    return "\N{EN DASH}" if math.isnan(ratio) else percent(ratio)
