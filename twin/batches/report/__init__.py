"""The report of a batch as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from twin.batches.execute.folder import put
from twin.batches.report.effects import factors as effects
from twin.batches.report.factors import factors, heat
from twin.batches.report.figures import drawn
from twin.batches.report.ranking import ranking
from twin.batches.report.ranking_entries import standings
from twin.batches.report.runs import failed, ran, worst
from twin.batches.report.source import Found
from twin.batches.report.verdict import held, verdict
from twin.core.units import counted
from twin.report.run import document
from twin.report.run.markup import Html, paragraph, tag, text

__all__ = ["FIGURES", "PAGE", "Found", "render", "write"]

PAGE = "report.html"
FIGURES = "figures"


def write(folder: Path) -> None:
    """Write the figures and the report of the batch in `folder`, from its files alone.

    Raises InputError where they are missing or damaged, and RunError where nothing can be written.
    """
    found = Found.read(folder)
    page = render(found)
    for name, draw in drawn(found).items():
        put(folder / FIGURES / name, draw)
    put(folder / PAGE, lambda stream: stream.write(page.encode()))


def render(found: Found) -> str:
    """Return the page; the same files give the same bytes."""
    ranked = standings(found)
    made = effects(found)
    body = [
        _title(found),
        _verdict(verdict(found, ranked), held(found)),
        ranking(found, ranked),
        factors(found, made, ranked),
        heat(found, made, ranked),
        worst(found, ranked),
        failed(found),
        ran(found),
    ]
    style = (files(__name__) / "batch.css").read_text(encoding="utf-8")
    return document(found.name, body, style)


def _title(found: Found) -> Html:
    told = (
        f"Batch of {counted(found.facts['points'], 'point')} and "
        f"{counted(len(found.policies), 'policy')}, seed {found.facts.get('seed')}"
    )
    return tag("header", tag("h1", text(found.name)), paragraph(told))


def _verdict(said: Sequence[str], known: Sequence[str]) -> Html:
    first, *rest = said
    more = [paragraph(*sentences) for sentences in (rest, known) if sentences]
    title = tag("h2", text("Verdict"), id="verdict-title")
    return tag(
        "section",
        title,
        tag("p", tag("strong", text(first))),
        *more,
        class_="verdict",
        aria_labelledby="verdict-title",
    )
