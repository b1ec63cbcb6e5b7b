"""`twin frontier`: from a scenario to what each policy's knob buys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from twin.cli.progress import progress
from twin.results.folder import check_free
from twin.results.table import show_rows
from twin.scenario.load import Overrides, Scenario
from twin.studies.frontier.sweep import Frontier, sweep
from twin.studies.frontier.write import save

_HEADERS = (
    "policy", "knob", "least waste\nwithin SLA at", "violated\n% intervals",
    "over-prov.\n% of demand", "dominated by",
)  # fmt: skip


def frontier_scenario(
    scenario: str,
    policies: str | None,
    points: int,
    overrides: Sequence[str],
    out: Path | None,
    *,
    force: bool,
) -> None:
    """Turn each policy's knob, print its best setting, and write the folder.

    `policies` is a list with commas; None stands for the scenario's own.
    """
    picks = None if policies is None else tuple(name.strip() for name in policies.split(","))
    checked = Scenario.load(scenario, Overrides(tuple(overrides), picks))
    folder = out or Path("out") / f"frontier-{checked.spec.name}"
    # Before the work rather than after it.
    check_free(folder, force=force)
    with progress(f"frontier of {checked.spec.name}") as show:
        frontier = sweep(checked, points, show)
    # Before anything is printed: whoever closes the pipe keeps the table.
    save(frontier, folder, force=force)
    print_frontier(frontier)
    typer.echo(f"\nWritten to {folder}/: frontier.csv, figures/frontier.png")


def print_frontier(frontier: Frontier) -> None:
    """Print, for each policy, the setting that holds the SLA target at the least waste."""
    scenario = frontier.scenario
    bounds = set(frontier.points["policy"][frontier.points["bound"]])
    typer.echo(
        f"{scenario.spec.name}: {len(frontier.points)} settings of {len(frontier.policies)} "
        f"policies on {len(scenario.trace.links)} links x {scenario.span.intervals} intervals, "
        f"SLA target {100 * scenario.spec.sla.target:g} % of intervals"
    )
    typer.echo(f"Demand: {scenario.trace.origin}")
    names = sorted(frontier.policies, key=lambda name: _waste(frontier, name))
    show_rows(_HEADERS, [_row(frontier, name, name in bounds) for name in names], _HEADERS[1:2])
    typer.echo(
        "Dominated: for each of its settings there is one of another policy with at most as many "
        "violations and as much over-provisioning, and less of one by at least 1 %."
    )


def _waste(frontier: Frontier, policy: str) -> float:
    best = frontier.cheapest(policy)
    return float("inf") if best is None else float(best["over_provisioning_pct"])


def _row(frontier: Frontier, policy: str, bound: bool) -> list[str]:
    rows = frontier.points[frontier.points["policy"] == policy]
    verdict = "(the bound)" if bound else _first(frontier, frontier.dominated_by(policy))
    knob = str(rows["knob"].iloc[0])
    best = frontier.cheapest(policy)
    if best is None:
        best = rows.iloc[int(rows["sla_violation_rate"].argmin())]
        at = "never"
    else:
        at = f"{best['value']:.4g}" if knob else "always"
    return [
        policy, knob or "-", at, f"{100 * best['sla_violation_rate']:.3f}",
        f"{best['over_provisioning_pct']:.1f}".replace("nan", "-"), verdict,
    ]  # fmt: skip


def _first(frontier: Frontier, names: Sequence[str]) -> str:
    """Return the best two of some policies, and how many more there are."""
    ranked = sorted(names, key=lambda name: _waste(frontier, name))
    more = [f"{len(ranked) - 2} more"] if len(ranked) > 2 else []
    return ", ".join([*ranked[:2], *more]) or "-"
