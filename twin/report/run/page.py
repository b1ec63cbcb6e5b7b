"""The report of a run as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twin.core.units import counted, format_duration
from twin.report.html.markup import Html, some
from twin.report.html.page import page
from twin.report.html.parts import page_header, verdict_box
from twin.report.run.aggregate import Aggregates, aggregate, links_to_draw
from twin.report.run.event_spans import EventSpan, event_spans
from twin.report.run.events import events_section
from twin.report.run.failures import failures
from twin.report.run.frontier import frontier_sections
from twin.report.run.network import network_section
from twin.report.run.pictures import efficiency_section, hours_section, radar_section
from twin.report.run.series import series_section
from twin.report.run.sla_scores import ranking, sla_scores, sla_terms
from twin.report.run.source import RunData
from twin.report.run.tables import (
    budget_section,
    comparison_section,
    links_section,
    provenance_section,
)
from twin.report.run.verdict import recommended, verdict

if TYPE_CHECKING:
    from twin.results.result import Result


def render_result(result: Result) -> str:
    """Return the page of a run in memory."""
    return render(RunData.of(result))


def render(run: RunData) -> str:
    """Return the page of a run. Raises InputError where its files are damaged."""
    spans = event_spans(run)
    aggregates = aggregate(run, spans, links_to_draw(run, spans))
    scores = sla_scores(run, aggregates)
    best = recommended(scores)
    first = None if best is None else best.name
    # The recommended policy first, then the paper's, then by violations; bounds last.
    order = [
        s.name for s in sorted(scores, key=lambda s: (s.name != first, not s.static, s.minutes))
    ]
    order += [name for name in run.policies if name in run.bounds]
    compare = ranking(run, aggregates).difference
    sentences = [
        *verdict(scores, sla_terms(run, aggregates), compare),
        *_replaced(run),
        *_warnings(run),
    ]
    body = [
        _header(run),
        verdict_box(sentences),
        *_network(run, aggregates, spans, order),
        comparison_section(run),
        series_section(run, aggregates, spans, first),
        radar_section(run, aggregates, [name for name in order if name in run.ranked]),
        *frontier_sections(run),
        efficiency_section(run, aggregates),
        hours_section(run, order),
        events_section(run, aggregates, spans, first),
        budget_section(run, first),
        links_section(run, first),
        provenance_section(run),
    ]
    return page(run.name, body, mapped=run.topology is not None)


def _network(
    run: RunData, aggregates: Aggregates, spans: Sequence[EventSpan], order: Sequence[str]
) -> list[Html]:
    samples = aggregates.samples
    return [] if samples is None else [network_section(run, samples, spans, order)]


def _warnings(run: RunData) -> list[str]:
    return [f"{text[0].upper()}{text[1:]}." for text in run.manifest["warnings"]]


def _replaced(run: RunData) -> list[str]:
    """Return a sentence for each policy that failed and for which the fallback decided."""
    return [
        f"{one.policy} failed, first at {format_duration(one.first_s)}"
        f"{f' on {some(one.links)}' if one.links else ''}: {run.fallback} decided "
        f"{one.decided:,} of its {run.intervals:,} intervals (why: under Events)."
        for one in failures(run)
    ]


def _header(run: RunData) -> Html:
    links, policies = counted(len(run.links), "link"), counted(len(run.policies), "policy")
    span = format_duration(run.intervals * run.tick_s)
    summary = (
        f"{links} over {span} in intervals of {format_duration(run.tick_s)}, {policies}, "
        f"seed {run.scenario['seed']}"
    )
    return page_header(run.name, summary)
