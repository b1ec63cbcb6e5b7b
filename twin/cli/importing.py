"""What `twin data import` says of an export, and the scenario that it writes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from twin.core.errors import InputError, Problem
from twin.core.files import replacing
from twin.core.units import counted, format_duration
from twin.demand.export import Guess, look
from twin.demand.trace import Trace
from twin.scenario.source import write

_POLICIES = ("static_p95", "rolling_max", "conformal")
"""What a scenario that is written here compares."""


def import_export(files: Sequence[Path], out: Path | None, *, force: bool) -> None:
    """Look at an export, and print the block that reads it, or write a scenario with it."""
    for file in files:
        if not file.exists():
            raise InputError(Problem("no such file", "", file))
    if out is not None:
        if out.suffix not in (".yaml", ".yml"):
            raise InputError(Problem(f"--out: '{out}' must end in .yaml"))
        if out.exists() and not force:
            raise InputError(Problem("--out: is there already", "", out, None, "add --force"))
    named = [str(file) for file in files]
    guess = look(files, named[0] if len(named) == 1 else named)
    assert guess.trace is not None
    for line in _said(guess, guess.trace):
        typer.echo(line, err=True)
    comments = "".join(f"# {line}\n" for line in _said(guess, guess.trace))
    if out is None:
        typer.echo(write({"demand": guess.block}), nl=False)
        return
    paths = [_beside(file, out) for file in files]
    block = guess.block | {"path": paths[0] if len(paths) == 1 else paths}
    name = "".join(char if char.isalnum() or char in "._-" else "-" for char in out.stem)
    scenario: dict[str, Any] = {"name": name.lstrip("._-") or "imported", "demand": block}
    text = comments + write(scenario | {"policies": list(_POLICIES)})
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
    typer.echo(f"Written: {out}; run it with: twin run {out}", err=True)


def _beside(file: Path, out: Path) -> str:
    """Return a path as a scenario at `out` has to name it."""
    try:
        return Path(os.path.relpath(file.resolve(), out.resolve().parent)).as_posix()
    except ValueError:  # another drive
        return str(file.resolve())


def _said(guess: Guess, trace: Trace) -> list[str]:
    span = format_duration(trace.samples * trace.tick_s)
    starts = "" if trace.starts is None else f" from {trace.starts.isoformat()}"
    mean = float(trace.demand_mbps[trace.demand_mbps == trace.demand_mbps].mean())
    return [
        f"Taken for {guess.taken_for}: {counted(len(trace.links), 'link')} "
        f"({', '.join(trace.links[:4])}{', ...' if len(trace.links) > 4 else ''}), "
        f"{counted(trace.samples, 'interval')} of {format_duration(trace.tick_s)} "
        f"({span}){starts}, "
        f"mean {mean:.4g} Mbit/s",
        *(f"Read: {note}" for note in trace.repairs),
        *(f"Warning: {warning}" for warning in trace.warnings),
        *(f"Unsure: {what}" for what in guess.unsure),
    ]
