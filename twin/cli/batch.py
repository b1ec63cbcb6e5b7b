"""`twin batch`: from a sweep to its tables, and what there is to say on the way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import typer

from twin.batches.batch import RETRIES, Batch, batch
from twin.batches.execute.executors import dask
from twin.batches.execute.folder import BEST, COMPARISONS, RUNS, check_batch
from twin.batches.execute.journal import FILE as JOURNAL
from twin.batches.execute.rerun import agrees, rerun
from twin.batches.plan.plan import Plan, pick
from twin.batches.plan.planner import plan
from twin.batches.statistics.ranking import ranking
from twin.batches.status import status
from twin.cli.progress import progress
from twin.cli.validate import not_checked
from twin.core.errors import InputError, Problem, RunError
from twin.core.printable import printable
from twin.forecast.forecaster import usable_cores
from twin.results.folder import files_of
from twin.results.manifest_file import MANIFEST
from twin.results.table import cell, print_table, show_rows
from twin.scenario.cache import Cache

_SHOWN = (
    ("violated\n% intervals", "sla_violation_rate", 100.0, "{:.3f}"),
    ("over-prov.\n% of demand", "over_provisioning_pct", 1.0, "{:.1f}"),
    ("violated\nminutes", "sla_violation_minutes", 1.0, "{:.1f}"),
    ("unmet\nGbit", "unmet_mbit", 1e-3, "{:.2f}"),
    ("cost", "cost", 1.0, "{:,.1f}"),
    ("energy\nkWh", "energy_kwh", 1.0, "{:.1f}"),
)
"""Header, metric, factor and format."""
_OPTIONAL = ("cost", "energy_kwh")
"""Metrics that a scenario has if it says what they need."""
_COUNT = "replica-\ntions"
_DROPPED_FIRST = (_COUNT, "unmet\nGbit", "violated\nminutes")
"""What a narrow terminal does without, in this order."""


_MOST_POINTS = 24
"""Points whose best policy is printed."""


def run_batch(
    sweep: str,
    workers: int | None,
    address: str | None,
    out: Path | None,
    *,
    retry_failed: bool,
    retries: int | None,
) -> None:
    """Run what is missing of a sweep, and print what all of it found."""
    if address is not None and workers is not None:
        what = "--workers: the workers of a Dask scheduler are its own"
        raise InputError(Problem(what, suggestion="leave out one of --dask and --workers"))
    planned = plan(sweep)
    folder = _folder(planned, out)
    options: dict[str, Any] = {
        "retry_failed": retry_failed,
        "retries": RETRIES if retries is None else retries,
        "say": lambda sentence: typer.echo(sentence, err=True),
    }
    try:
        with (
            _terminated_as_interrupted(),
            nullcontext() if address is None else dask(address) as cluster,
            progress(planned.spec.name) as show,
        ):
            if cluster is not None:
                options["executor"], options["chunks"] = cluster
            results = batch(
                planned,
                out=folder,
                workers=usable_cores() if workers is None else workers,
                progress=lambda p: show(p.done, p.total, f"{p.failed} failed" * bool(p.failed)),
                **options,
            )
    except KeyboardInterrupt:
        typer.echo(
            f"interrupted: what was finished is kept in {folder}/; the same command goes on",
            err=True,
        )
        raise typer.Exit(130) from None
    print_batch(results)
    typer.echo(
        f"\nWritten to {folder}/: {RUNS}, {COMPARISONS}, {BEST}; wall times and tracebacks: "
        f"{JOURNAL}; 'twin report {folder}' makes the report"
    )
    if results.progress.failed:
        raise typer.Exit(1)


def show_status(sweep: str, out: Path | None, *, run_policies: bool = True) -> None:
    """Print how a batch stands.

    Without `run_policies` no code of a user's policies is run. Which runs of the journal are those
    of the sweep is unknown then, and all of them are counted.
    """
    cache = Cache(run_policies=run_policies)
    planned = plan(sweep, cache)
    folder = _folder(planned, out)
    check_batch(folder)
    for line in status(planned, folder, whole=not cache.not_run):
        typer.echo(printable(line))
    for line in not_checked(cache):
        typer.echo(printable(f"{line}, and which runs belong to the sweep"))


def show_run(sweep: str, run_id: str, out: Path | None) -> None:
    """Make one run of a sweep again and write all its records."""
    planned = plan(sweep)
    wanted = pick(list(planned.ids()), run_id)
    check_batch(_folder(planned, out))
    folder = _folder(planned, out) / "shown" / wanted
    result = rerun(planned, wanted)
    result.save(folder, force=True)
    print_table(result)
    typer.echo(f"\nWritten to {folder}/: {', '.join([*files_of(folder), MANIFEST])}")
    if not agrees(result, wanted, _folder(planned, out)):
        raise RunError(f"run {wanted} came out with other numbers than the batch has of it")


def print_batch(results: Batch) -> None:
    """Print what each policy came to over the whole batch."""
    runs = results.runs
    shown = [each for each in _SHOWN if runs[each[1]].notna().any() or each[1] not in _OPTIONAL]
    tables = [(ranking(runs, metric), factor, form) for _, metric, factor, form in shown]
    rows = []
    for i, policy in enumerate(results.plan.policies):
        cells = [_cell(table.iloc[i], factor, form) for table, factor, form in tables]
        rows.append([policy, str(tables[0][0]["n"].iloc[i]), *cells])
    headers = ["policy", _COUNT, *(header for header, *_ in shown)]
    show_rows(headers, rows, _DROPPED_FIRST)
    if any("±" in cell for row in rows for cell in row):
        typer.echo("Means over all points; ± half a 95 % interval over replications.")
    _print_best(results)
    failed = results.progress.failed
    if failed:
        first = printable(runs["error"][runs["status"] == "failed"].iloc[0])
        typer.echo(
            f"{failed} of {results.progress.total} runs failed, the first with: {first}; "
            f"the column error of {RUNS} has all"
        )


def _print_best(results: Batch) -> None:
    """Print the best policy at each point, if there are several."""
    best = results.best
    if len(best) < 2:
        return
    keys = list(results.plan.spec.keys)
    headers = [*keys, "best", *(["runs\nkept"] * bool((best["runs"] > 1).any())), "value",
               "saving to\nthe first", "next", "saving to\nthe next"]  # fmt: skip
    rows = []
    for row in best.head(_MOST_POINTS).to_dict("records"):
        kept = [f"{row['runs_kept']} of {row['runs']}"] if "runs\nkept" in headers else []
        rows.append([
            *(str(row[key]) for key in keys), row["policy"] or "none keeps the SLA", *kept,
            _saved(row["value"]), _saving(row, "first"), row["next"] or "-", _saving(row, "next"),
        ])  # fmt: skip
    typer.echo("Best at each point, of those that keep the SLA on every link:")
    show_rows(headers, rows)
    by = " or ".join({"cost": "cost", "over_provisioning_pct": "over-provisioning, % of demand"}[b]
                     for b in sorted(set(best["by"])))  # fmt: skip
    lines = [f"Value and savings: {by}; ~ where the difference may be chance."]
    if len(best) > len(rows):
        lines.append(f"{len(best) - len(rows)} more points: {BEST} has all.")
    for line in lines:
        typer.echo(line)


def _saving(row: dict[Any, Any], to: str) -> str:
    """Return a saving with its interval, marked where it may be chance."""
    mean, width = row[f"saving_to_{to}"], row[f"half_width_to_{to}"]
    size = _saved(mean) if width != width else f"{_saved(mean)} ± {_saved(width)}"
    return f"~ {size}" if row[f"sure_to_{to}"] is False else size


def _saved(value: float) -> str:
    return "-" if value != value else f"{value:,.4g}"


def _cell(row: Any, factor: float, form: str) -> str:
    mean, width = cell(form, row["mean"] * factor), cell(form, row["half_width"] * factor)
    return mean if row["half_width"] != row["half_width"] else f"{mean} ± {width}"


def _folder(planned: Plan, out: Path | None) -> Path:
    return out or Path("out") / planned.spec.name


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Take a request to end, as a cluster sends before its time is up, for Ctrl-C."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
