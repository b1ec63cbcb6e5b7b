"""Parts of a page that more than one report or section has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twin.report.html.markup import Html, breakable, paragraph, swatch, table, tag, text
from twin.report.metrics import MetricColumn

_DIGEST_LETTERS = 12


def page_header(title: str, summary: str) -> Html:
    """Return what a page begins with."""
    return tag("header", tag("h1", text(title)), paragraph(summary))


def verdict_box(sentences: Sequence[str], more: Sequence[str] = ()) -> Html:
    """Return the verdict, its first sentence in bold; `more` is a paragraph below."""
    first, *rest = sentences
    lead = tag("p", tag("strong", text(first)))
    below = [paragraph(*part) for part in (rest, more) if part]
    title = tag("h2", text("Verdict"), id="verdict-title")
    return tag("section", title, lead, *below, class_="verdict", aria_labelledby="verdict-title")


def policy_head(index: int, name: str, note: str = "", scope: str = "row") -> Html:
    """Return the head of a policy's row or column, in its colour; `index` is its place."""
    below = tag("small", text(note)) if note else Html("")
    return tag("th", swatch(index), text(" "), breakable(name), below, scope=scope)


def legend_of_policies(policies: Iterable[tuple[int, str]]) -> Html:
    """Return the legend of a picture: each policy's place and name."""
    entries = [tag("li", swatch(index), text(f" {name}")) for index, name in policies]
    return tag("ul", *entries, class_="keys")


def metric_head(metric: MetricColumn, links: int = 1) -> Html:
    """Return the head of a metric's row, whose values are of so many links together."""
    below = metric.over_links(links)
    unit = tag("small", text(below)) if below else Html("")
    return tag("th", text(metric.name), unit, scope="row")


def legend_of_metrics(metrics: Iterable[MetricColumn]) -> Html:
    """Return what every metric means."""
    terms = []
    for metric in metrics:
        unit = f" ({metric.unit})" if metric.unit else ""
        terms += [tag("dt", text(f"{metric.name}{unit}")), tag("dd", text(metric.meaning))]
    return tag("div", tag("h3", text("What the metrics mean")), tag("dl", *terms))


def facts_table(facts: Iterable[tuple[str, str]]) -> Html:
    """Return a table of names and texts."""
    rows = [
        [tag("th", text(name), scope="row"), tag("td", text(value), class_="l")]
        for name, value in facts
    ]
    return table((), rows, caption="What decided the numbers", class_="facts")


def folded(title: str, *inside: Html, opened: bool = False) -> Html:
    """Return parts under a title that a reader unfolds; `opened` shows them from the start."""
    return tag("details", tag("summary", text(title)), *inside, open=opened)


def long_table(
    headers: Sequence[Html],
    rows: Sequence[Sequence[Html]],
    *,
    caption: str,
    class_: str | None = None,
    shown: int = 10,
) -> Html:
    """Return a table of which a reader unfolds all rows but the first ones."""
    first = table(headers, rows[:shown], caption=caption, class_=class_)
    # A few more rows are no reason to fold.
    if len(rows) <= shown + 3:
        return table(headers, rows, caption=caption, class_=class_)
    rest = table(headers, rows[shown:], caption=f"{caption}, continued", class_=class_)
    return tag("div", first, folded(f"{len(rows) - shown:,} more", rest))


def code_block(code: str) -> Html:
    """Return text as it was written, line by line."""
    return tag("pre", tag("code", text(code)))


def short_digest(digest: object) -> str:
    """Return the beginning of a SHA-256 digest, as text."""
    return f"SHA-256 {str(digest)[:_DIGEST_LETTERS]}\N{HORIZONTAL ELLIPSIS}"


def file_name(path: object) -> str:
    """Return the last part of a path, of whatever system it is."""
    return str(path).replace("\\", "/").rsplit("/", 1)[-1]


def shortened(value: str, most: int, gap: str = " ") -> str:
    """Return a text, or its first `most` characters and how many more there are."""
    if len(value) <= most:
        return value
    return f"{value[:most]}{gap}... {len(value) - most:,} more characters"
