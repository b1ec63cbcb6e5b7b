"""The report of a fork: one table of all futures, what each changes, and their own reports."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from twin.account.summary import ALL
from twin.report.colours import looks_of
from twin.report.html.markup import Html, head, section, table, tag, text
from twin.report.html.page import page
from twin.report.html.parts import code_block, legend_of_metrics, page_header, policy_head
from twin.report.metrics import MetricColumn, metric

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS: Final = (
    "sla_violation_rate", "sla_violation_minutes", "unmet_mbit", "over_provisioning_pct",
    "allocated_mean_mbps", "utilization_mean",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FutureData:
    """One future of a fork."""

    name: str
    changes: str
    """What it changes, as it was written; empty for the trunk."""
    folder: str
    """Where its own report lies, beside this one."""


def render(title: str, fork: str, summary: pd.DataFrame, futures: Sequence[FutureData]) -> str:
    """Return the page; `summary` has a row for each branch, policy and link after the fork."""
    names = [future.name for future in futures]
    pooled = summary[summary["link"] == ALL]
    policies = [str(name) for name in pooled["policy"].unique()]
    metrics = [metric(column) for column in _COLUMNS]
    links = summary["link"].nunique() - 1
    rows = []
    looks = looks_of(policies)
    for policy in policies:
        for name in names:
            chosen = pooled[(pooled["policy"] == policy) & (pooled["branch"] == name)]
            (values,) = chosen[list(_COLUMNS)].to_dict("records")
            label = tag("th", text(name), scope="row")
            rows.append([policy_head(looks[policy], policy), label, *_cells(metrics, values)])
    headers = [
        head("policy"),
        head("branch"),
        *(head(m.name, m.over_links(links)) for m in metrics),
    ]
    caption = f"All links, from the fork at {fork} on"
    compared = section("compared", "Futures", table(headers, rows, caption=caption))
    body = [
        page_header(title, f"One past, {len(names)} futures from {fork} on"),
        compared,
        section("changes", "What each changes", *(_future(future) for future in futures)),
        section("metrics", "Metrics", legend_of_metrics(metrics)),
    ]
    return page(title, body)


def _cells(metrics: Sequence[MetricColumn], values: Mapping[Hashable, float]) -> list[Html]:
    return [tag("td", text(metric.text(values[metric.column]))) for metric in metrics]


def _future(future: FutureData) -> Html:
    report = f"{future.folder}/report.html"
    link = tag("p", tag("a", text(report), href=report))
    changes = code_block(future.changes) if future.changes else tag("p", text("Nothing."))
    return tag("div", tag("h3", text(future.name)), changes, link)
