"""The sections on factors: which of them matter, what each changes, and pairs of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from twin.batches.report.charts import Line, chart
from twin.batches.report.effects import EFFECTS, LEVELS_SHOWN, MOST_VALUES, Factor, at_levels
from twin.batches.report.formatting import format_number, interval
from twin.batches.report.ranking import MAIN, entry_head
from twin.batches.report.ranking_entries import RankingEntry
from twin.batches.report.source import OVER, RATE, BatchData
from twin.core.arrays import Floats
from twin.report.html.markup import (
    Html,
    breakable,
    head,
    paragraph,
    section,
    table,
    tag,
    text,
)
from twin.report.html.parts import folded, legend_of_policies
from twin.report.metrics import metric

_MOST_LINES = 6
_MOST_ROWS = 12
_MOST_FACTORS = 12


def factors_section(
    batch: BatchData, measured: Sequence[Factor], ranked: Sequence[RankingEntry]
) -> Html:
    """Return the section of every factor's effect."""
    title = "What each factor changes"
    if not measured:
        why = "No key differs between the finished points: there are no factors to compare."
        return section("factors", title, paragraph(why))
    parts = [_sizes(batch, measured, ranked), _keys(ranked)]
    parts += [_factor(batch, factor, ranked) for factor in measured[:_MOST_FACTORS]]
    if len(measured) > _MOST_FACTORS:
        left = len(measured) - _MOST_FACTORS
        parts.append(paragraph(f"{left:,} more factors, of less effect, are in the table alone."))
    return section("factors", title, *parts)


def _sizes(batch: BatchData, measured: Sequence[Factor], ranked: Sequence[RankingEntry]) -> Html:
    own = [s.index for s in ranked if s.rank is not None] or [s.index for s in ranked]
    best = batch.policies[own[0]]
    headers = [head("Factor"), head("Values")]
    for name in EFFECTS:
        shown = metric(name)
        headers += [
            head(shown.name, "% of variety explained"),
            head("Range", f"{shown.unit}, {best}"),
            head("Rank correlation", best),
        ]
    rows = []
    for factor in measured:
        classes = f"in {len(factor.labels)} classes" if factor.classed else f"{len(factor.labels)}"
        cells = [tag("td", text(classes))]
        for i, name in enumerate(EFFECTS):
            rho = factor.correlation[i, own[0]]
            cells += [
                tag("td", text(f"{100 * factor.explained[i, own].mean():.0f}")),
                tag("td", text(metric(name).text(factor.spread[i, own[0]]))),
                tag("td", text("\N{EN DASH}" if np.isnan(rho) else f"{rho:+.2f}")),
            ]
        rows.append([tag("th", breakable(factor.key), scope="row"), *cells])
    note = (
        "The factor that matters most is first. Variety is the variance of points' means; what a "
        "factor explains of it is a mean over the ranked policies. What factors do together, and "
        "chance, is explained by none alone. The range is of the means at its values, or in its "
        "classes, over all else; the rank correlation (Spearman's, from \N{MINUS SIGN}1 to 1) says "
        "how steadily a metric rises with a number."
    )
    shown_table = table(headers, rows, caption="Factors, largest effect first")
    return Html(paragraph(note) + shown_table)


def _keys(ranked: Sequence[RankingEntry]) -> Html:
    drawn = ranked[:_MOST_LINES]
    note = (
        "Lines join means over all points with that value, or in that class; bars are 95 % "
        "intervals over replications, dots single points. Where axes are stretched towards 0, "
        "that is so that small values are seen."
    )
    if len(drawn) < len(ranked):
        note += f" The first {len(drawn)} of {len(ranked)} policies are drawn."
    legend = legend_of_policies((s.look, s.name) for s in drawn)
    return Html(legend + paragraph(note, class_="note"))


def _factor(batch: BatchData, factor: Factor, ranked: Sequence[RankingEntry]) -> Html:
    charts = []
    for name in EFFECTS:
        shown = metric(name)
        caption = tag("figcaption", text(f"{shown.name}, {shown.unit}"))
        charts.append(tag("figure", caption, _chart(batch, factor, name, ranked[:_MOST_LINES])))
    title = tag("h3", breakable(factor.key))
    return Html(title + tag("div", *charts, class_="pair") + _table(batch, factor, ranked))


def _chart(batch: BatchData, factor: Factor, name: str, ranked: Sequence[RankingEntry]) -> Html:
    shown = metric(name)
    means = at_levels(batch, factor, name)[:MOST_VALUES]
    scale = shown.display.scale
    places = _places(factor)
    points = batch.at_points(name) * scale
    lines = [
        Line(
            s.look,
            np.array([mean.mean[s.index] for mean in means]) * scale,
            np.array([mean.half_width[s.index] for mean in means]) * scale,
            (places, points[:, s.index]) if factor.classed else None,
        )
        for s in ranked
    ]
    label = f"{shown.name} against {factor.key}"
    if factor.classed:
        at = np.array([places[factor.levels == i].mean() for i in range(len(factor.labels))])
        return chart(label, lines, at, _marks(factor))
    at = (np.arange(len(means)) + 0.5) / len(means)
    return chart(label, lines, at, list(zip(at, factor.labels, strict=False)))


def _places(factor: Factor) -> Floats:
    """Return the horizontal position of each point, from 0 to 1."""
    numbers = np.log(factor.numbers) if factor.log else factor.numbers
    low, high = numbers.min(), numbers.max()
    places: Floats = (numbers - low) / (high - low or 1.0)
    return places


def _marks(factor: Factor) -> list[tuple[float, str]]:
    """Return positions along the range of a number, from 0 to 1, each with its label."""
    low, high = factor.numbers.min(), factor.numbers.max()
    shares = np.linspace(0, 1, 4)
    values = low * (high / low) ** shares if factor.log else low + (high - low) * shares
    return [
        (float(share), format_number(v, factor.unit))
        for share, v in zip(shares, values, strict=True)
    ]


def _table(batch: BatchData, factor: Factor, ranked: Sequence[RankingEntry]) -> Html:
    metrics = [metric(name) for name in MAIN if name in batch.metrics]
    means = {m.column: at_levels(batch, factor, m.column) for m in metrics}
    levels = range(min(len(factor.labels), LEVELS_SHOWN))
    points = np.bincount(factor.levels, minlength=len(factor.labels))
    headers = [head("Policy"), head(factor.key), head("Points"),
               *(head(m.name, m.unit) for m in metrics)]  # fmt: skip
    rows = [
        [
            entry_head(s),
            tag("td", text(factor.labels[i])),
            tag("td", text(f"{points[i]:,}")),
            *(
                tag("td", text(interval(m, at.mean[s.index], at.half_width[s.index])))
                for m in metrics
                for at in [means[m.column][i]]
            ),
        ]
        for s in ranked[:_MOST_ROWS]
        for i in levels
    ]
    caption = f"Means at each value of {factor.key}, over all else"
    left = []
    if len(ranked) > _MOST_ROWS:
        left.append(f"The first {_MOST_ROWS} of {len(ranked)} policies.")
    if len(factor.labels) > len(levels):
        left.append(f"The first {len(levels)} of {len(factor.labels):,} values.")
    parts = [table(headers, rows, caption=caption), *([paragraph(*left)] if left else [])]
    return folded("Its numbers", *parts)


_MOST_PAIRS = 3
_MOST_HEAT_POLICIES = 12
_STEPS = {RATE: (0, 0.3, 1, 3, 10, 30), OVER: (1, 3, 10, 30, 100, 300)}
"""Where a cell's colour changes: steps of a factor of about three."""
_CROSS = "\N{MULTIPLICATION X}"


def pairs_section(
    batch: BatchData, measured: Sequence[Factor], ranked: Sequence[RankingEntry]
) -> Html:
    """Return the section with tables of two factors at a time, for each policy."""
    title = "Two factors at a time"
    gridded = [f for f in measured if not f.classed and len(f.labels) <= MOST_VALUES]
    if len(gridded) < 2:
        why = "There are fewer than two factors with a few values each: nothing to cross."
        return section("pairs", title, paragraph(why))
    pairs = list(combinations(gridded, 2))
    sentences = [
        "Means over all else. Darker is more; "
        f"{_CROSS} marks where the mean share of violated intervals is above the SLA's target."
    ]
    if len(pairs) > _MOST_PAIRS:
        pairs = pairs[:1]
        sentences.append("Of all pairs, the two factors of the largest effect.")
    shown = ranked[:_MOST_HEAT_POLICIES]
    if len(shown) < len(ranked):
        sentences.append(f"The first {len(shown)} of {len(ranked)} policies.")
    options = [tag("option", text(s.name), value=i) for i, s in enumerate(shown)]
    label = tag("label", text("Policy "), tag("select", *options, id="heat-policy"))
    choose = tag("div", label, class_="controls", hidden=True)
    tables = [
        tag("div", *(_pair(batch, pair, s) for pair in pairs), class_="heat", hidden=i > 0)
        for i, s in enumerate(shown)
    ]
    return section("pairs", title, paragraph(*sentences), choose, *tables)


def _pair(batch: BatchData, pair: tuple[Factor, Factor], entry: RankingEntry) -> Html:
    down, across = sorted(pair, key=lambda factor: -len(factor.labels))
    cell = down.levels * len(across.labels) + across.levels
    size = len(down.labels) * len(across.labels)
    missed = _mean(cell, batch.mean_burn[:, entry.index], size) > 1 + 1e-12
    tables = []
    for name in EFFECTS:
        shown = metric(name)
        means = _mean(cell, batch.at_points(name)[:, entry.index], size)
        marks = missed if name == RATE else np.zeros(size, dtype=bool)
        rows = []
        for i, label in enumerate(down.labels):
            part = slice(i * len(across.labels), (i + 1) * len(across.labels))
            cells = [
                _cell(
                    shown.text(value), value * shown.display.scale, _STEPS[name], crossed=bool(mark)
                )
                for value, mark in zip(means[part], marks[part], strict=True)
            ]
            rows.append([tag("th", text(label), scope="row"), *cells])
        headers = [head(f"{down.key} \\ {across.key}"), *(head(label) for label in across.labels)]
        caption = f"{entry.name}: {shown.name.lower()}, {shown.unit}"
        tables.append(table(headers, rows, caption=caption))
    return tag("div", *tables, class_="pair")


def _mean(cell: Floats | np.ndarray, values: Floats, size: int) -> Floats:
    known = np.isfinite(values)
    counts = np.bincount(cell[known], minlength=size)
    sums = np.bincount(cell[known], values[known], size)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _cell(face: str, value: float, steps: Sequence[float], *, crossed: bool) -> Html:
    level = sum(value > limit for limit in steps)
    return tag("td", text(f"{_CROSS} {face}" if crossed else face), class_=f"h{level}")
