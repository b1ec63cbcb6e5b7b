"""The report of a batch as one HTML page that needs nothing else."""

from __future__ import annotations

from importlib.resources import files

from twin.batches.report.effects import factors as effects
from twin.batches.report.factors import factors, heat
from twin.batches.report.ranking import ranking
from twin.batches.report.ranking_entries import standings
from twin.batches.report.runs import failed, ran, worst
from twin.batches.report.source import Found
from twin.batches.report.verdict import held, verdict
from twin.core.units import counted
from twin.report.html.markup import Html
from twin.report.html.page import page
from twin.report.html.parts import page_header, verdict_box


def render(found: Found) -> str:
    """Return the page; the same files give the same bytes."""
    ranked = standings(found)
    made = effects(found)
    body = [
        _header(found),
        verdict_box(verdict(found, ranked), held(found)),
        ranking(found, ranked),
        factors(found, made, ranked),
        heat(found, made, ranked),
        worst(found, ranked),
        failed(found),
        ran(found),
    ]
    style = (files(__package__) / "batch.css").read_text(encoding="utf-8")
    return page(found.name, body, style)


def _header(found: Found) -> Html:
    points = counted(found.facts["points"], "point")
    policies = counted(len(found.policies), "policy")
    summary = f"Batch of {points} and {policies}, seed {found.facts.get('seed')}"
    return page_header(found.name, summary)
