"""Usage errors of the command line, each on one line after the command it is about."""

from __future__ import annotations

import re
from typing import Any

import typer

from twin.core.errors import did_you_mean

# Typer exports no common base of its usage errors, but this one's is it.
UsageError: Any = typer.BadParameter.__bases__[0]

_WORDS = (
    (r".*valid integer.*", "must be a whole number"),
    (r".*exceeded maximum size", "must be a number of fewer digits"),
    (r".*greater than or equal to (\S+)", r"must be at least \1"),
    (r".*less than or equal to (\S+)", r"must be at most \1"),
    (r".*requires an argument", "needs a value"),
    (r".*does not take a value", "takes no value"),
)


def describe(error: Any) -> str:
    """Return what was wrong, as one line."""
    context = getattr(error, "ctx", None)
    place = context.command_path if context is not None else "twin"
    message = " ".join(str(getattr(error, "message", error)).split()).rstrip(".")
    option = getattr(error, "option_name", None)
    parameter = getattr(error, "param", None)
    for pattern, words in _WORDS:
        message = re.sub(rf"^{pattern}$", words, message)
    if option is not None and message.startswith("No such option"):
        known = [name for p in context.command.params for name in p.opts] if context else []
        message = _no_such("option", option, known)
    elif option is not None:
        message = f"{option}: {message}"
    elif parameter is not None:
        problem = message if message[:4] in ("must", "need") else "is missing"
        return f"{place}: {_shown(parameter)}: {problem}"
    elif message.startswith("No such command") and context is not None:
        message = _no_such("command", message.split("'")[1], context.command.commands)
    return f"{place}: {message[:1].lower() + message[1:] if message[:2] != '--' else message}"


def _no_such(noun: str, word: str, known: Any) -> str:
    hint = did_you_mean(word, known)
    return f"no such {noun}: {word}" + (f"; {hint}" if hint else "")


def _shown(parameter: Any) -> str:
    if parameter.param_type_name == "option":
        return str(parameter.opts[-1])
    return str(parameter.metavar or parameter.name.upper()).split(".")[0]
