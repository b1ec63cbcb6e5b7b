"""YAML as a user wrote it: plain values, and the line of every key."""

from __future__ import annotations

import copy
import json
import math
import re
from pathlib import Path
from typing import Any

import yaml

from twin.core.errors import InputError, Loc, Problem, dotted, one_line

MAX_BYTES = 1_000_000
MAX_VALUES = 100_000
"""Values that a file may hold once its aliases are spelled out."""

_INDEX_DIGITS = 9

_CORE = "tag:yaml.org,2002:"
_WHOLE = r"(?:0|[1-9][0-9]*)"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PART = re.compile(rf'\.(?:({_QUOTED})(?=\.|$)|(?!")([^.]*))', re.DOTALL)
"""A part of a dotted key, with the dot before it."""
_OVERRIDE = re.compile(
    rf'((?:(?:{_QUOTED}|(?!")[^.=]*)\.)*(?:{_QUOTED}|(?!")[^.=]*))=(.*)$', re.DOTALL
)
"""``KEY=VALUE``: the first ``=`` that is not in quotes."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: `no`, `12:30` and `010` are text, `1e3` is a number, times stay text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


class _Dumper(yaml.SafeDumper):
    """Quotes every text that some YAML, 1.1 or 1.2, takes for something else: a link called 1e5."""


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", rf"[-+]?{_WHOLE}", "-+0123456789"),
    (
        "float",
        rf"[-+]?(?:\.[0-9]+|{_WHOLE}(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
):
    for _kind in (_Loader, _Dumper):
        _kind.add_implicit_resolver(
            _CORE + _tag,
            re.compile(rf"^(?:{_pattern})$"),
            ["" if char == "\0" else char for char in _first],
        )


class Source:
    """The values of one YAML file, with where each was written."""

    def __init__(self, data: dict[str, Any], lines: dict[Loc, int], path: Path | None) -> None:
        self.data = data
        self.path = path
        self._lines = lines
        self._labels: dict[Loc, str] = {}

    def place(self, problem: Problem) -> Problem:
        """Return `problem` with file and line, where it names only a key of this file."""
        if problem.file is not None or not problem.where:
            return problem
        loc = problem.where if isinstance(problem.where, tuple) else _loc(problem.where)
        label, rest = self._label(loc)
        if not label and str(loc[0]).startswith("--"):
            label = str(loc[0])
        if label:
            what = (
                f"{label}: {dotted(rest)}: {problem.what}" if rest else f"{label}: {problem.what}"
            )
            return Problem(what, suggestion=problem.suggestion)
        known = (loc[:end] for end in range(len(loc), -1, -1) if loc[:end] in self._lines)
        line = self._lines.get(next(known, ()))
        return Problem(problem.what, loc, self.path, line, problem.suggestion)

    def _label(self, loc: Loc) -> tuple[str, Loc]:
        """Return the override that a place comes from, and the place within it."""
        for end in range(len(loc), 0, -1):
            if loc[:end] in self._labels:
                return self._labels[loc[:end]], loc[end:]
        if loc not in self._lines:
            for place, label in self._labels.items():
                if place[: len(loc)] == loc:
                    return label, loc
        return "", ()

    def blamed(self, earlier: Loc, later: Loc, *keys: str) -> Loc:
        """Return which of two blocks that contradict each other is wrong, by any of `keys`.

        The one in which such a key was overridden, else the later one.
        """
        for key in keys:
            for place in (later, earlier):
                if (*place, key) in self._labels:
                    return (*place, key)
        return later

    def is_text(self, loc: Loc) -> bool:
        """Return whether the value at `loc` was written as a bare text."""
        value: Any = self.data
        try:
            for part in loc:
                value = value[part]
        except (LookupError, TypeError):
            return False
        return isinstance(value, str)

    def override(self, text: str) -> None:
        """Apply one ``KEY=VALUE``, as after ``--set``; the value is read as YAML."""
        match = _OVERRIDE.match(text)
        key, value_text = match.groups() if match is not None else ("", "")
        label = f"--set:{key or text}"
        if not key:
            raise InputError(Problem(f"{label}: must be KEY=VALUE"))
        self.assign(key, _value(value_text, label), label)

    def assign(self, key: str, value: Any, label: str) -> None:
        """Set the value at a dotted key; problems with it name `label` instead of a line.

        A part that holds a dot stands in double quotes: ``links."a.b".capacity_mbps``.
        """
        loc: list[int | str] = []
        parent: Any = self.data
        *parents, last = _parts(key, label)
        for part in parents:
            parent = _step(parent, part, label, loc)
        _assign(parent, last, copy.deepcopy(value), label, loc)
        self._labels[tuple(loc)] = label

    def copy(self, only: str | None = None) -> Source:
        """Return the same values, or one block of them, to be changed without changing these."""
        data = {k: v for k, v in self.data.items() if only in (None, k)}
        other = Source(copy.deepcopy(data), self._lines, self.path)
        other._labels = dict(self._labels)
        return other

    def name(self, loc: Loc, label: str) -> None:
        """Let problems at `loc` name `label` instead of a line."""
        self._labels[loc] = label

    def set(self, key: str, value: Any, label: str) -> None:
        """Replace a top-level key; problems with it name `label` instead of a line."""
        self.data[key] = value
        self._labels[(key,)] = label


def _parts(key: str, label: str) -> list[str]:
    """Return the parts of a dotted key; one in double quotes is read as JSON."""
    parts: list[str] = []
    rest = f".{key}"
    while rest:
        match = _PART.match(rest)
        try:
            part = json.loads(match[1]) if match is not None and match[1] else match and match[2]
        except ValueError:
            part = None
        if match is None or part is None:
            remedy = 'write it as in links."a.b".capacity_mbps'
            raise InputError(Problem(f"{label}: a quote in it has no end", suggestion=remedy))
        if not part:
            raise InputError(Problem(f"{label}: a key is empty"))
        parts.append(part)
        rest = rest[match.end() :]
    return parts


def _loc(where: str) -> Loc:
    return tuple(int(part) if _is_index(part) else part for part in where.split("."))


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdecimal() and len(part) <= _INDEX_DIGITS


def _value(text: str, label: str) -> Any:
    try:
        node = yaml.compose(text, _Loader)
    except (yaml.YAMLError, RecursionError):
        raise InputError(Problem(f"{label}: '{text}' is not a YAML value")) from None
    if node is None:
        return None
    try:
        return _Plain(None).value(node, ())
    except InputError as error:
        problems = error.problems
    except RecursionError:
        problems = (Problem("is nested too deeply"),)
    inside = (f"{dotted(p.where)}: {p.what}" if p.where else p.what for p in problems)
    raise InputError([Problem(f"{label}: {what}") for what in inside])


def _step(parent: Any, part: str, label: str, loc: list[int | str]) -> Any:
    if isinstance(parent, list):
        index = _index(parent, part, label)
        loc.append(index)
        # A policy written as its bare name takes parameters like any other.
        if isinstance(parent[index], str):
            parent[index] = {"use": parent[index]}
        return parent[index]
    if not isinstance(parent, dict):
        raise InputError(Problem(f"{label}: '{loc[-1]}' has no key '{part}'"))
    loc.append(part)
    if parent.get(part) is None:
        parent[part] = {}
    return parent[part]


def _assign(parent: Any, part: str, value: Any, label: str, loc: list[int | str]) -> None:
    if isinstance(parent, list):
        index = _index(parent, part, label)
        loc.append(index)
        parent[index] = value
    elif isinstance(parent, dict):
        loc.append(part)
        parent[part] = value
    else:
        raise InputError(Problem(f"{label}: '{loc[-1]}' has no key '{part}'"))


def _index(items: list[Any], part: str, label: str) -> int:
    if not _is_index(part) or int(part) >= len(items):
        what = f"'{part}' is not one of the {len(items)} entries, counted from 0"
        raise InputError(Problem(f"{label}: {what}"))
    return int(part)


def write(data: dict[str, Any]) -> str:
    """Return plain values as YAML from which :func:`read` gets the same."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read(path: Path) -> Source:
    """Return what the YAML file at `path` holds.

    Raises InputError for a file that cannot be read, that is not YAML, that says a key twice
    or that is not a block of keys.
    """
    text = _text(path)
    plain = _Plain(path)
    try:
        node = yaml.compose(text, _Loader)
        data = plain.value(node, ()) if node is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise InputError(Problem(f"not YAML: {error.problem}", file=path, line=line)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        what = f"not YAML: character #x{code:04x} is not allowed"
        raise InputError(Problem(what, file=path, line=line)) from None
    except yaml.YAMLError as error:
        raise InputError(Problem(f"not YAML: {one_line(str(error))}", file=path)) from None
    except RecursionError:
        raise InputError(Problem("is nested too deeply", file=path)) from None
    if not isinstance(data, dict):
        what = "is empty" if data is None else "must be a block of keys"
        raise InputError(Problem(what, file=path, line=None if data is None else 1))
    return Source(data, plain.lines, path)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(Problem("is larger than 1 MB: not a scenario", file=path))
        data = path.read_bytes()
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", file=path)) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            Problem("is not text in UTF-8", file=path, line=line, suggestion="save it in UTF-8")
        ) from None


class _Plain:
    """Turns nodes into plain values, and notes the line of each."""

    def __init__(self, path: Path | None) -> None:
        self.lines: dict[Loc, int] = {}
        self._path = path
        self._open: list[yaml.Node] = []

    def value(self, node: yaml.Node, loc: Loc) -> Any:
        """Return the value of a node; its place, and that of all within it, is `loc`."""
        if len(self.lines) > MAX_VALUES:
            raise InputError(Problem(f"holds more than {MAX_VALUES} values", file=self._path))
        self.lines.setdefault(loc, node.start_mark.line + 1)
        if any(node is above for above in self._open):
            raise self._error(node, loc, "an alias stands inside of what it names")
        if not node.tag.startswith(_CORE) or _is_foreign(node):
            tag = node.tag.replace(_CORE, "!!")
            raise self._error(node, loc, f"the tag '{tag}' is not known here; remove it")
        self._open.append(node)
        try:
            return self._content(node, loc)
        finally:
            self._open.pop()

    def _content(self, node: yaml.Node, loc: Loc) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*loc, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc)
        try:
            value = _Loader("").construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError):
            if node.tag == f"{_CORE}int":
                raise self._error(node, loc, "is too large for a number") from None
            raise self._error(node, (), f"'{node.value}' is not a value here") from None
        if isinstance(value, float) and math.isinf(value) and "inf" not in node.value.lower():
            raise self._error(node, loc, f"{node.value} is too large for a number")
        return value

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        block: dict[str, Any] = {}
        for key_node, value_node in node.value:
            # The key as written: a link may be called `1` or `true`.
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if not key:
                raise self._error(key_node, loc, "a key must be text")
            if key in block:
                first = f", first in line {self.lines[(*loc, key)]}" if self._path else ""
                raise self._error(key_node, (*loc, key), f"is written twice{first}")
            self.lines[(*loc, key)] = key_node.start_mark.line + 1
            block[key] = self.value(value_node, (*loc, key))
        return block

    def _error(self, node: yaml.Node, loc: Loc, what: str) -> InputError:
        return InputError(Problem(what, loc, self._path, node.start_mark.line + 1))


def _is_foreign(node: yaml.Node) -> bool:
    kind = node.tag.removeprefix(_CORE)
    if isinstance(node, yaml.CollectionNode):
        return kind != ("map" if isinstance(node, yaml.MappingNode) else "seq")
    return kind not in {"str", "int", "float", "bool", "null"}
