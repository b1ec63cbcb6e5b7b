"""The sections on single runs: the worst, those that failed, and what all of them share."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import yaml

from twin.batches.report.formatting import format_value
from twin.batches.report.ranking_entries import RankingEntry
from twin.batches.report.source import BURN, OVER, RATE, BatchData
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
from twin.report.html.parts import (
    code_block,
    facts_table,
    file_name,
    folded,
    legend_of_metrics,
    short_digest,
    shortened,
)
from twin.report.metrics import metric, present

_WORST = 10
_MOST_ERRORS = 20
_MOST_TEXT = 300
_MOST_SPEC = 20_000
_NUMBER = re.compile(r"[\d.,]+")
_FOLDER = re.compile(r"(?<![\w.])/(?:[^\s/:()']+/)+")
"""Matches folders of absolute paths, which an error is shown without."""


def worst_runs_section(batch: BatchData, ranked: Sequence[RankingEntry]) -> Html:
    """Return the section on the runs with most violations."""
    own = [s for s in ranked if s.rank is not None] or list(ranked)
    if not own:
        return section("worst", "Worst runs", paragraph("No run ended well."))
    lead = paragraph(
        "To see one with every interval and a report of its own, make it again, with the file of "
        "the sweep and the beginning of the run's id, and with --out where the batch has:"
    )
    command = code_block("twin batch SWEEP --show RUN_ID")
    tables = [
        _worst(batch, own, name, "any ranked policy")
        for name in (RATE, "unmet_mbit")
        if name in batch.metrics
    ]
    if len(own) > 1:
        tables.append(_worst(batch, own[:1], RATE, own[0].name))
    return section("worst", "Worst runs", lead, command, *tables)


def _worst(batch: BatchData, own: Sequence[RankingEntry], name: str, whose: str) -> Html:
    shown = [metric(RATE), metric(OVER), metric("unmet_mbit")]
    shown = [m for m in shown if m.column in batch.metrics]
    numbers = [s.index for s in own]
    values = np.nan_to_num(batch.values(name)[:, numbers], nan=-1.0)
    most = values.max(axis=1)
    order = [run for run in np.argsort(-most, kind="stable")[:_WORST] if most[run] > 0]
    title = f"Most {metric(name).name.lower()} under {whose}, {metric(name).unit}"
    if not order:
        return paragraph(f"{title}: none in any run.")
    known = {m.column: batch.values(m.column) for m in shown}
    headers = [
        head("Run"), head("Policy", class_="l"), *(head(m.name, m.unit) for m in shown),
        *(head(key, class_="l") for key in batch.keys), head("Replication"), head("Seed"),
    ]  # fmt: skip
    rows = []
    for run in order:
        facts = batch.done_runs.iloc[run]
        policy = numbers[int(values[run].argmax())]
        cells = [tag("td", breakable(batch.policies[policy]), class_="l")]
        cells += [tag("td", text(m.text(known[m.column][run, policy]))) for m in shown]
        cells += [tag("td", breakable(format_value(facts[key])), class_="l") for key in batch.keys]
        cells += [tag("td", text(facts[column])) for column in ("replication", "seed")]
        rows.append([tag("th", tag("code", text(facts["run_id"])), scope="row"), *cells])
    return table(headers, rows, caption=title)


def failed_runs_section(batch: BatchData) -> Html:
    """Return the section on the runs that failed, grouped by message."""
    if not len(batch.failed_runs):
        return section("failed", "Failed runs", paragraph("None."))
    kinds: dict[str, list[tuple[str, str]]] = {}
    for error, run_id in batch.failed_runs[["error", "run_id"]].itertuples(index=False):
        # The same failure at another tick has other numbers in its message.
        message = _FOLDER.sub("", str(error))
        kinds.setdefault(_NUMBER.sub("", message), []).append((message, run_id))
    order = sorted(kinds.values(), key=lambda runs: -len(runs))
    rows = [
        [
            tag("th", text(f"{len(runs):,}"), scope="row"),
            tag("td", text(shortened(runs[0][0], _MOST_TEXT)), class_="l"),
            tag("td", text(some([run_id for _, run_id in runs], 3)), class_="l"),
        ]
        for runs in order[:_MOST_ERRORS]
    ]
    total = len(batch.failed_runs) + len(batch.done_runs)
    sentences = [
        f"{len(batch.failed_runs):,} of {total:,} runs failed and are left out of all else.",
        "Tracebacks are in journal.jsonl; 'twin batch SWEEP --retry-failed' tries them again.",
    ]
    if len(order) > len(rows):
        sentences.append(f"{len(order) - len(rows):,} more messages are in the table of runs.")
    headers = [head("Runs"), head("Error", "the first of its kind"), head("Their ids")]
    caption = "Failed runs by message, whatever its numbers"
    shown = table(headers, rows, caption=caption, class_="words")
    return section("failed", "Failed runs", paragraph(*sentences), shown)


def provenance_section(batch: BatchData) -> Html:
    """Return the section that says what was run, and what the metrics mean."""
    facts = batch.facts
    tables = facts["sha256"].items()
    digests = [(f"Digest of {name}", short_digest(digest)) for name, digest in tables]
    rows = [
        ("Sweep", batch.name),
        ("Status", str(facts["status"])),
        ("Scenario", file_name(facts.get("scenario", ""))),
        ("Demand", str(facts.get("demand", ""))),
        ("Links", str(facts.get("links", ""))),
        ("Seed", str(facts.get("seed", ""))),
        ("Varied keys", some(batch.keys, 20) or "none"),
        ("Digest of the sweep", short_digest(facts.get("sweep_sha256"))),
        *digests,
        ("Versions", ", ".join(f"{k} {v}" for k, v in facts["versions"].items() if v)),
    ]
    spec = yaml.safe_dump(facts["sweep"], sort_keys=False, allow_unicode=True)
    whole = folded("The sweep, with every default", code_block(shortened(spec, _MOST_SPEC)))
    legend = legend_of_metrics(present([*batch.metrics, BURN]))
    return section("run", "What was run", facts_table(rows), whole, legend)
