"""What `twin data` does with traces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from twin.core import content
from twin.core.errors import InputError, Problem
from twin.core.units import counted, duration, format_duration
from twin.demand.describe import Description, describe
from twin.demand.read import SYNTHETIC_STEP_S
from twin.demand.spec import MOST_SAMPLES
from twin.demand.synthetic import generate
from twin.demand.trace import Trace
from twin.demand.write import write_csv, write_parquet
from twin.results.table import console, say, show_rows
from twin.scenario.cache import Cache
from twin.scenario.given import Overrides
from twin.scenario.load import Scenario
from twin.scenario.trace import load_trace
from twin.topology.topology import Topology


def write_synthetic(out: Path, seed: int, facilities: int, length: str, *, force: bool) -> None:
    """Write a generated trace to `out`."""
    if not out.name.endswith((".csv", ".csv.gz", ".parquet")):
        raise InputError(Problem(f"FILE: '{out}' must end in .csv, .csv.gz or .parquet"))
    if out.exists() and not force:
        raise InputError(Problem("FILE: is there already", file=out, suggestion="add --force"))
    try:
        samples = int(duration(length) // SYNTHETIC_STEP_S)
    except ValueError as error:
        raise InputError(Problem(f"--length: {error}")) from None
    if samples < 1:
        raise InputError(Problem("--length: must be at least 5min"))
    if samples * facilities > MOST_SAMPLES:
        what = f"--facilities: {samples} samples of each make more than {MOST_SAMPLES}"
        raise InputError(Problem(what, suggestion="write fewer, or a shorter --length"))
    kpis = generate(seed, facilities, samples)
    links = [f"link-{i + 1}" for i in range(facilities)]
    write = write_parquet if out.suffix == ".parquet" else write_csv
    try:
        write(out, links, kpis, SYNTHETIC_STEP_S)
    except OSError as error:
        what = f"FILE: cannot be written: {error.strerror or error}"
        raise InputError(Problem(what, file=out)) from None
    typer.echo(f"Written: {out} ({facilities} links, {samples} samples of 5 minutes, seed {seed})")


def print_description(trace: str, overrides: Sequence[str], picture: Path | None = None) -> None:
    """Print what is in a trace file, a dataset's folder, or a scenario: its trace and its network.

    The network is drawn to `picture`.
    """
    read, topology, routed = _trace(trace, overrides)
    if picture is not None and topology is None:
        raise InputError(Problem(f"--out: there is no network in '{trace}' to draw"))
    described = describe(read)
    out = console()
    series = "flow" if routed else "link"
    say(out, _headline(described, series))
    for note in described.notes:
        say(out, f"Demand: {note}")
    for repair in described.repairs:
        say(out, f"Read: {repair}")
    for warning in described.warnings:
        say(out, f"Warning: {warning}")
    rows = [
        [
            ln.link,
            f"{ln.mean_mbps:.2f}",
            f"{ln.p95_mbps:.2f}",
            f"{ln.max_mbps:.2f}",
            str(ln.missing),
        ]
        for ln in described.links
    ]
    show_rows([series, "mean Mbit/s", "P95 Mbit/s", "max Mbit/s", "missing samples"], rows)
    if topology is not None:
        from twin.cli.networks import print_network

        print_network(topology, None, picture)


def _trace(trace: str, overrides: Sequence[str]) -> tuple[Trace, Topology | None, bool]:
    """Return what is described: a trace, its network, and whether its series are routed there."""
    path = Path(trace)
    if path.suffix in (".yaml", ".yml") or trace in content.shipped("scenarios"):
        # Policies' code is not needed to describe a trace, and not run.
        cache = Cache(run_policies=False)
        scenario = Scenario.load(trace, Overrides(tuple(overrides)), cache=cache)
        return scenario.trace, scenario.topology, scenario.scope.routed
    source = (
        "zenodo" if content.is_folder(path) else "parquet" if path.suffix == ".parquet" else "csv"
    )
    return load_trace({"source": source, "path": trace}, overrides), None, False


def _headline(described: Description, series: str) -> str:
    starts = f", from {described.starts.isoformat()}" if described.starts else ""
    return (
        f"{described.origin}: {counted(len(described.links), series)}, "
        f"{described.samples} samples of "
        f"{format_duration(described.tick_s)} ({format_duration(described.span_s)}{starts}), "
        f"KPIs {', '.join(described.kpis)}, {described.missing} missing samples"
    )
