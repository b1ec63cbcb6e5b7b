"""`twin frontier`: from a scenario to what each policy's knob buys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from twin.cli.progress import progress
from twin.core.errors import InputError, Problem
from twin.core.units import counted, share
from twin.report.run.recommended import FrontierRow, Setting, chosen, recommendation
from twin.results.folder import check_free
from twin.results.table import cell, show_rows
from twin.scenario.given import Overrides
from twin.scenario.load import Scenario
from twin.studies.frontier.sweep import Frontier, sweep
from twin.studies.frontier.write import save

_HEADERS = (
    "policy", "knob", "set to", "history:\nviolated\n% intervals", "over-prov.\n% of demand",
    "replay:\nviolated\n% intervals", "over-prov.\n% of demand ", "links\nwithin SLA",
    "dominated by",
)  # fmt: skip
_DROPPED_FIRST = (_HEADERS[1], _HEADERS[-1], _HEADERS[3])


def frontier_scenario(
    scenario: str,
    policies: str | None,
    points: int,
    validation: str,
    overrides: Sequence[str],
    out: Path | None,
    *,
    force: bool,
) -> None:
    """Turn each policy's knob, print the settings to choose, and write the folder.

    `policies` is a list with commas; None stands for the scenario's own. `validation` is the share
    of the history, its end, on which settings are chosen.
    """
    part = _share(validation)
    picks = None if policies is None else tuple(name.strip() for name in policies.split(","))
    checked = Scenario.load(scenario, Overrides(tuple(overrides), picks))
    folder = out or Path("out") / f"frontier-{checked.spec.name}"
    # Before the work rather than after it.
    place = check_free(folder, force=force)
    with progress(f"frontier of {checked.spec.name}") as show:
        frontier = sweep(checked, points, show, part)
    # Before anything is printed: whoever closes the pipe keeps the table.
    save(frontier, place, force=force)
    print_frontier(frontier)
    typer.echo(f"\nWritten to {folder}/: frontier.csv, figures/frontier.png")


def _share(text: str) -> float:
    try:
        value = share(text)
    except ValueError as error:
        raise InputError(Problem(str(error), "--validation")) from None
    if not 0 < value < 1:
        raise InputError(Problem(f"must lie between 0 and 100 %, not {text}", "--validation"))
    return value


def print_frontier(frontier: Frontier) -> None:
    """Print, for each policy, the setting chosen on the history, and what it gave in the replay."""
    scenario = frontier.scenario
    typer.echo(
        f"{scenario.spec.name}: {len(frontier.replayed)} settings of {len(frontier.policies)} "
        f"policies on {counted(len(scenario.links), 'link')}, SLA target "
        f"{100 * scenario.spec.sla.target:g} % of intervals"
    )
    typer.echo(f"Demand: {scenario.trace.origin}")
    settings = chosen(frontier.points)
    order = [setting.policy for setting in settings]
    show_rows(_HEADERS, [_row(frontier, one, order) for one in settings], _DROPPED_FIRST)
    if not all(setting.held for setting in settings):
        typer.echo("* kept the SLA on every link at no setting there; this one violates least.")
    typer.echo(recommendation(frontier.points, scenario.trace.tick_s))
    if scenario.spec.events:
        happens = counted(len(scenario.spec.events), "event")
        typer.echo(f"The replay has {happens}; the history, on which settings are chosen, none.")
    typer.echo(
        "Dominated: for each of its settings there is one of another policy with at most as many "
        "violations and as much over-provisioning in the replay, and less of one by at least 1 %."
    )


def _row(frontier: Frontier, setting: Setting, order: Sequence[str]) -> list[str]:
    name, replay = setting.policy, setting.replay
    verdict = "(the bound)" if setting.bound else _first(frontier.dominated_by(name), order)
    value = setting.value or "fixed"
    kept, missed = int(replay["links_within_sla"]), int(replay["links_missing_sla"])
    return [
        name,
        str(setting.history["knob"]) or "-",
        value if setting.held else f"{value} *",
        *_numbers(setting.history),
        *_numbers(replay),
        f"{kept} of {kept + missed}",
        verdict,
    ]


def _numbers(row: FrontierRow) -> list[str]:
    waste = cell("{:.1f}", row["over_provisioning_pct"])
    return [f"{100 * row['sla_violation_rate']:.3f}", waste]


def _first(names: Sequence[str], order: Sequence[str]) -> str:
    """Return the best two of some policies, and how many more there are."""
    ranked = sorted(names, key=order.index)
    more = [f"{len(ranked) - 2} more"] if len(ranked) > 2 else []
    return ", ".join([*ranked[:2], *more]) or "-"
