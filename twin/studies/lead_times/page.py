"""The report of a comparison of lead times: one page that needs nothing else."""

from __future__ import annotations

import base64
from typing import Final

from twin.core.units import counted, format_duration
from twin.report.colours import looks_of
from twin.report.html.markup import Html, head, paragraph, section, table, tag, text
from twin.report.html.page import page
from twin.report.html.parts import (
    code_block,
    facts_table,
    folded,
    legend_of_metrics,
    page_header,
    policy_head,
    short_digest,
    verdict_box,
)
from twin.report.metrics import WITHIN, MetricColumn, metric
from twin.studies.lead_times.compare import LeadTimes
from twin.studies.lead_times.findings import gain, warnings

_COLUMNS: Final = (
    "sla_violation_rate", "sla_violation_minutes", "unmet_mbit", "over_provisioning_pct",
    "over_provisioning_mean_mbps", "allocated_mean_mbps", "cost",
)  # fmt: skip


def render(study: LeadTimes, picture: bytes) -> str:
    """Return the page; `picture` is a PNG."""
    scenario = study.scenario
    title = f"{scenario.spec.name}: lead times"
    leads = ", ".join(format_duration(lead) for lead in study.lead_times)
    length = format_duration(scenario.span.horizon(scenario.trace.tick_s))
    summary = (
        f"{counted(len(study.policies), 'policy')} on {counted(len(scenario.links), 'link')} over "
        f"{length}, with lead times of {leads} on all links; the same demand and events in all"
    )
    body = [
        page_header(title, summary),
        verdict_box(gain(study), warnings(study)),
        section("picture", "Waste and violations by lead time", _figure(picture)),
        section("table", "Policies and lead times", _table(study)),
        section("run", "What was run", *_facts(study)),
        section("metrics", "Metrics", legend_of_metrics([*_metrics(study), WITHIN])),
    ]
    return page(title, body)


def _figure(picture: bytes) -> Html:
    data = base64.b64encode(picture).decode()
    alt = "Over-provisioning and violated intervals of each policy against lead time"
    image = tag("img", src=f"data:image/png;base64,{data}", alt=alt, class_="whole")
    caption = (
        "All links together. A point is hollow where a link misses the SLA. Every order takes "
        "effect a lead time after it; the first decision is in force at once."
    )
    return tag("figure", image, tag("figcaption", text(caption)))


def _metrics(study: LeadTimes) -> list[MetricColumn]:
    priced = study.table["cost"].notna().any()
    return [metric(column) for column in _COLUMNS if column != "cost" or priced]


def _table(study: LeadTimes) -> Html:
    metrics = _metrics(study)
    headers = [head("policy"), head("lead time"), head(WITHIN.name)]
    links = len(study.scenario.links)
    headers += [head(each.name, each.over_links(links)) for each in metrics]
    looks, rows = looks_of(study.policies), []
    for row in study.table.to_dict("records"):
        kept = int(row["links_within_sla"])
        missed = int(row["links_missing_sla"])
        cells = [f"{kept} of {kept + missed}", *(each.text(row[each.column]) for each in metrics)]
        mark = "missed" if missed and not row["bound"] else None
        lead = tag("th", text(format_duration(row["lead_time_s"])), scope="row")
        note = "the bound" if row["bound"] else ""
        rows.append(
            [
                policy_head(looks[row["policy"]], row["policy"], note),
                lead,
                *(tag("td", text(cell), class_=mark) for cell in cells),
            ]
        )
    return table(headers, rows, caption="All links together, over the whole replay")


def _facts(study: LeadTimes) -> list[Html]:
    scenario = study.scenario
    trace = scenario.trace
    facts = [
        ("Demand", trace.origin),
        ("Digest of the demand", short_digest(trace.digest)),
        ("Seed", str(scenario.spec.seed)),
        ("SLA target", f"{100 * scenario.spec.sla.target:g} % of intervals"),
    ]
    note = "Lead times that links state in the scenario give way to those that are compared."
    return [facts_table(facts), paragraph(note), folded("The scenario", code_block(study.resolved))]
