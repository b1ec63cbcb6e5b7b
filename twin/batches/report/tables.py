"""The tables of a batch's report: ranking, differences, worst and failed runs, what was run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import yaml

from twin.batches.estimate import Floats
from twin.batches.report.source import BURN, OVER, RATE, Found
from twin.batches.report.standing import Standing
from twin.batches.report.words import face, interval, signed
from twin.report.page.markup import (
    Html,
    breakable,
    head,
    paragraph,
    section,
    some,
    swatch,
    table,
    tag,
    text,
)
from twin.report.page.metrics import metric, present

MAIN = (
    RATE, OVER, "sla_violation_minutes", "unmet_mbit", "unmet_pct", "allocated_mean_mbps", "cost",
)  # fmt: skip
_WORST = 10
_MOST_ERRORS = 20
_MOST_TEXT = 300
_MOST_SPEC = 20_000
_DIGEST = 12


def policy_head(standing: Standing, scope: str = "row") -> Html:
    """Return the head of a policy's row, in its colour."""
    bound = tag("small", text("bound, not ranked")) if standing.bound else Html("")
    name = breakable(standing.name)
    return tag("th", swatch(standing.index), text(" "), name, bound, scope=scope)


def ranking(found: Found, ranked: Sequence[Standing]) -> Html:
    """Return the section of the ranking."""
    if not ranked:
        return section("ranking", "Ranking", paragraph("No run ended well."))
    said = [
        "Means over all points, each of which counts the same. First is who keeps the SLA at most "
        "points, then who provisions least too much. A point is within the SLA where the mean over "
        "its replications is, all links together."
    ]
    if found.most_replications > 1:
        said.append(
            "\N{PLUS-MINUS SIGN} is half of a 95 % interval over replications: with other seeds, "
            "19 of 20 such intervals hold the true mean."
        )
    if any(s.beside for s in ranked):
        said.append(
            "\N{ALMOST EQUAL TO} marks a policy whose paired differences to the one before it, in "
            "over-provisioning and in violations, both include 0: their order may be chance."
        )
    parts = [_ranks(found, ranked), _differences(found, ranked), _every(found, ranked)]
    return section("ranking", "Ranking", paragraph(*said), *parts)


def _ranks(found: Found, ranked: Sequence[Standing]) -> Html:
    metrics = [metric(name) for name in MAIN if name in found.metrics]
    means = {m.column: found.mean(m.column) for m in metrics}
    points, runs = found.finished_points, len(found.points)
    headers = [
        head("Policy"), head("Rank"), head("Points within SLA", f"of {points:,}"),
        head("Runs within SLA", f"of {runs:,}"), *(head(m.name, m.unit) for m in metrics),
    ]  # fmt: skip
    rows = []
    for s in ranked:
        mark = "\N{ALMOST EQUAL TO} " * s.beside
        rank = "\N{EN DASH}" if s.rank is None else f"{mark}{s.rank}"
        cells = [
            tag("td", text(rank), data_value=s.rank),
            tag("td", text(f"{s.points:,}"), data_value=s.points),
            tag("td", text(f"{s.runs:,}"), data_value=s.runs),
        ]
        for m in metrics:
            mean, width = means[m.column].mean[s.index], means[m.column].half_width[s.index]
            value = None if np.isnan(mean) else f"{mean:.9g}"
            cells.append(tag("td", _interval(m.text(mean), m.text(width), width), data_value=value))
        rows.append([policy_head(s), *cells])
    caption = f"Policies over {points:,} points and {runs:,} runs"
    return table(headers, rows, caption=caption, class_="sortable")


def _interval(mean: str, width: str, known: float) -> Html:
    if np.isnan(known):
        return text(mean)
    return Html(text(mean) + tag("small", text(f"\N{PLUS-MINUS SIGN} {width}"), class_="pm"))


def _differences(found: Found, ranked: Sequence[Standing]) -> Html:
    """Return the paired differences to the first policy."""
    first = found.policies[0]
    title = tag("h3", text(f"Against {first}, run by run"))
    others = [s for s in ranked if s.index]
    if not others:
        return Html(title + paragraph("There is only one policy: nothing to compare it with."))
    headers = [head("Policy")]
    columns = []
    for name in (RATE, OVER):
        shown, apart = metric(name), found.apart(name)
        columns.append((shown, apart, _wins(found, name)))
        unit = "points of %"
        headers += [head(shown.name, f"difference, {unit}"), head("Better", "% of runs")]
    rows = []
    for s in others:
        cells = []
        for shown, apart, wins in columns:
            mean, width = apart.mean[s.index], apart.half_width[s.index]
            chance = bool(not np.isnan(width) and abs(mean) <= width)
            told = signed(shown, mean, width) + " (may be 0)" * chance
            cells.append(tag("td", text(told), data_value=f"{mean:.9g}"))
            won = wins[s.index]
            cells.append(tag("td", text(_share(won)), data_value=f"{won:.4g}"))
        rows.append([policy_head(s), *cells])
    said = (
        "Every run replays all policies on the same demand and events, so that differences are "
        "paired; below 0 is better. Ties count as half better. comparisons.csv has them for every "
        "point and metric."
    )
    shown_table = table(headers, rows, caption=f"Paired differences to {first}", class_="sortable")
    return Html(title + paragraph(said, class_="note") + shown_table)


def _share(value: float) -> str:
    return "\N{EN DASH}" if np.isnan(value) else f"{100 * value:.0f}"


def _wins(found: Found, name: str) -> Floats:
    """Return the share of runs in which each policy has less of a metric than the first."""
    values = found.values(name)
    better = (1 + np.sign(values[:, :1] - values)) / 2
    known = np.isfinite(better)
    with np.errstate(invalid="ignore"):
        share: Floats = np.where(known, better, 0).sum(axis=0) / known.sum(axis=0)
    return share


def _every(found: Found, ranked: Sequence[Standing]) -> Html:
    rows = []
    for m in present(found.metrics):
        mean = found.mean(m.column)
        unit = tag("small", text(m.unit)) if m.unit else Html("")
        cells = [
            tag("td", text(interval(m, mean.mean[s.index], mean.half_width[s.index])))
            for s in ranked
        ]
        rows.append([tag("th", text(m.name), unit, scope="row"), *cells])
    headers = [head("Metric"), *(policy_head(s, "col") for s in ranked)]
    shown = table(headers, rows, caption="Every metric, means over all points")
    return tag("details", tag("summary", text("Every metric")), shown)


def worst(found: Found, ranked: Sequence[Standing]) -> Html:
    """Return the section of the runs that violated most."""
    own = [s for s in ranked if s.rank is not None] or list(ranked)
    if not own:
        return section("worst", "Worst runs", paragraph("No run ended well."))
    said = paragraph(
        "To see one with every interval and a report of its own, make it again, with the file of "
        "the sweep and the beginning of the run's id, and with --out where the batch has:"
    )
    command = tag("pre", tag("code", text("twin batch SWEEP --show RUN_ID")))
    tables = [
        _worst(found, own, name, "any ranked policy")
        for name in (RATE, "unmet_mbit")
        if name in found.metrics
    ]
    if len(own) > 1:
        tables.append(_worst(found, own[:1], RATE, own[0].name))
    return section("worst", "Worst runs", said, command, *tables)


def _worst(found: Found, own: Sequence[Standing], name: str, whose: str) -> Html:
    shown = [metric(RATE), metric(OVER), metric("unmet_mbit")]
    shown = [m for m in shown if m.column in found.metrics]
    numbers = [s.index for s in own]
    values = np.nan_to_num(found.values(name)[:, numbers], nan=-1.0)
    most = values.max(axis=1)
    order = [run for run in np.argsort(-most, kind="stable")[:_WORST] if most[run] > 0]
    title = f"Most {metric(name).name.lower()} under {whose}, {metric(name).unit}"
    if not order:
        return paragraph(f"{title}: none in any run.")
    all_values = {m.column: found.values(m.column) for m in shown}
    headers = [head("Run"), head("Policy", class_="l"), *(head(m.name, m.unit) for m in shown),
               *(head(key, class_="l") for key in found.keys), head("Replication"), head("Seed")]  # fmt: skip
    rows = []
    for run in order:
        facts = found.heads.iloc[run]
        policy = numbers[int(values[run].argmax())]
        cells = [tag("td", breakable(found.policies[policy]), class_="l")]
        cells += [tag("td", text(m.text(all_values[m.column][run, policy]))) for m in shown]
        cells += [tag("td", breakable(face(facts[key])), class_="l") for key in found.keys]
        cells += [tag("td", text(facts[column])) for column in ("replication", "seed")]
        rows.append([tag("th", tag("code", text(facts["run_id"])), scope="row"), *cells])
    return table(headers, rows, caption=title)


def failed(found: Found) -> Html:
    """Return the section of the runs that failed, by what they failed with."""
    if not len(found.failed):
        return section("failed", "Failed runs", paragraph("None."))
    counts = found.failed["error"].value_counts(sort=False)
    order = sorted(counts.index, key=lambda error: (-counts[error], error))
    rows = []
    for error in order[:_MOST_ERRORS]:
        ids = found.failed["run_id"][(found.failed["error"] == error).to_numpy()].tolist()
        rows.append(
            [
                tag("th", text(f"{len(ids):,}"), scope="row"),
                tag("td", text(_cut(str(error), _MOST_TEXT)), class_="l"),
                tag("td", text(some(ids, 3)), class_="l"),
            ]
        )
    total = len(found.failed) + len(found.heads)
    said = [
        f"{len(found.failed):,} of {total:,} runs failed and are left out of all else.",
        "Tracebacks are in journal.jsonl; 'twin batch SWEEP --retry-failed' tries them again.",
    ]
    if len(order) > len(rows):
        said.append(f"{len(order) - len(rows):,} more messages are in the table of runs.")
    headers = [head("Runs"), head("Error"), head("Their ids")]
    shown = table(headers, rows, caption="Failed runs by message", class_="words")
    return section("failed", "Failed runs", paragraph(*said), shown)


def ran(found: Found) -> Html:
    """Return the section that says what was run, and what the metrics mean."""
    facts = found.facts
    digests = [(f"Digest of {name}", _short(value)) for name, value in facts["sha256"].items()]
    rows = [
        ("Sweep", found.name),
        ("Status", str(facts["status"])),
        ("Scenario", _file(facts.get("scenario", ""))),
        ("Demand", str(facts.get("demand", ""))),
        ("Links", str(facts.get("links", ""))),
        ("Seed", str(facts.get("seed", ""))),
        ("Varied keys", some(found.keys, 20) or "none"),
        ("Digest of the sweep", _short(facts.get("sweep_sha256"))),
        *digests,
        ("Versions", ", ".join(f"{k} {v}" for k, v in facts["versions"].items() if v)),
    ]
    body = [[tag("th", text(k), scope="row"), tag("td", text(v), class_="l")] for k, v in rows]
    shown = table((), body, caption="What decided the numbers", class_="facts")
    spec = yaml.safe_dump(facts["sweep"], sort_keys=False, allow_unicode=True)
    code = tag("pre", tag("code", text(_cut(spec, _MOST_SPEC))))
    whole = tag("details", tag("summary", text("The sweep, with every default")), code)
    return section("run", "What was run", shown, whole, _legend(found))


def _legend(found: Found) -> Html:
    terms = []
    for m in present([*found.metrics, BURN]):
        unit = f" ({m.unit})" if m.unit else ""
        terms += [tag("dt", text(f"{m.name}{unit}")), tag("dd", text(m.meaning))]
    return tag("div", tag("h3", text("What the metrics mean")), tag("dl", *terms))


def _cut(written: str, most: int) -> str:
    if len(written) <= most:
        return written
    return f"{written[:most]} ... {len(written) - most:,} more characters"


def _file(path: Any) -> str:
    return str(path).replace("\\", "/").rsplit("/", 1)[-1]


def _short(digest: object) -> str:
    return f"SHA-256 {str(digest)[:_DIGEST]}\N{HORIZONTAL ELLIPSIS}"
