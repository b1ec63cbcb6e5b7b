"""`twin run --journal`: what a living twin decided, decided again from its journal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import typer

from twin.cli.run import say_result
from twin.core.errors import InputError, Problem
from twin.live.replayed import epoch_in, replayed
from twin.results.folder import check_free
from twin.scenario.load import Scenario

_OTHERS: Final = (
    "--policies", "--set", "--seed", "--frontier", "--fork", "--branch", "--lead-times",
)  # fmt: skip


def run_journal(
    journal: Path,
    scenario: str | None,
    others: Sequence[object],
    out: Path | None,
    *,
    force: bool,
    report: bool,
) -> None:
    """Write the result of a journal as a run, and print its table.

    `others` are the values of the options that would change what was decided. Raises InputError.
    """
    for option, value in zip(_OTHERS, others, strict=True):
        if value:
            what = "cannot go with --journal, which decides what was decided"
            raise InputError(Problem(what, option))
    given = None if scenario is None else Scenario.load(scenario)
    folder = out or Path("out") / f"{journal.resolve().name}-journal"
    # Before the replay rather than after it.
    place = check_free(folder, force=force)
    epoch = epoch_in(journal)
    result = replayed(epoch.folder, given)
    result.save(place, force=force, figures=report)
    typer.echo(f"Decided again on a history of {epoch.history.samples:,} samples.")
    if epoch.facts.after:
        since = f"interval {epoch.facts.after}, when the twin began anew: {epoch.facts.why}"
        typer.echo(f"It goes back to {since}; for what came before name a folder of the journal.")
    say_result(result, folder, place)
