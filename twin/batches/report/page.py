"""The report of a batch as one HTML page that needs nothing else."""

from __future__ import annotations

from importlib.resources import files

from twin.batches.report.effects import measure_factors
from twin.batches.report.factors import factors_section, pairs_section
from twin.batches.report.lead_times import lead_times_section, saving_in_words
from twin.batches.report.ranking import best_section, ranking_section
from twin.batches.report.ranking_entries import rank_policies
from twin.batches.report.runs import failed_runs_section, provenance_section, worst_runs_section
from twin.batches.report.source import BatchData
from twin.batches.report.verdict import contents, verdict
from twin.core.units import counted
from twin.report.html.markup import Html
from twin.report.html.page import page
from twin.report.html.parts import page_header, verdict_box


def render(batch: BatchData) -> str:
    """Return the page; the same files give the same bytes."""
    ranked = rank_policies(batch)
    factors = measure_factors(batch)
    body = [
        _header(batch),
        verdict_box([*saving_in_words(batch), *verdict(batch, ranked)], contents(batch)),
        *lead_times_section(batch),
        ranking_section(batch, ranked),
        best_section(batch),
        factors_section(batch, factors, ranked),
        pairs_section(batch, factors, ranked),
        worst_runs_section(batch, ranked),
        failed_runs_section(batch),
        provenance_section(batch),
    ]
    style = (files(__package__) / "batch.css").read_text(encoding="utf-8")
    return page(batch.name, body, style)


def _header(batch: BatchData) -> Html:
    points = counted(batch.facts["points"], "point")
    policies = counted(len(batch.policies), "policy")
    summary = f"Batch of {points} and {policies}, seed {batch.facts.get('seed')}"
    return page_header(batch.name, summary)
