"""The report of a run as one HTML page that needs nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.core.units import counted, format_duration
from twin.report.html.markup import Html, some
from twin.report.html.page import page
from twin.report.html.parts import page_header, verdict_box
from twin.report.run.aggregate import gather, links_to_draw
from twin.report.run.events import events
from twin.report.run.failures import failures
from twin.report.run.frontier import frontier
from twin.report.run.pictures import boxes, heat, radar
from twin.report.run.series import MOST_LINKS, series
from twin.report.run.sla_scores import standings, terms
from twin.report.run.source import Report
from twin.report.run.spans import spans
from twin.report.run.tables import comparison, links, ran
from twin.report.run.verdict import recommended, verdict

if TYPE_CHECKING:
    from twin.results.result import Result


def render_result(result: Result) -> str:
    """Return the page of a run in memory."""
    return render(Report.of(result))


def render(report: Report) -> str:
    """Return the page of a report. Raises InputError where the files behind it are damaged."""
    happened = spans(report)
    gathered = gather(report, happened, links_to_draw(report, happened, MOST_LINKS))
    ranked = standings(report, gathered)
    best = recommended(ranked)
    first = None if best is None else best.name
    # The recommended one first, the paper's, then by violations; bounds last.
    order = [
        s.name for s in sorted(ranked, key=lambda s: (s.name != first, not s.static, s.minutes))
    ]
    order += [name for name in report.policies if name in report.bounds]
    sentences = [*verdict(ranked, terms(report, gathered)), *_stood_in(report)]
    body = [
        _header(report),
        verdict_box(sentences),
        comparison(report, ranked),
        series(report, gathered, happened, first),
        radar(report, gathered, [name for name in order if name in report.ranked]),
        *frontier(report),
        boxes(report, gathered),
        heat(report, order),
        events(report, gathered, happened, first),
        links(report, first),
        ran(report),
    ]
    return page(report.name, body)


def _stood_in(report: Report) -> list[str]:
    """Say which policies are not what they seem, as something else decided for them."""
    return [
        f"{one.policy} failed, first at {format_duration(one.first_s)}"
        f"{f' on {some(one.links)}' if one.links else ''}: {report.fallback} decided "
        f"{one.decided:,} of its {report.intervals:,} intervals (why: under Events)."
        for one in failures(report)
    ]


def _header(report: Report) -> Html:
    links, policies = counted(len(report.links), "link"), counted(len(report.policies), "policy")
    span = format_duration(report.intervals * report.tick_s)
    summary = (
        f"{links} over {span} in intervals of {format_duration(report.tick_s)}, {policies}, "
        f"seed {report.scenario['seed']}"
    )
    return page_header(report.name, summary)
