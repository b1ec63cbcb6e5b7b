"""Errors as a user reads them: one line per problem, with its place and a remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from twin.core.printable import printable

Loc = tuple[int | str, ...]
"""Where a value is: the keys and list positions that lead to it."""

_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with what a user wrote.

    Printed as ``FILE:LINE: where: what; suggestion``; parts that are absent are left out.
    """

    what: str
    where: str | Loc = ""
    file: str | Path | None = None
    line: int | None = None
    suggestion: str = ""

    def __str__(self) -> str:
        place = "" if self.file is None else f"{self.file}:"
        if self.line is not None:
            place += f"{self.line}:"
        parts = [place] if place else []
        if self.where:
            parts.append(f"{dotted(self.where)}:")
        parts.append(self.what + (f"; {self.suggestion}" if self.suggestion else ""))
        return one_line(" ".join(parts))


class TwinError(Exception):
    """Base of every error that the twin raises on purpose."""


class InputError(TwinError):
    """What the user gave cannot be used: exit code 2. Carries one or more problems."""

    def __init__(self, problems: Problem | str | Iterable[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class RunError(TwinError):
    """A run could not be finished, for example because a policy raised: exit code 1."""

    def __init__(self, message: str, links: tuple[str, ...] = ()) -> None:
        """Take the links that it happened on, where it was only some."""
        super().__init__(message)
        self.links = links


def dotted(where: str | Loc) -> str:
    """Return a place as text: ``events.0.factor``."""
    return where if isinstance(where, str) else ".".join(str(part) for part in where)


def one_line(text: str) -> str:
    """Return `text` without line breaks, and without what would control a terminal."""
    return printable(" ".join(text.splitlines()))


def show(value: object) -> str:
    """Return a value as a user would write it, short enough for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a block of keys"
    if isinstance(value, list | tuple | set):
        return "a list"
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        return "so large a number"
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def did_you_mean(word: object, known: Iterable[object]) -> str:
    """Return ``did you mean 'x'?`` for the closest of `known`, or an empty text."""
    by_lower = {str(name).lower(): str(name) for name in known if name != word}
    close = difflib.get_close_matches(str(word)[:100].lower(), list(by_lower), n=1, cutoff=0.6)
    return f"did you mean '{by_lower[close[0]]}'?" if close else ""


def one_of(known: Sequence[object], last: str = "or") -> str:
    """Return ``'a', 'b' or 'c'``, as used in messages."""
    names = [f"'{name}'" for name in known]
    if len(names) < 2:
        return "".join(names)
    return ", ".join(names[:-1]) + f" {last} " + names[-1]
