"""Options and arguments that several commands share, or that are long to write."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ScenarioArgument = Annotated[str, typer.Argument(help="A path, or the name of a shipped scenario.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, such as events.0.factor=2."),
]
NoPoliciesOption = Annotated[
    bool, typer.Option("--no-policies", help="Run no code of policies that are not shipped.")
]
PoliciesOption = Annotated[
    str | None,
    typer.Option(metavar="A,B", help="The scenario's own, shipped ones, or files by path."),
]
SeedOption = Annotated[int | None, typer.Option(help="Seed, instead of the scenario's.")]
ForkOption = Annotated[
    str | None,
    typer.Option(metavar="'3d 18h'", help="When branches leave, from the replay's start."),
]
BranchOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="What is different from the fork on; repeatable."),
]
LeadTimesOption = Annotated[
    str | None,
    typer.Option(metavar="0s,15min,1h", help="Compare these, on all links, on one demand."),
]
JournalOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Decide again what a living twin decided; its state."),
]
OptionalScenario = Annotated[
    str | None,
    typer.Argument(help="A path, or the name of a shipped one; may be absent beside --journal."),
]
