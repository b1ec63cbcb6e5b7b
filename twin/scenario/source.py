"""YAML as a user wrote it: plain values, and the line of every key."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from twin.errors import InputError, Problem

Loc = tuple[int | str, ...]

MAX_BYTES = 10_000_000
MAX_VALUES = 200_000
"""Values that a file may hold once its aliases are spelled out."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: `no` and `12:30` are text, `1e3` is a number, times stay text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(rf"^(?:{_pattern})$"),
        ["" if char == "\0" else char for char in _first],
    )


class Source:
    """The values of one YAML file, with where each was written."""

    def __init__(self, data: dict[str, Any], lines: dict[Loc, int], path: Path | None) -> None:
        self.data = data
        self.path = path
        self._lines = lines
        self._overridden: dict[Loc, str] = {}

    def problem(self, loc: Loc, what: str, suggestion: str = "") -> Problem:
        """Return a problem with the value at `loc`, placed where it was written."""
        where = ".".join(str(part) for part in loc)
        for end in range(len(loc), 0, -1):
            if loc[:end] in self._overridden:
                return Problem(f"{self._overridden[loc[:end]]}: {what}", suggestion=suggestion)
        line = next(
            (self._lines[loc[:end]] for end in range(len(loc), -1, -1) if loc[:end] in self._lines),
            None,
        )
        return Problem(what, where, self.path, line, suggestion)

    def place(self, problem: Problem) -> Problem:
        """Return `problem` with file and line, where it names only a key of this file."""
        if problem.file is not None or not problem.where:
            return problem
        parts = problem.where.split(".")
        loc: Loc = tuple(int(part) if part.isdigit() else part for part in parts)
        return self.problem(loc, problem.what, problem.suggestion)

    def is_text(self, where: str) -> bool:
        """Return whether the value at `where` was written as a bare text."""
        value: Any = self.data
        for part in where.split("."):
            try:
                value = value[int(part)] if isinstance(value, list) else value[part]
            except (LookupError, TypeError, ValueError):
                return False
        return isinstance(value, str)

    def override(self, text: str) -> None:
        """Apply one ``KEY=VALUE``, as after ``--set``; the value is read as YAML."""
        key, equals, value_text = text.partition("=")
        if not equals or not key:
            raise InputError(Problem(f"--set:{text}: must be KEY=VALUE"))
        try:
            value = yaml.load(value_text, _Loader)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise InputError(Problem(f"--set:{key}: '{value_text}' is not a YAML value")) from None
        loc: list[int | str] = []
        parent: Any = self.data
        *parents, last = key.split(".")
        for part in parents:
            parent = self._step(parent, part, key, loc)
        self._assign(parent, last, value, key, loc)
        self._overridden[tuple(loc)] = f"--set:{key}"

    def set(self, key: str, value: Any, label: str) -> None:
        """Replace a top-level key; problems with it name `label` instead of a line."""
        self.data[key] = value
        self._overridden[(key,)] = label

    def _step(self, parent: Any, part: str, key: str, loc: list[int | str]) -> Any:
        if isinstance(parent, list):
            index = _index(parent, part, key)
            loc.append(index)
            # A policy written as its bare name takes parameters like any other.
            if isinstance(parent[index], str):
                parent[index] = {"use": parent[index]}
            return parent[index]
        if not isinstance(parent, dict):
            raise InputError(Problem(f"--set:{key}: '{loc[-1]}' has no key '{part}'"))
        loc.append(part)
        if parent.get(part) is None:
            parent[part] = {}
        return parent[part]

    def _assign(self, parent: Any, part: str, value: Any, key: str, loc: list[int | str]) -> None:
        if isinstance(parent, list):
            index = _index(parent, part, key)
            loc.append(index)
            parent[index] = value
        elif isinstance(parent, dict):
            loc.append(part)
            parent[part] = value
        else:
            raise InputError(Problem(f"--set:{key}: '{loc[-1]}' has no key '{part}'"))


def _index(items: list[Any], part: str, key: str) -> int:
    if not part.isdigit() or int(part) >= len(items):
        what = f"'{part}' is not one of the {len(items)} entries, counted from 0"
        raise InputError(Problem(f"--set:{key}: {what}"))
    return int(part)


def read(path: Path) -> Source:
    """Return what the YAML file at `path` holds.

    Raises InputError for a file that cannot be read, that is not YAML, that says a key twice
    or that is not a block of keys.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(Problem("is larger than 10 MB: not a scenario", file=path))
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", file=path)) from None
    except UnicodeDecodeError:
        raise InputError(Problem("is not text in UTF-8", file=path)) from None
    try:
        node = yaml.compose(text, _Loader)
        lines: dict[Loc, int] = {}
        data = _plain(node, (), lines, path) if node is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(Problem(f"not YAML: {error.problem}", file=path, line=line)) from None
    except yaml.YAMLError as error:
        raise InputError(Problem(f"not YAML: {error}", file=path)) from None
    except RecursionError:
        raise InputError(Problem("is nested too deeply", file=path)) from None
    if not isinstance(data, dict):
        what = "is empty" if data is None else "must be a block of keys"
        raise InputError(Problem(what, file=path, line=None if data is None else 1))
    return Source(data, lines, path)


def _plain(node: yaml.Node, loc: Loc, lines: dict[Loc, int], path: Path) -> Any:
    if len(lines) > MAX_VALUES:
        raise InputError(Problem(f"holds more than {MAX_VALUES} values", file=path))
    lines.setdefault(loc, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*loc, i), lines, path) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, loc, lines, path)
    try:
        value: Hashable = _Loader("").construct_object(node)
    except (yaml.YAMLError, ValueError):
        problem = Problem(
            f"'{node.value}' is not a value here", file=path, line=node.start_mark.line + 1
        )
        raise InputError(problem) from None
    return value


def _mapping(node: yaml.MappingNode, loc: Loc, lines: dict[Loc, int], path: Path) -> dict[str, Any]:
    block: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        # The key as written: a link may be called `1` or `true`.
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if not key:
            raise InputError(Problem("a key must be text", ".".join(map(str, loc)), path, line))
        if key in block:
            where = ".".join(map(str, (*loc, key)))
            first = lines[(*loc, key)]
            raise InputError(Problem(f"is written twice, first in line {first}", where, path, line))
        lines[(*loc, key)] = line
        block[key] = _plain(value_node, (*loc, key), lines, path)
    return block
