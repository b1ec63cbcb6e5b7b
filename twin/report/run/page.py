"""The report of a run as one HTML page that needs nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.core.units import counted, format_duration
from twin.report.html.markup import Html, some
from twin.report.html.page import page
from twin.report.html.parts import page_header, verdict_box
from twin.report.run.answers import (
    failure_in_words,
    failures_sections,
    short_in_words,
    short_section,
)
from twin.report.run.events import events_section
from twin.report.run.failures import failures
from twin.report.run.findings import Findings, find
from twin.report.run.frontier import frontier_sections
from twin.report.run.network import network_section
from twin.report.run.pictures import efficiency_section, hours_section, radar_section
from twin.report.run.series import series_section
from twin.report.run.sla_scores import ranking, sla_terms
from twin.report.run.source import RunData
from twin.report.run.tables import (
    budget_section,
    comparison_section,
    links_section,
    provenance_section,
)
from twin.report.run.verdict import verdict

if TYPE_CHECKING:
    from twin.results.result import Result


def render_result(result: Result) -> str:
    """Return the page of a run in memory."""
    return render(RunData.of(result))


def render(run: RunData) -> str:
    """Return the page of a run. Raises InputError where its files are damaged."""
    return render_findings(find(run))


def render_findings(found: Findings) -> str:
    """Return the page of a run in which this was found."""
    run, aggregates, spans, first = found.run, found.aggregates, found.spans, found.first
    body = [
        _header(run),
        verdict_box(verdict_of(found), _more(found)),
        *failures_sections(found),
        *_network(found),
        short_section(found),
        series_section(found),
        comparison_section(run),
        radar_section(run, aggregates, [name for name in found.order if name in run.ranked]),
        *frontier_sections(run),
        efficiency_section(run, aggregates),
        hours_section(run, found.order),
        events_section(run, aggregates, spans, first),
        budget_section(run, first),
        links_section(run, first),
        provenance_section(run),
    ]
    return page(run.name, body, mapped=run.topology is not None)


def verdict_of(found: Findings) -> list[str]:
    """Return the verdict in sentences; the first of them stands by itself."""
    run, aggregates = found.run, found.aggregates
    compare = ranking(run, aggregates).difference
    return verdict(found.scores, sla_terms(run, aggregates), compare)


def _more(found: Findings) -> list[str]:
    """Return what a reader has to know beside the verdict."""
    struck = [failure_in_words(found, i) for i in found.failures[:1]]
    return [*short_in_words(found), *struck, *_replaced(found.run), *_warnings(found.run)]


def _network(found: Findings) -> list[Html]:
    samples = found.aggregates.samples
    return (
        [] if samples is None else [network_section(found.run, samples, found.spans, found.order)]
    )


def _warnings(run: RunData) -> list[str]:
    return [f"{text[0].upper()}{text[1:]}." for text in run.manifest["warnings"]]


def _replaced(run: RunData) -> list[str]:
    """Return a sentence for each policy that failed and for which the fallback decided."""
    return [
        f"{one.policy} failed, first at {run.instant(one.first_s)}"
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
