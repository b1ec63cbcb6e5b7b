"""The report of a contingency as one HTML page: what the network survives, and what it does not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from twin.core.units import counted, format_duration
from twin.report.contingency.source import NONE, ContingencyData, links_down
from twin.report.html.markup import (
    Html,
    breakable,
    head,
    paragraph,
    percent,
    section,
    some,
    swatch,
    tag,
    text,
)
from twin.report.html.page import page
from twin.report.html.parts import (
    code_block,
    facts_table,
    folded,
    long_table,
    page_header,
    policy_head,
    short_digest,
    shortened,
    verdict_box,
)
from twin.report.map.drawing import DrawnLink
from twin.report.map.figure import CAPACITY, against, choice, map_figure
from twin.report.map.levels import levels_of

_MOST_POLICIES = 6
_MOST_CHOICES = 300
_MOST_ROWS = 200
_MOST_TEXT = 100_000
_DASH = "\N{EN DASH}"


def render(data: ContingencyData) -> str:
    """Return the page; the same tables give the same bytes."""
    name = str(data.facts["name"])
    body = [
        page_header(f"{name}: every failure", _summary(data)),
        verdict_box(verdict(data), _more(data)),
        _map(data),
        section("failures", "The worst failures", *_failures(data)),
        section("links", "Every link at its worst", *_links(data)),
        *_unrouted(data),
        section("run", "What was run", *_facts(data)),
    ]
    return page(name, body, mapped=True)


def _summary(data: ContingencyData) -> str:
    sites = counted(len(data.topology.sites), "site")
    links = counted(len(data.topology.links), "link")
    at = "at every tick"
    if (intervals := data.facts.get("intervals")) is not None:
        at = f"at each of {intervals:,} ticks of {format_duration(data.tick_s)}"
    return (
        f"{counted(len(data.names), 'failure')} {at}, unannounced, on {sites} and {links}, "
        f"against what {counted(len(data.policies), 'policy')} had allocated"
    )


def verdict(data: ContingencyData) -> list[str]:
    """Return the verdict; its first sentence says what each policy survives."""
    total = len(data.names)
    if not any(data.survived.values()):
        whom = "every policy" if len(data.policies) > 1 else data.policies[0]
        first = f"Under each of the {counted(total, 'failure')} some link falls short with {whom}."
    else:
        name, *others = data.ordered
        parts = [f"{data.survived[name]:,} of {counted(total, 'failure')} with {name}"]
        parts += [f"{data.survived[other]:,} with {other}" for other in others]
        first = f"No link ever falls short under {_listed(parts)}."
    shares = [f"{percent(share)} with {name}" for name, share in data.shares.items()]
    return [first, *([f"Tick by tick, that is so in {_listed(shares)}."] if shares else [])]


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _more(data: ContingencyData) -> list[str]:
    first = data.ordered[0]
    sentences = []
    worst = data.struck(first).iloc[0] if data.names else None
    if worst is not None and worst["violation_minutes"] > 0:
        sentences.append(
            f"With {first} the worst is {_named(worst['failure'])}: "
            f"{percent(worst['worst_utilization'])} of the allocation on {worst['worst_link']} at "
            f"{data.instant(worst['worst_start_s'])}, "
            f"{counted(int(worst['links_violated']), 'link')} short at some tick."
        )
    intact = data.intact(first)
    if intact["violation_minutes"] > 0:
        sentences.append(
            f"Without any failure {counted(int(intact['links_violated']), 'link')} "
            f"{'falls' if intact['links_violated'] == 1 else 'fall'} short under it already, for "
            f"{intact['violation_minutes']:,.0f} minutes in all."
        )
    cut = data.struck(first)
    cut = cut[cut["unrouted_mbit"] > 0].sort_values("unrouted_mbit", ascending=False)
    if len(cut):
        sentences.append(
            f"{counted(len(cut), 'failure')} leave demand without a path, which no allocation "
            f"helps: most of all {some([str(name) for name in cut['failure']], 3)}."
        )
    if data.facts.get("intervals_skipped"):
        skipped = counted(data.facts["intervals_skipped"], "interval")
        sentences.append(f"{skipped} with a missing demand left out.")
    return [*sentences, *(f"{w[0].upper()}{w[1:]}." for w in data.facts["warnings"])]


def _named(failure: Any) -> str:
    return f"the failure of {failure}"


def _map(data: ContingencyData) -> Html:
    policies = data.ordered[:_MOST_POLICIES]
    shown = [str(name) for name in data.struck(policies[0])["failure"][:_MOST_CHOICES]]
    cases = [data.cases(name) for name in policies]
    links = [
        _link(data, [rows[i] for rows in cases], shown) for i in range(len(data.topology.links))
    ]
    label = f"Map of the worst utilization of {len(links)} links over all failures and ticks"
    controls = [against(policies), choice("Failure", "failure", _choices(data, policies, shown))]
    readout = f"Load over the allocation of {policies[0]}: of each link the worst of all failures."
    figure = map_figure(data.topology, label, links, controls, readout)
    lead = (
        "Each link at the worst that any failure at any tick does to it. Choose a failure: what it "
        "takes down is crossed out, and the links whose worst it is stay bright."
    )
    parts = [paragraph(lead)]
    if len(shown) < len(data.names):
        parts.append(paragraph(f"The worst {len(shown)} of {len(data.names):,} can be chosen."))
    return section("map", "The network at its worst", *parts, figure)


def _link(data: ContingencyData, cases: list[dict[str, Any]], shown: list[str]) -> DrawnLink:
    """Return what the map shows of a link, from its worst case under each policy."""
    place = {name: i for i, name in enumerate(shown)}
    used = float(cases[0]["capacity_utilization"])
    over = (
        "its capacity unlimited or unused"
        if used == 0
        else f"{percent(used)} of its capacity at worst"
    )
    facts: dict[str, object] = {
        f"data_w{CAPACITY}": f"{used:.4g}",
        f"data_s{CAPACITY}": over,
        f"data_f{CAPACITY}": -1,
    }
    for i, case in enumerate(cases):
        ratio = float(case["worst_utilization"])
        facts[f"data_w{i}"] = "Infinity" if math.isinf(ratio) else f"{ratio:.4g}"
        facts[f"data_s{i}"] = f"{_case(data, case)}; {over}"
        facts[f"data_f{i}"] = place.get(str(case["worst_failure"]), -1)
    level = levels_of(np.array([float(cases[0]["worst_utilization"])]))[0]
    return DrawnLink(f"u{level}", str(facts["data_s0"]), facts)


def _case(data: ContingencyData, case: dict[str, Any]) -> str:
    cause = str(case["worst_failure"])
    during = "without any failure" if cause == NONE else f"while {cause} is down"
    return (
        f"{percent(float(case['worst_utilization']))} of its allocation at worst, {during}, at "
        f"{data.instant(float(case['worst_start_s']))}"
    )


def _choices(data: ContingencyData, policies: list[str], shown: list[str]) -> list[Html]:
    rows = [
        {str(row["failure"]): row for row in data.struck(name).to_dict("records")}
        for name in policies
    ]
    options = [tag("option", text("all of them"), value="")]
    for i, name in enumerate(shown):
        said = {f"data_s{n}": _said(data, each[name]) for n, each in enumerate(rows)}
        said[f"data_s{CAPACITY}"] = said["data_s0"]
        down = " ".join(map(str, links_down(data.topology, name)))
        options.append(tag("option", text(name), value=i, data_down=down, **said))
    return options


def _said(data: ContingencyData, row: dict[Any, Any]) -> str:
    short = int(row["links_violated"])
    fell = f"{counted(short, 'link')} short at some tick" if short else "no link short"
    return (
        f"{row['failure']} down: {fell}; worst {row['worst_link']} at "
        f"{percent(row['worst_utilization'])} of its allocation, at "
        f"{data.instant(row['worst_start_s'])}"
    )


def _failures(data: ContingencyData) -> list[Html]:
    """Return a table of the worst failures under each policy, the first of them unfolded."""
    headers = [
        head("Failure"), head("Worst link", class_="l"), head("Load over allocation"), head("at"),
        head("Links short"), head("Violated", "min, sum over links"), head("Unserved", "Gbit"),
        head("Unrouted", "Gbit"),
    ]  # fmt: skip
    parts = []
    for name in data.ordered[:_MOST_POLICIES]:
        struck = data.struck(name)
        short = struck[struck["violation_minutes"] > 0]
        listed = short[:_MOST_ROWS].to_dict("records")
        rows = [_row(data, data.intact(name)), *(_row(data, row) for row in listed)]
        caption = f"{name}: failures under which a link falls short, the worst first"
        if len(short) > _MOST_ROWS:
            caption += f" ({_MOST_ROWS} of {len(short):,}, all in failures.csv)"
        title = tag("h3", policy_label(data, name))
        count = f"No link falls short under {data.survived[name]:,} of {len(data.names):,}."
        shown = long_table(headers, rows, caption=caption, class_="answers")
        parts.append(tag("div", title, paragraph(count), shown))
    first, *rest = parts
    return [first, *([folded(f"{len(rest)} more policies", *rest)] if rest else [])]


def policy_label(data: ContingencyData, name: str) -> Html:
    """Return a policy's name with its colour."""
    return Html(swatch(data.looks[name]) + text(f" {name}"))


def _row(data: ContingencyData, row: dict[Any, Any]) -> list[Html]:
    name = "none: the network as it is" if row["failure"] == NONE else str(row["failure"])
    short = row["violation_minutes"] > 0
    cells = [
        tag("th", breakable(_parts(name)), scope="row"),
        tag("td", breakable(str(row["worst_link"])), class_="l"),
        tag("td", text(percent(row["worst_utilization"])), class_="missed" if short else None),
        tag("td", text(data.instant(row["worst_start_s"]))),
    ]
    numbers = [
        f"{row['links_violated']:,.0f}", f"{row['violation_minutes']:,.0f}",
        f"{row['unserved_mbit'] / 1e3:,.1f}", f"{row['unrouted_mbit'] / 1e3:,.1f}",
    ]  # fmt: skip
    return [*cells, *(tag("td", text(number)) for number in numbers)]


def _parts(failure: Any) -> str:
    """Return the name of a failure so that its line may be broken between links."""
    return str(failure).replace("+", " + ")


def _links(data: ContingencyData) -> list[Html]:
    policies = data.ordered[:_MOST_POLICIES]
    cases = [data.cases(name) for name in policies]
    headers = [head("Link"), head("Load over capacity", "at worst")]
    headers += [policy_head(data.looks[name], name, "load over allocation, failure, at", "col")
                for name in policies]  # fmt: skip
    worst = [float(case["worst_utilization"]) for case in cases[0]]
    rows = []
    for i in sorted(range(len(worst)), key=lambda i: -worst[i]):
        used = float(cases[0][i]["capacity_utilization"])
        row = [
            tag("th", breakable(data.topology.link_names[i]), scope="row"),
            tag("td", text(percent(used) if used else _DASH)),
        ]
        for each in cases:
            ratio = float(each[i]["worst_utilization"])
            at = data.instant(float(each[i]["worst_start_s"]))
            face = f"{percent(ratio)}, {_parts(each[i]['worst_failure'])}, {at}"
            row.append(tag("td", breakable(face), class_="l short" if ratio > 1 else "l"))
        rows.append(row)
    caption = f"Links by their worst load over the allocation of {policies[0]}"
    note = f"The failure {NONE} is the network as it is."
    return [paragraph(note), long_table(headers, rows, caption=caption, class_="answers")]


def _unrouted(data: ContingencyData) -> list[Html]:
    """Return what failures leave without a path, which is the same under every policy."""
    struck = data.struck(data.policies[0]).sort_values("unrouted_mbit", ascending=False)
    cut = struck[struck["unrouted_mbit"] > 0]
    if not len(cut):
        return []
    rows = [
        [
            tag("th", breakable(_parts(row["failure"])), scope="row"),
            tag("td", text(f"{row['unrouted_mbit'] / 1e3:,.1f}")),
        ]
        for row in cut[:_MOST_ROWS].to_dict("records")
    ]
    headers = [head("Failure"), head("Unrouted", "Gbit, were it down throughout")]
    note = "Demand that no path is left for. It loads no link, and no allocation helps it."
    shown = long_table(headers, rows, caption="Failures that cut demand off, the most first")
    return [section("unrouted", "What is cut off", paragraph(note), shown)]


def _facts(data: ContingencyData) -> list[Html]:
    facts = data.facts
    policies = {
        name: ", ".join(short_digest(source["sha256"]) for source in sources)
        for name, sources in facts["policies"].items()
    }
    rows = [
        ("Scenario", f"{facts['name']}, seed {facts['seed']}"),
        ("Scenario's digest", short_digest(facts["scenario"]["sha256"])),
        ("Demand", str(facts["trace"]["origin"])),
        ("Trace's digest", short_digest(facts["trace"]["sha256"])),
        ("Topology", data.topology.origin),
        ("Repairs", "; ".join(facts["trace"]["repairs"]) or "none"),
        *((f"Policy {name}", digests) for name, digests in policies.items()),
        ("Versions", ", ".join(f"{k} {v}" for k, v in facts["versions"].items() if v)),
    ]
    note = (
        "Policies ran once, on the network as it is. At each tick each failure strikes "
        "unannounced: traffic takes the paths that are left, and loads are held against the "
        "allocations and capacities of that tick. Unserved is what takes a path and is not served."
    )
    code = code_block(shortened(data.scenario_text, _MOST_TEXT, "\n"))
    return [paragraph(note), facts_table(rows), folded("The scenario, with every default", code)]
