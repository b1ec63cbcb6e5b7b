"""How a command line ends: with an exit code, and a line for whatever went wrong."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress

import typer

from twin.cli import usage
from twin.cli.usage import UsageError
from twin.core.errors import InputError, Problem, RunError, one_line
from twin.core.files import is_text
from twin.core.printable import printable

_WRONG_NAMES = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)
"""Errors of the system that are the fault of who named the file."""
_NAME_SHOWN = 80


def finish(app: typer.Typer, arguments: list[str]) -> int:
    """Run a command line to its end, whatever that is, and return its exit code."""
    code = 0
    try:
        code = _code(app, arguments)
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except BrokenPipeError:
        _say_no_more()
    except SystemExit as stop:
        # Typer and Rich turn a broken pipe into an exit.
        if not isinstance(stop.__context__, BrokenPipeError):
            raise
        _say_no_more()
    except OSError as error:
        _say_no_more()
        return _fail(1, f"twin: {error}")
    return code


def _code(app: typer.Typer, arguments: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        _check_texts(arguments)
        code = command.main(arguments, prog_name="twin", standalone_mode=False)
    except InputError as error:
        return _fail(2, *map(str, error.problems))
    except RunError as error:
        return _fail(1, one_line(str(error)))
    except UsageError as error:
        return _fail(2, usage.describe(error))
    except (KeyboardInterrupt, typer.Abort):
        return _fail(130, "twin: interrupted; every file is as it was, or written whole")
    except OSError as error:
        # A pipe that is closed is no error, and whoever called us knows it.
        if error.errno not in _WRONG_NAMES or error.filename is None:
            raise
        name, reason = str(error.filename)[:_NAME_SHOWN], str(error.strerror).lower()
        return _fail(2, f"{printable(name)}: {reason}")
    return code if isinstance(code, int) else 0


def _check_texts(arguments: list[str]) -> None:
    """Raise InputError for bytes that are no text, which can be neither shown nor noted down."""
    for argument in arguments:
        if not is_text(argument):
            raise InputError(Problem(f"twin: {argument!a} is not text in UTF-8"))


def _say_no_more() -> None:
    """Drop what is still to be printed: whoever reads it has read enough."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


def _fail(code: int, *lines: str) -> int:
    # Where nobody reads them, the exit code is left.
    with suppress(BrokenPipeError):
        for line in lines:
            typer.echo(line, err=True)
    return code
