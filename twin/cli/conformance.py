"""`twin check-policy`: a line for each check of a policy."""

from __future__ import annotations

import typer

from twin.core import content
from twin.studies.conformance import check


def check_policy(policy: str) -> None:
    """Check a policy, by shipped name or by path, and print a line for each check.

    Exits with 1 where a check fails. Raises InputError for what cannot be loaded.
    """
    report = check(content.find("policies", policy, None, ()))
    for line in report.lines():
        typer.echo(line)
    if not report.passed:
        raise typer.Exit(1)
