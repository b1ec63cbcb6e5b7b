"""The report of a run as one HTML page that needs nothing else."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from twin.core.units import counted, format_duration
from twin.report.failures import failures
from twin.report.run.events import events
from twin.report.run.frontier import frontier
from twin.report.run.gather import gather, links_to_draw
from twin.report.run.markup import Html, paragraph, some, tag, text
from twin.report.run.pictures import boxes, heat, radar
from twin.report.run.series import MOST_LINKS, series
from twin.report.run.standing import standings, terms
from twin.report.run.tables import comparison, links, ran
from twin.report.source import Report
from twin.report.spans import spans
from twin.report.verdict import recommended, verdict

if TYPE_CHECKING:
    from twin.results.result import Result

__all__ = ["Report", "document", "page", "render"]

_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
"""What a browser lets the page do: nothing that leaves the file."""


def page(result: Result) -> str:
    """Return the report of a run in memory."""
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
    said = [*verdict(ranked, terms(report, gathered)), *_stood_in(report)]
    body = [
        _title(report),
        _verdict(said),
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
    return document(report.name, body)


def _stood_in(report: Report) -> list[str]:
    """Say which policies are not what they seem, as something else decided for them."""
    return [
        f"{one.policy} failed, first at {format_duration(one.first_s)}"
        f"{f' on {some(one.links)}' if one.links else ''}: {report.fallback} decided "
        f"{one.decided:,} of its {report.intervals:,} intervals (why: under Events)."
        for one in failures(report)
    ]


def _title(report: Report) -> Html:
    span = format_duration(report.intervals * report.tick_s)
    told = (
        f"{counted(len(report.links), 'link')} over {span} in intervals of "
        f"{format_duration(report.tick_s)}, {counted(len(report.policies), 'policy')}, "
        f"seed {report.scenario['seed']}"
    )
    return tag("header", tag("h1", text(report.name)), paragraph(told))


def _verdict(sentences: list[str]) -> Html:
    first, *rest = sentences
    parts = [tag("p", tag("strong", text(first)))]
    if rest:
        parts.append(paragraph(*rest))
    title = tag("h2", text("Verdict"), id="verdict-title")
    return tag("section", title, *parts, class_="verdict", aria_labelledby="verdict-title")


def document(title: str, body: list[Html], style: str = "") -> str:
    """Return a whole page; `style` is added to the style that all pages have."""
    here = files(__name__)
    style = (here / "page.css").read_text(encoding="utf-8") + style
    script = (here / "page.js").read_text(encoding="utf-8")
    main = tag("main", *body)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{text(title)}: report</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n{main}\n<script>\n{script}</script>\n</body>\n</html>\n"
    )
