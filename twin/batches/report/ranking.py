"""The section on the ranking of policies, and their differences to the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from twin.batches.report.formatting import format_value, interval, signed
from twin.batches.report.ranking_entries import RankingEntry
from twin.batches.report.source import COST, OVER, RATE, BatchData
from twin.core.arrays import Floats
from twin.report.html.markup import (
    Html,
    head,
    paragraph,
    section,
    table,
    tag,
    text,
)
from twin.report.html.parts import folded, metric_head, policy_head
from twin.report.metrics import MetricColumn, metric, present

MAIN = (
    RATE, OVER, "sla_violation_minutes", "unmet_mbit", "unmet_pct", "allocated_mean_mbps", "cost",
    "energy_kwh",
)  # fmt: skip


def entry_head(entry: RankingEntry, scope: str = "row") -> Html:
    """Return the head of a policy's row, in its colour."""
    note = "bound, not ranked" if entry.bound else ""
    return policy_head(entry.look, entry.name, note, scope)


def ranking_section(batch: BatchData, ranked: Sequence[RankingEntry]) -> Html:
    """Return the section on the ranking."""
    if not ranked:
        return section("ranking", "Ranking", paragraph("No run ended well."))
    sentences = [
        "Means over all points, each of which counts the same. First is who keeps the SLA at most "
        f"points, then who {'costs' if batch.deciding == COST else 'over-provisions'} least. A "
        "point is within the SLA where its worst link is, as a mean over its replications; a run "
        "is where every link is."
    ]
    if any(s.failed_runs for s in ranked):
        sentences.append(
            "Policies that made runs fail come last, since where they failed their numbers are "
            "missing; such a run counts for no policy."
        )
    if batch.most_replications > 1:
        sentences.append(
            "\N{PLUS-MINUS SIGN} is half of a 95 % interval over replications: with other seeds, "
            "19 of 20 such intervals hold the true mean."
        )
    if any(s.tied for s in ranked):
        sentences.append(
            "\N{ALMOST EQUAL TO} marks a policy whose paired differences to the one before it, in "
            "what decides and in violations, both include 0: their order may be chance."
        )
    parts = [_ranks(batch, ranked), _differences(batch, ranked), _every(batch, ranked)]
    return section("ranking", "Ranking", paragraph(*sentences), *parts)


def _ranks(batch: BatchData, ranked: Sequence[RankingEntry]) -> Html:
    metrics = [metric(name) for name in MAIN if name in batch.metrics]
    means = {m.column: batch.mean(m.column) for m in metrics}
    points, runs = batch.finished_points, len(batch.points)
    counts = [head("Points within SLA", f"of {points:,}"), head("Runs within SLA", f"of {runs:,}")]
    failed_runs = any(s.failed_runs for s in ranked)
    if failed_runs:
        counts.append(head("Made fail", "runs"))
    headers = [head("Policy"), head("Rank"), *counts]
    headers += [head(m.name, m.over_links(batch.links)) for m in metrics]
    rows = []
    for s in ranked:
        mark = "\N{ALMOST EQUAL TO} " * s.tied
        rank = "\N{EN DASH}" if s.rank is None else f"{mark}{s.rank}"
        kept = (s.points, s.runs, *([s.failed_runs] if failed_runs else []))
        cells = [
            tag("td", text(rank), data_value=s.rank),
            *(tag("td", text(f"{count:,}"), data_value=count) for count in kept),
        ]
        for m in metrics:
            mean, width = means[m.column].mean[s.index], means[m.column].half_width[s.index]
            value = None if np.isnan(mean) else f"{mean:.9g}"
            cells.append(tag("td", _interval(m.text(mean), m.text(width), width), data_value=value))
        rows.append([entry_head(s), *cells])
    caption = f"Policies over {points:,} points and {runs:,} runs"
    return table(headers, rows, caption=caption, class_="sortable")


def _interval(mean: str, width: str, known: float) -> Html:
    if np.isnan(known):
        return text(mean)
    return Html(text(mean) + tag("small", text(f"\N{PLUS-MINUS SIGN} {width}"), class_="pm"))


def _differences(batch: BatchData, ranked: Sequence[RankingEntry]) -> Html:
    """Return the paired differences to the first policy."""
    first = batch.policies[0]
    title = tag("h3", text(f"Against {first}, run by run"))
    others = [s for s in ranked if s.index]
    if not others:
        return Html(title + paragraph("There is only one policy: nothing to compare it with."))
    headers = [head("Policy")]
    columns = []
    for name in (RATE, OVER):
        shown, apart = metric(name), batch.difference(name)
        columns.append((shown, apart, _wins(batch, name)))
        unit = "points of %"
        headers += [head(shown.name, f"difference, {unit}"), head("Better", "% of runs")]
    rows = []
    for s in others:
        cells = []
        for shown, apart, wins in columns:
            mean, width = apart.mean[s.index], apart.half_width[s.index]
            chance = bool(not np.isnan(width) and abs(mean) <= width)
            difference = signed(shown, mean, width) + " (may be 0)" * chance
            cells.append(tag("td", text(difference), data_value=f"{mean:.9g}"))
            won = wins[s.index]
            cells.append(tag("td", text(_share(won)), data_value=f"{won:.4g}"))
        rows.append([entry_head(s), *cells])
    note = (
        "Every run replays all policies on the same demand and events, so that differences are "
        "paired; below 0 is better. Ties count as half better. comparisons.csv has them for every "
        "point and metric."
    )
    shown_table = table(headers, rows, caption=f"Paired differences to {first}", class_="sortable")
    return Html(title + paragraph(note, class_="note") + shown_table)


def _share(value: float) -> str:
    return "\N{EN DASH}" if np.isnan(value) else f"{100 * value:.0f}"


def _wins(batch: BatchData, name: str) -> Floats:
    """Return the share of runs in which each policy has less of a metric than the first."""
    values = batch.values(name)
    better = (1 + np.sign(values[:, :1] - values)) / 2
    known = np.isfinite(better)
    with np.errstate(invalid="ignore"):
        share: Floats = np.where(known, better, 0).sum(axis=0) / known.sum(axis=0)
    return share


def _every(batch: BatchData, ranked: Sequence[RankingEntry]) -> Html:
    rows = []
    for m in present(batch.metrics):
        mean = batch.mean(m.column)
        cells = [
            tag("td", text(interval(m, mean.mean[s.index], mean.half_width[s.index])))
            for s in ranked
        ]
        rows.append([metric_head(m, batch.links), *cells])
    headers = [head("Metric"), *(entry_head(s, "col") for s in ranked)]
    shown = table(headers, rows, caption="Every metric, means over all points")
    return folded("Every metric", shown)


_MOST_POINTS = 60


def best_section(batch: BatchData) -> Html:
    """Return the section on the best policy at each point; empty for a single point."""
    best = batch.best
    if len(best) < 2:
        return Html("")
    sentences = [
        "Of the policies that keep the SLA on every link, the one that costs least, or "
        "over-provisions least where the point has no prices, and what it saves against the "
        "scenario's first policy and the next best, run by run. best.csv has the same.",
        f"{_CHANCE} marks a difference that may be chance: its 95 % interval over replications "
        "includes 0. Without replications there is no interval.",
    ]
    if len(best) > _MOST_POINTS:
        sentences.append(f"The first {_MOST_POINTS} of {len(best):,} points.")
    headers = [
        *(head(key) for key in batch.keys), head("Best"), head("Keeps the SLA", "runs"),
        head("Value"), head("Saving to the first"), head("Next"), head("Saving to the next"),
    ]  # fmt: skip
    rows = [_best_row(batch, row) for row in best.head(_MOST_POINTS).to_dict("records")]
    shown = table(headers, rows, caption="Best policy at each point", class_="sortable")
    return section("best", "Best policy at each point", paragraph(*sentences), shown)


_CHANCE = "\N{ALMOST EQUAL TO}"


def _best_row(batch: BatchData, row: Mapping[Any, Any]) -> list[Html]:
    shown = metric(str(row["by"]))
    value = "\N{EN DASH}" if not row["policy"] else f"{shown.text(row['value'])} {shown.unit}"
    texts = [
        *(format_value(row[key]) for key in batch.keys), row["policy"] or "none keeps it",
        f"{row['runs_kept']:,} of {row['runs']:,}", value, _saved(shown, row, "first"),
        row["next"] or "\N{EN DASH}", _saved(shown, row, "next"),
    ]  # fmt: skip
    return [tag("td", text(each)) for each in texts]


def _saved(shown: MetricColumn, row: Mapping[Any, Any], to: str) -> str:
    mean, width = row[f"saving_to_{to}"], row[f"half_width_to_{to}"]
    chance = f"{_CHANCE} " if row[f"sure_to_{to}"] is False else ""
    return chance + interval(shown, mean, width)
