"""The command line: `twin` and `python -m twin`.

Exit codes: 0 done, 1 a run failed, 2 bad input. Everything heavy is imported by the command
that needs it, so that help and errors come at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from twin import __version__
from twin.cli import data
from twin.cli.finish import finish
from twin.cli.options import (
    BranchOption,
    ForkOption,
    JournalOption,
    LeadTimesOption,
    NoPoliciesOption,
    OptionalScenario,
    PoliciesOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
)  # fmt: skip
from twin.cli.serve import serve
from twin.core.errors import InputError, Problem
from twin.core.printable import printable

app = typer.Typer(
    name="twin",
    help="Replay traffic over an operator's links and compare provisioning policies.",
    rich_markup_mode=None,
    add_completion=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data.app, name="data")
app.command()(serve)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"twin {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback has done its work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def run(
    scenario: OptionalScenario = None,
    policies: PoliciesOption = None,
    set_: SetOption = None,
    seed: SeedOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default out/NAME.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a run in that folder.")] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Draw no figures.")] = False,
    frontier: Annotated[
        bool, typer.Option("--frontier", help="Turn each policy's knob too, for the report.")
    ] = False,
    fork: ForkOption = None,
    branch: BranchOption = None,
    lead_times: LeadTimesOption = None,
    journal: JournalOption = None,
) -> None:
    """Replay a scenario under each of its policies and compare them."""
    if journal is not None:
        from twin.cli.journal import run_journal

        others = (policies, set_, seed, frontier, fork, branch, lead_times)
        run_journal(journal, scenario, others, out, force=force, report=not no_report)
        return
    from twin.cli.run import run_scenario

    if scenario is None:
        remedy = "give a path, or the name of a shipped one"
        raise InputError(Problem("is missing", "twin run: SCENARIO", suggestion=remedy))
    if (fork is None) != (not branch):
        missing, there = ("--fork", "--branch") if fork is None else ("--branch", "--fork")
        raise InputError(Problem(f"is missing beside {there}", missing))
    if fork is not None and frontier:
        raise InputError(Problem("cannot go with --fork", "--frontier"))
    if lead_times is not None and (fork is not None or frontier):
        other = "--frontier" if fork is None else "--fork"
        raise InputError(Problem(f"cannot go with {other}", "--lead-times"))

    picks = None if policies is None else [name.strip() for name in policies.split(",")]
    run_scenario(
        scenario, picks, set_ or [], seed, out,
        force=force, report=not no_report, frontier=frontier, fork=fork, branches=branch or [],
        lead_times=lead_times,
    )  # fmt: skip


@app.command()
def contingency(
    scenario: ScenarioArgument,
    order: Annotated[
        int, typer.Option(min=1, max=2, help="2: every two connections at once as well.")
    ] = 1,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="So many failures, drawn at random.")
    ] = None,
    policies: PoliciesOption = None,
    set_: SetOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; default out/NAME-contingency.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a run in that folder.")] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no page.")] = False,
) -> None:
    """Hold every failure at every tick against what each policy had allocated."""
    from twin.cli.contingency import run_contingency

    picks = None if policies is None else [name.strip() for name in policies.split(",")]
    run_contingency(
        scenario, picks, set_ or [], out, order=order, sample=sample, force=force,
        report=not no_report,
    )  # fmt: skip


@app.command()
def outlook(
    scenario: ScenarioArgument,
    growth: Annotated[
        str | None,
        typer.Option(metavar="30%/year", help="Of all demand; default: stated, else fitted."),
    ] = None,
    ahead: Annotated[
        str, typer.Option("--for", metavar="24mo", help="How far to look ahead.")
    ] = "24mo",
    at: Annotated[
        str, typer.Option(metavar="80%", help="The target: a share of capacity.")
    ] = "80%",
    of: Annotated[
        str, typer.Option(metavar="p95", help="What is busy: p95, max, mean or busy_hour ...")
    ] = "p95",
    over: Annotated[
        str, typer.Option(metavar="7d", help="... of the demand over this time.")
    ] = "7d",
    fit: Annotated[
        str, typer.Option(metavar="compound|linear", help="What is fitted where none is stated.")
    ] = "compound",
    set_: SetOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; default out/NAME-outlook.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a run in that folder.")] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no page.")] = False,
) -> None:
    """Say when each link runs out, and what upgrades cost."""
    from twin.cli.outlook import run_outlook

    asked = {"--for": ahead, "--at": at, "--of": of, "--over": over, "--fit": fit}
    if growth is not None:
        asked["--growth"] = growth
    run_outlook(scenario, set_ or [], out, asked=asked, force=force, report=not no_report)


@app.command()
def batch(
    sweep: Annotated[str, typer.Argument(help="A path.")],
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes; default: one a core. 0: in the command's own."),
    ] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler, such as tcp://...")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default out/NAME.")] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try runs again that failed before.")
    ] = False,
    retries: Annotated[
        int | None, typer.Option(min=0, help="Tries again of a run whose worker died; default 3.")
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Say how the batch stands; run nothing.")
    ] = False,
    show: Annotated[
        str | None,
        typer.Option(metavar="RUN_ID", help="Make one run again, with all its records."),
    ] = None,
    no_policies: NoPoliciesOption = False,
) -> None:
    """Run a sweep; the same command again resumes it."""
    from twin.cli.batch import run_batch, show_run, show_status

    if no_policies and not status:
        raise InputError(Problem("goes with --status alone", "--no-policies"))
    if status:
        show_status(sweep, out, run_policies=not no_policies)
    elif show is not None:
        show_run(sweep, show, out)
    else:
        run_batch(sweep, workers, dask, out, retry_failed=retry_failed, retries=retries)


@app.command()
def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Scenarios or sweeps.")],
    overrides: SetOption = None,
    no_policies: NoPoliciesOption = False,
) -> None:
    """Check scenarios and sweeps, and all that they name, without running them.

    The code of policies is run, unless --no-policies says otherwise: only it knows its parameters.
    """
    from twin.cli.validate import valid

    problems: list[Problem] = []
    for file in files:
        try:
            words = valid(file, overrides or (), run_policies=not no_policies)
            typer.echo(printable(f"{file}: valid: {words}"))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)


@app.command()
def schema(
    sweep: Annotated[bool, typer.Option("--sweep", help="Of sweeps, not of scenarios.")] = False,
) -> None:
    """Print the JSON Schema of scenarios or sweeps, for editors."""
    import json

    from twin.batches.plan.spec import SweepSpec
    from twin.scenario.schema import schema as schema_of
    from twin.scenario.spec import ScenarioSpec

    typer.echo(json.dumps(schema_of(SweepSpec if sweep else ScenarioSpec), indent=2))


@app.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(help="policies, models, scenarios or events.")
    ] = None,
) -> None:
    """List what is shipped, a line each, with parameters and defaults."""
    from twin.cli.listing import lines

    for line in lines(kind):
        typer.echo(line)


@app.command()
def train(
    scenario: Annotated[
        str | None,
        typer.Argument(help="Train on its history; without one, on generated traces."),
    ] = None,
    recipe: Annotated[str, typer.Option(metavar="NAME", help="A recipe of models/.")] = "bilstm",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.onnx", help="Default: RECIPE.onnx here.")
    ] = None,
    set_: SetOption = None,
    seed: SeedOption = None,
    seeds: Annotated[int, typer.Option(min=1, help="Train so many; report the spread.")] = 1,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most this many epochs.")] = None,
    kpis: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="KPIs that it reads, such as internet; default: all."),
    ] = None,
) -> None:
    """Train a forecaster and export it as ONNX with its card."""
    from twin.cli.train import train_model

    train_model(scenario, recipe, out, set_ or [], seed, seeds, epochs, kpis)


@app.command()
def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A finished run, contingency or batch.")
    ],
    slide: Annotated[
        bool, typer.Option("--slide", help="One page for a talk instead: slide.pdf and slide.png.")
    ] = False,
) -> None:
    """Write the report of a finished run, contingency or batch, from its files."""
    from twin.cli.report import report as report_folder

    report_folder(folder, slide=slide)


@app.command()
def evaluate(
    scenario: Annotated[
        str, typer.Argument(help="A path, or the name of a shipped scenario.")
    ] = "baseline",
    models: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Shipped ones, or files by path; default: all shipped."),
    ] = None,
    set_: SetOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; default out/evaluation-NAME.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    ahead: Annotated[
        str | None,
        typer.Option(
            metavar="K,...", help="Horizons to score too: intervals after the coming one."
        ),
    ] = None,
    leave_one_link_out: Annotated[
        str | None,
        typer.Option(metavar="RECIPE,...", help="Train without each link in turn; score that one."),
    ] = None,
) -> None:
    """Score forecasters on a trace, one step ahead at every tick, or further."""
    from twin.cli import evaluate as command

    if leave_one_link_out is not None:
        if ahead is not None:
            raise InputError("--ahead: does not go with --leave-one-link-out")
        command.leave_one_link_out(scenario, leave_one_link_out, set_ or [], out, force=force)
        return
    command.evaluate_scenario(scenario, models, set_ or [], out, force=force, ahead=ahead)


@app.command()
def reproduce(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the public dataset; default: the generated trace."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; default out/reproduction.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train the paper's model here; needs TensorFlow.")
    ] = False,
) -> None:
    """Reproduce the paper's tables and figures, published beside measured."""
    from twin.cli.reproduce import reproduce_paper

    reproduce_paper(data, out, force=force, retrain=retrain)


@app.command()
def frontier(
    scenario: ScenarioArgument,
    policies: PoliciesOption = None,
    points: Annotated[int, typer.Option(min=2, max=100, help="Values of each knob.")] = 9,
    validation: Annotated[
        str, typer.Option(metavar="SHARE", help="Of the history, its end: to choose settings on.")
    ] = "25%",
    set_: SetOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; default out/frontier-NAME.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Turn each policy's knob: violations against over-provisioning, and what to set it to."""
    from twin.cli.frontier import frontier_scenario

    frontier_scenario(scenario, policies, points, validation, set_ or [], out, force=force)


@app.command("check-policy")
def check_policy(
    policy: Annotated[
        str, typer.Argument(metavar="NAME_OR_FILE", help="A shipped policy, or a file by path.")
    ],
) -> None:
    """Try a policy in small worlds: gaps, zeros, jumps, look-ahead and more."""
    from twin.cli.conformance import check_policy as check

    check(policy)


def main() -> NoReturn:
    """Run the command line and exit."""
    sys.exit(call(sys.argv[1:]))


def call(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    return finish(app, arguments)
