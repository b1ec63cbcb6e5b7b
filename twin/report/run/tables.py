"""The sections with tables: policies compared, links, and what was run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twin.account.dominance import dominated
from twin.account.ranking import in_order, kept_by
from twin.account.summary import ENDS
from twin.core.units import counted
from twin.report.dates import axis_label
from twin.report.html.markup import (
    Html,
    head,
    paragraph,
    section,
    some,
    table,
    tag,
    text,
)
from twin.report.html.parts import (
    code_block,
    facts_table,
    file_name,
    folded,
    legend_of_metrics,
    long_table,
    metric_head,
    policy_head,
    short_digest,
    shortened,
)
from twin.report.metrics import KEY, WITHIN, MetricColumn, metric, present
from twin.report.run.source import RunData
from twin.results.manifest import forecasts_in_words

if TYPE_CHECKING:
    import pandas as pd

_MOST_LINKS = 25
_MOST_TEXT = 100_000


def comparison_section(run: RunData) -> Html:
    """Return the section with the table of the main metrics, and the one of all."""
    lead = paragraph(
        "All links together. The best value of each column is marked \N{BLACK STAR}; bounds, which "
        "see the future, are shown and never ranked.",
    )
    parts = [lead, _key(run), _dominated(run), _all(run)]
    return section("comparison", "Policies compared", *parts)


def _dominated(run: RunData) -> Html:
    """Say which policies are dominated by others."""
    by = dominated(run.pooled.loc[list(run.ranked)])
    pairs = [f"{name} by {some(others, 2)}" for name, others in by.items() if others]
    if not pairs:
        return paragraph("No policy has both fewer violated minutes and less over-provisioning "
                         "than another.")  # fmt: skip
    return paragraph(
        f"Dominated, with no fewer violated minutes and no less over-provisioning than another "
        f"policy and more of one of them: {'; '.join(pairs)}."
    )


def _order(run: RunData) -> list[int]:
    """Return the policies by position, bounds last.

    With prices those that keep the SLA on every link come first, by cost.
    """
    names = list(run.policies)
    if run.settlement.prices is not None:
        kept, cost = kept_by(run.by_link), run.pooled["cost"]
        whole = {name: kept[name] == len(run.links) for name in names}
        names = in_order(names, whole, {name: float(cost[name]) for name in names})
    order = [run.policies.index(name) for name in names]
    return sorted(order, key=lambda i: run.policies[i] in run.bounds)


def _key(run: RunData) -> Html:
    pooled = run.pooled
    within = kept_by(run.by_link)
    pooled = pooled.assign(within_sla=[float(within[name]) for name in run.policies])
    by_column = {m.column: m for m in (WITHIN, *_valued(pooled))}
    metrics = [by_column[column] for column in KEY if column in by_column]
    best = {m.column: _best(run, pooled, m) for m in metrics}
    headers = [head("Policy"), *(head(m.name, m.over_links(len(run.links))) for m in metrics)]
    rows = []
    for i in _order(run):
        name = run.policies[i]
        cells = [_cell(m, float(pooled.loc[name, m.column]), name in best[m.column])  # type: ignore[arg-type]
                 for m in metrics]  # fmt: skip
        rows.append([_policy(run, i), *cells])
    caption = f"Policies over {counted(len(run.links), 'link')} of {run.intervals:,} intervals each"
    return table(headers, rows, caption=caption, class_="sortable")


def _valued(pooled: pd.DataFrame) -> list[MetricColumn]:
    """Return the metrics that have a value, as cost has none without prices."""
    return present(column for column in pooled.columns if pooled[column].notna().any())


def _policy(run: RunData, index: int, scope: str = "row") -> Html:
    name = run.policies[index]
    note = "bound, not ranked" if name in run.bounds else ""
    return policy_head(run.looks[name], name, note, scope)


def _cell(shown: MetricColumn, value: float, best: bool) -> Html:
    sort = None if math.isnan(value) else f"{value:.9g}"
    face = text(shown.text(value))
    if best:
        star = tag("span", text("\N{BLACK STAR} "), title="best", role="img", aria_label="best")
        return tag("td", star, face, class_="best", data_value=sort)
    return tag("td", face, data_value=sort)


def _best(run: RunData, pooled: pd.DataFrame, shown: MetricColumn) -> frozenset[str]:
    """Return the policies that share the best value; none where all of them do."""
    values = pooled.loc[list(run.ranked), shown.column].dropna()
    if not shown.display.better or len(values) < 2 or values.nunique() < 2:
        return frozenset()
    limit = values.min() if shown.display.better == "low" else values.max()
    return frozenset(str(name) for name in values.index[values == limit])


def _all(run: RunData) -> Html:
    pooled, order = run.pooled, _order(run)
    headers = [head("Metric"), *(_policy(run, i, "col") for i in order)]
    rows = []
    for row in _valued(pooled):
        best, values = _best(run, pooled, row), pooled[row.column]
        cells = [_cell(row, float(values[run.policies[i]]), run.policies[i] in best) for i in order]
        rows.append([metric_head(row, len(run.links)), *cells])
    shown = table(headers, rows, caption="Every metric, all links together")
    return folded("Every metric", shown)


def links_section(run: RunData, recommended: str | None) -> Html:
    """Return the section with the links of most violations, and the number of the others."""
    table_ = run.by_link
    ranked = list(run.ranked or run.policies)
    first = recommended or ranked[0]
    minutes = table_[table_["policy"].isin(ranked)].groupby("link")["sla_violation_minutes"].sum()
    own = table_[table_["policy"] == first].set_index("link")["sla_violation_minutes"]
    order = sorted(run.links, key=lambda link: (-own[link], -minutes[link]))
    shown = order[:_MOST_LINKS]
    columns = _columns(run, first)
    cells = table_.set_index(["policy", "link"])
    rate, waste = metric("sla_violation_rate"), metric("over_provisioning_pct")
    headers = [head("Link"), *(head(name, "% violated / % over") for name in columns)]
    rows = []
    for link in shown:
        row = [tag("th", text(link), scope="row")]
        for name in columns:
            at = cells.loc[(name, link)]
            row.append(_link_cell(rate, waste, at))
        rows.append(row)
    sentences = [
        f"Violated intervals and over-provisioning of each link; {_CROSS} marks a missed SLA."
    ]
    if len(order) > len(shown):
        rest = order[_MOST_LINKS:]
        quiet = int((own[rest] == 0).sum())
        sentences.append(
            f"The {len(shown)} links that {first} violated longest; of the {len(rest):,} others "
            f"{quiet:,} had no violation under it."
        )
    if len(columns) < len(ranked):
        sentences.append(f"{len(ranked) - len(columns)} policies are left out.")
    shown_table = long_table(headers, rows, caption="Links, most violated first")
    return section("links", "Links", paragraph(*sentences), shown_table)


def budget_section(run: RunData, recommended: str | None) -> Html:
    """Return the section on what each policy used of the error budget of each link."""
    table_: Any = run.by_link.set_index(["policy", "link"])
    columns = _columns(run, recommended)
    worst = run.by_link.groupby("link")["worst_burn_rate"].max().fillna(-1.0)
    order = sorted(run.links, key=lambda link: -worst[link])
    headers = [head("Link"), head("Allowed", "intervals")]
    headers += [head(name, "used (95 % interval of the share)") for name in columns]
    rows = []
    for link in order[:_MOST_LINKS]:
        cells = [table_.loc[(name, link)] for name in columns]
        limits = sorted({int(row["sla_allowed_intervals"]) for row in cells})
        allowed_text = " or ".join(f"{limit:,}" for limit in limits)
        row = [tag("th", text(link), scope="row"), tag("td", text(allowed_text))]
        rows.append(row + [_budget_cell(cell) for cell in cells])
    period = run.settlement.sla_period
    span = "each period of the SLA; shown is the one that used most" if period else "the replay"
    sentences = [
        f"A link may have floor(target \N{MULTIPLICATION SIGN} known intervals) violated "
        f"intervals in {span}. {_CROSS} marks who used more: the SLA is then missed, whatever the "
        "mean over links. The interval is of the violated share over the replay: what the same "
        "policy would come to on other stretches of such traffic. Violations in clusters widen it."
    ]
    if len(order) > _MOST_LINKS:
        sentences.append(f"The {_MOST_LINKS} links of {len(order):,} that used most.")
    shown = long_table(headers, rows, caption="Error budget, links that used most first")
    return section("budget", "Error budget", paragraph(*sentences), shown)


def _budget_cell(row: Any) -> Html:
    used = int(row["sla_used_intervals"])
    low, high = (float(row[name]) for name in ENDS)
    over = used > int(row["sla_allowed_intervals"])
    face = f"{_CROSS} {used:,}" if over else f"{used:,}"
    if not math.isnan(low):
        face += f" ({100 * low:.2g}\N{EN DASH}{100 * high:.2g} %)"
    return tag("td", text(face), class_="missed" if over else None)


def _columns(run: RunData, first: str | None) -> list[str]:
    """Return the policies that tables by link show, the recommended one first."""
    ranked = list(run.ranked or run.policies)
    first = first or ranked[0]
    return [first, *(name for name in ranked if name != first)][:6]


_CROSS = "\N{MULTIPLICATION X}"


def _link_cell(rate: MetricColumn, waste: MetricColumn, row: Any) -> Html:
    share = float(row["sla_violation_rate"])
    over = row["sla_used_intervals"] > row["sla_allowed_intervals"]
    missed = f"{_CROSS} " if over else ""
    face = f"{missed}{rate.text(share)} / {waste.text(float(row['over_provisioning_pct']))}"
    return tag("td", text(face), class_="missed" if missed else None)


def provenance_section(run: RunData) -> Html:
    """Return the section that says what was run, and what every metric means."""
    facts = run.manifest
    missing = int(run.pooled["missing_intervals"].iloc[0])
    rows = [
        ("Scenario", f"{run.name}, seed {run.scenario['seed']}"),
        ("Scenario's digest", short_digest(facts["scenario"]["sha256"])),
        ("Demand", str(facts["trace"]["origin"])),
        *(("", note) for note in facts["trace"].get("notes", ())),
        ("Trace's digest", short_digest(facts["trace"]["sha256"])),
        ("Replay starts", _begins(run)),
        ("What was read", "; ".join(facts["trace"]["repairs"]) or "the trace as it is"),
        *(("Warning", warning) for warning in facts["warnings"]),
        ("Missing intervals", f"{missing:,} of {len(run.links) * run.intervals:,}, left out"),
        *((f"Policy {name}", _sources(sources)) for name, sources in facts["policies"].items()),
        *((f"Model {name}", _sources([source])) for name, source in facts["models"].items()),
        *(
            (f"Forecasts, {name}", text)
            for name, text in forecasts_in_words(facts["forecasts"]).items()
        ),
        ("Versions", ", ".join(f"{k} {v}" for k, v in facts["versions"].items() if v)),
        ("Machine", str(facts["machine"])),
    ]
    scenario = code_block(shortened(run.scenario_text, _MOST_TEXT, "\n"))
    resolved = folded("The scenario, with every default", scenario)
    legend = legend_of_metrics([WITHIN, *_valued(run.summary)])
    return section("run", "What was run", facts_table(rows), resolved, legend)


def _begins(run: RunData) -> str:
    if run.starts is None:
        return "time not known"
    return f"{run.instant(0)} ({axis_label(run.starts, run.timezone)})"


def _sources(sources: Sequence[dict[str, Any]]) -> str:
    return some([_source(source) for source in sources], 6)


def _source(source: dict[str, Any]) -> str:
    shipped = "shipped, " if source["shipped"] else ""
    return f"{file_name(source['file'])} ({shipped}{short_digest(source['sha256'])})"
