"""`twin data`: makes, describes and downloads traces; describes and draws networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin.core.errors import InputError

app = typer.Typer(
    help="Make, describe or download traces and networks.", invoke_without_command=True
)


@app.callback()
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="NAME.csv, .csv.gz or .parquet.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed.")] = 1,
    facilities: Annotated[int, typer.Option(min=1, help="Number of links.")] = 4,
    length: Annotated[str, typer.Option(help="Length, such as 14d.")] = "37d 6h 50min",
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Write a generated trace, as the synthetic source replays it."""
    from twin.cli.traces import write_synthetic

    write_synthetic(out, seed, facilities, length, force=force)


@app.command()
def info(
    trace: Annotated[
        str,
        typer.Argument(
            metavar="TRACE_OR_NET",
            help="A CSV or Parquet file, a dataset's folder, a scenario, or a network's file.",
        ),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A key of the scenario, such as demand.unit=bit/s."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the network: NAME.svg or NAME.png.")
    ] = None,
) -> None:
    """Describe a trace and what was repaired in it, or a network and what is odd about it."""
    from twin.cli.networks import is_network_file, print_network_file
    from twin.cli.traces import print_description

    if is_network_file(trace):
        if set_:
            raise InputError("--set: does not go with the file of a network")
        print_network_file(trace, out)
    else:
        print_description(trace, set_ or [], out)


@app.command(name="import")
def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="What a tool exported.")],
    out: Annotated[
        Path | None, typer.Option(help="A scenario to write; without it the block is printed.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the scenario.")] = False,
) -> None:
    """Look at the export of another tool, and write the block `demand` that reads it."""
    from twin.cli.importing import import_export

    import_export(files, out, force=force)


@app.command()
def fetch(
    folder: Annotated[Path, typer.Argument(help="Folder to unpack to.")] = Path("data"),
    url: Annotated[str | None, typer.Option(help="Another address of the archive.")] = None,
    digest: Annotated[str | None, typer.Option(help="Its digest, such as md5:...")] = None,
) -> None:
    """Download the public dataset of network operator KPIs."""
    from twin.demand import fetch as fetching

    where = fetching.fetch(
        folder,
        fetching.URL if url is None else url,
        fetching.DIGEST if digest is None else digest,
    )
    typer.echo(f"Unpacked to {where}")
