"""`twin evaluate`: from a scenario's trace to a table of forecasters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import typer

from twin.account.summary import ALL
from twin.cli.progress import progress
from twin.cli.train import recipe_file
from twin.core.errors import InputError, Problem
from twin.core.units import counted, format_duration
from twin.forecast.names import AUTO, PERSISTENCE
from twin.results.folder import check_free, files_of
from twin.results.manifest_file import MANIFEST
from twin.results.table import cell, show_rows
from twin.scenario.cache import Cache
from twin.scenario.given import Overrides
from twin.scenario.load import Scenario
from twin.studies.evaluation import unseen
from twin.studies.evaluation.evaluate import Evaluation, evaluate
from twin.studies.evaluation.horizons import SEASONAL, HorizonEvaluation, evaluate_horizons
from twin.studies.evaluation.write import save

_SHOWN = (
    ("model", "model", "{}"),
    ("MAE\nMbit/s", "mae", "{:.3f}"),
    ("RMSE\nMbit/s", "rmse", "{:.3f}"),
    ("MAE over\npersistence's", "mase", "{:.4f}"),
    ("95 %\nfrom", "mase_low", "{:.4f}"),
    ("\nto", "mase_high", "{:.4f}"),
    ("bias\nMbit/s", "bias", "{:+.3f}"),
    ("samples", "n", "{:d}"),
)
_BY_HORIZON = (
    ("mae", "MAE, Mbit/s", "{:.3f}"),
    ("over_persistence", "MAE over persistence's at the same horizon", "{:.3f}"),
    ("over_seasonal", f"MAE over that of {SEASONAL} at the same horizon", "{:.3f}"),
    *(
        (f"{prefix}coverage_{level}", f"Share at or below {whose} {level} % quantile", "{:.2%}")
        for prefix, whose in (("", "the calibrated"), ("own_", "a model's own"))
        for level in (90, 95, 99)
    ),
)
_UNSEEN = (
    ("recipe", "recipe", "{}"),
    ("link", "link", "{}"),
    ("persistence\nMbit/s", "persistence_mae", "{:.3f}"),
    ("linear\nalone", "linear", "{:.4f}"),
    ("trained on\nall links", "all_links", "{:.4f}"),
    ("trained on\nthe others", "other_links", "{:.4f}"),
    ("samples", "n", "{:d}"),
)


def evaluate_scenario(
    scenario: str,
    models: str | None,
    overrides: Sequence[str],
    out: Path | None,
    *,
    force: bool,
    ahead: str | None = None,
) -> None:
    """Evaluate forecasters on a scenario's trace, print their table and write the folder.

    `models` is a list with commas; None stands for every shipped model. `ahead` is one of horizons
    to evaluate as well, at which `auto` may be among the models.
    """
    picks = None if models is None else [name.strip() for name in models.split(",") if name.strip()]
    horizons = None if ahead is None else intervals_ahead(ahead)
    cache = Cache(run_policies=False)
    checked = Scenario.load(scenario, Overrides(tuple(overrides)), cache=cache)
    folder = out or Path("out") / f"evaluation-{checked.spec.name}"
    # Before the work rather than after it.
    place = check_free(folder, force=force)
    further = None
    if horizons is not None:
        with progress("samples") as show:
            further = evaluate_horizons(checked, horizons, picks, show)
        if picks is not None and AUTO in picks:
            picks = [name for name in picks if name != AUTO] or [PERSISTENCE]
    evaluation = evaluate(checked, picks)
    # Before anything is printed: whoever closes the pipe keeps the tables.
    save(evaluation, place, further, force=force)
    print_scores(evaluation)
    if further is not None:
        print_horizons(further)
    typer.echo(f"\nWritten to {folder}/: {', '.join([*files_of(place), MANIFEST])}")


def intervals_ahead(text: str) -> list[int]:
    """Return the horizons of a list with commas. Raises InputError for what is no whole number."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        if re.fullmatch(r"[+-]?[0-9]{1,9}", part) is None:
            problem = Problem(f"'{part}' is no whole number of intervals", ("--ahead",))
            raise InputError(replace(problem, suggestion="write it like 0,1,12"))
    return [int(part) for part in parts]


def leave_one_link_out(
    scenario: str, recipes: str, overrides: Sequence[str], out: Path | None, *, force: bool
) -> None:
    """Train `recipes` (a list with commas) without each link in turn; print and write scores."""
    names = [name.strip() for name in recipes.split(",") if name.strip()]
    if not names:
        raise InputError("--leave-one-link-out: names no recipe")
    files = {name: recipe_file(name, "--leave-one-link-out") for name in names}
    cache = Cache(run_policies=False)
    checked = Scenario.load(scenario, Overrides(tuple(overrides)), cache=cache)
    folder = out or Path("out") / f"unseen-links-{checked.spec.name}"
    place = check_free(folder, force=force)
    table = unseen.leave_one_link_out(checked, files, report=typer.echo)
    unseen.save(table, checked.spec.name, place, force=force)
    typer.echo("\nMAE one step ahead, over that of persistence (the last value):")
    rows = [
        [cell(text, row[column]) for _, column, text in _UNSEEN] for row in table.to_dict("records")
    ]
    show_rows([header for header, _, _ in _UNSEEN], rows)
    typer.echo(f"\nWritten to {folder}/: {unseen.FILE}")


def print_scores(evaluation: Evaluation) -> None:
    """Print what was evaluated, and a row for each model over all links."""
    scenario = evaluation.scenario
    tick_s, span, links = scenario.trace.tick_s, scenario.span, len(scenario.trace.links)
    typer.echo(
        f"{scenario.spec.name}: {links} link{'s' * (links != 1)}, {span.intervals} samples of "
        f"{format_duration(tick_s)} forecast one step ahead after "
        f"{format_duration(span.history * tick_s)} of history"
    )
    typer.echo(f"Demand: {scenario.trace.origin}")
    if scenario.spec.events:
        typer.echo("Note: events are not applied: it is the trace that is evaluated")
    for note in evaluation.notes:
        typer.echo(f"Note: {note}")
    rows = [
        [cell(text, row[column]) for _, column, text in _SHOWN]
        for row in evaluation.pooled.to_dict("records")
    ]
    show_rows([header for header, _, _ in _SHOWN], rows)
    for row in _pooled_quantiles(evaluation):
        typer.echo(row)


def print_horizons(evaluation: HorizonEvaluation) -> None:
    """Print tables with a row for each model and a column for each horizon, over all links."""
    tick_s = evaluation.scenario.trace.tick_s
    typer.echo(
        "\nBy intervals after the one that is decided now (0), of "
        f"{format_duration(tick_s)}, forecast and outcome both in the replay"
    )
    typer.echo(f"Season of {SEASONAL}, found in the history: {_seasons(evaluation)}")
    for note in evaluation.notes:
        typer.echo(f"Note: {note}")
    pooled = evaluation.scores[evaluation.scores["link"] == ALL]
    for column, title, text in _BY_HORIZON:
        table = pooled.pivot(index="model", columns="ahead", values=column)
        # In the order in which they were evaluated.
        table = table.loc[pooled["model"].unique(), list(evaluation.ahead)].dropna(how="all")
        if table.empty:
            continue
        typer.echo(f"\n{title}:")
        rows = [
            [str(name), *("-" if np.isnan(value) else text.format(value) for value in row)]
            for name, row in zip(table.index, table.to_numpy(), strict=True)
        ]
        show_rows(["ahead", *map(str, evaluation.ahead)], rows)


def _seasons(evaluation: HorizonEvaluation) -> str:
    tick_s, seasons = evaluation.scenario.trace.tick_s, Counter(evaluation.season.tolist())
    named = {p: format_duration(p * tick_s) if p else "none" for p in seasons}
    if len(seasons) == 1:
        return next(iter(named.values()))
    return ", ".join(f"{named[p]} ({counted(n, 'link')})" for p, n in seasons.most_common())


def _pooled_quantiles(evaluation: Evaluation) -> list[str]:
    if evaluation.quantiles.empty:
        return []
    pooled = evaluation.quantiles[evaluation.quantiles["link"] == ALL]
    return [
        f"{row['model']}: {row['coverage']:.2%} of samples at or below the "
        f"{row['quantile']:.1%} quantile, pinball loss {row['pinball']:.4f} Mbit/s"
        for row in pooled.to_dict("records")
    ]
