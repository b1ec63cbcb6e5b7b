"""The reference pages: every key, event, policy, metric, command and public name."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import typer.main
import yaml

import twin
from twin.account.catalogue import METRICS
from twin.batches.plan.spec import SweepSpec
from twin.cli.main import app
from twin.core import content
from twin.events.base import event_kinds
from twin.policy.load import load
from twin.scenario.schema import schema
from twin.scenario.spec import ScenarioSpec

Schema = Mapping[str, Any]

_END = "...\n"
"""What YAML ends a document with that is one value."""


def scenario() -> str:
    """Return the page of a scenario's keys, a table for each block."""
    document = schema(ScenarioSpec)
    hidden = {event.__name__ for event in event_kinds().values()}
    hidden |= {name for kind in hidden for name in _parts(document["$defs"][kind])}
    intro = (
        "Every key with its meaning, its default and an example, as the program checks it "
        "(`twin schema` prints it for editors). A key without a default has to be there. "
        "[Events](events.md) have a page of their own, and so have the parameters of "
        "[policies](policies.md)."
    )
    return "\n\n".join(["# Keys of a scenario", intro, *_blocks(document, hidden)]) + "\n"


def sweep() -> str:
    """Return the page of a sweep's keys."""
    intro = "What `twin batch` reads; [batches](../batches.md) says what it is for."
    return "\n\n".join(["# Keys of a sweep", intro, *_blocks(schema(SweepSpec), set())]) + "\n"


def events() -> str:
    """Return the page of all kinds of events."""
    document = schema(ScenarioSpec)
    parts = [
        "# Events",
        "Times are counted from the start of the replay. Each kind is a file in `twin/events/`.",
    ]
    for kind, event in event_kinds().items():
        block = document["$defs"][event.__name__]
        parts += [f"## {kind}", _prose(inspect.getdoc(event) or ""), _table(block, document)]
        for name in _parts(block):
            part = document["$defs"][name]
            parts += [f"### {_title(name)}", _prose(part.get("description", ""))]
            parts.append(_table(part, document))
    return "\n\n".join(parts) + "\n"


def policies() -> str:
    """Return the page of all shipped policies, with their parameters."""
    parts = ["# Policies", "A policy is a file in `policies/`, or beside your scenario."]
    for name, path in content.shipped("policies").items():
        policy = load(path).policy
        parts += [f"## {name}", _prose(inspect.getdoc(policy) or "")]
        block = schema(policy.parameters())
        if block.get("properties"):
            parts.append(_table(block, block))
    return "\n\n".join(parts) + "\n"


def metrics() -> str:
    """Return the page of all columns of the summary."""
    rows = [
        (f"`{name}`", metric.unit, metric.meaning, metric.better)
        for name, metric in METRICS.items()
    ]
    head = ("column", "unit", "meaning", "better")
    intro = "The columns of `summary.csv`; [the glossary](../glossary.md) defines the words."
    return "\n\n".join(["# Metrics", intro, _rows(head, rows)]) + "\n"


def commands() -> str:
    """Return the page of all commands with their options."""
    group = typer.main.get_command(app)
    parts = ["# Commands", _prose(group.help or "")]
    return "\n\n".join([*parts, *_commands(group, "twin")]) + "\n"


def python() -> str:
    """Return the page of all that `import twin` gives."""
    parts = [
        "# Python",
        "All that `import twin` gives; nothing else is promised to stay but `twin.gym`, of which "
        "[a page of its own](../gym.md) tells.",
    ]
    for name in twin.__all__:
        value = getattr(twin, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            parts.append(f"::: {value.__module__}.{value.__qualname__}")
    return "\n\n".join(parts) + "\n"


def _commands(group: Any, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
            continue
        context = command.context_class(command, info_name=f"{path} {name}")
        yield f"## {path} {name}"
        yield _prose(inspect.cleandoc(command.help or ""))
        options = [each for each in command.params if each.param_type_name == "option"]
        usage = " ".join(command.collect_usage_pieces(context))
        yield f"    {path} {name} {usage}"
        if options:
            rows = [
                (", ".join(f"`{each}`" for each in (*param.opts, *param.secondary_opts)),
                 _cell(param.metavar or ""), _cell(getattr(param, "help", None) or ""))
                for param in options
            ]  # fmt: skip
            yield _rows(("option", "value", "meaning"), rows)


def _blocks(document: Schema, hidden: set[str]) -> Iterator[str]:
    """Yield the table of the document's own keys and of each of its blocks."""
    yield "## At the top"
    yield _table(document, document)
    for name, block in document["$defs"].items():
        if name in hidden or "properties" not in block:
            continue
        yield f"## {_title(name)}"
        yield _prose(block.get("description", ""))
        yield _table(block, document)


def _parts(block: Schema) -> list[str]:
    """Return the names of the blocks that an event's keys hold."""
    refs = re.findall(r'"#/\$defs/(\w+)"', json.dumps(block["properties"]))
    return list(dict.fromkeys(refs))


def _table(block: Schema, document: Schema) -> str:
    required = block.get("required", ())
    rows = [
        (
            f"`{key}`",
            _type(value, document),
            "" if key in required else _default(value),
            _example(value),
            _cell(value.get("description", "")),
        )
        for key, value in block["properties"].items()
    ]
    return _rows(("key", "value", "default", "example", "meaning"), rows)


def _type(value: Schema, document: Schema) -> str:
    """Return in words what a key takes."""
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return " or ".join(f"`{each}`" for each in value["enum"])
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[1]
        return f"a block: [{_title(name)}](#{_anchor(name)})"
    for several in ("anyOf", "oneOf"):
        if several in value:
            kinds = [_type(each, document) for each in value[several] if each != {"type": "null"}]
            return " or ".join(dict.fromkeys(kinds))
    kind = value.get("type")
    if kind == "array":
        items = value.get("items", {})
        what = "events" if "oneOf" in items else _type(items, document)
        return f"a list of {what}"
    if kind == "object":
        return "names to values"
    if kind == "string" and "min" in value.get("pattern", ""):
        return "duration"
    if kind == "string" and "%" in value.get("pattern", ""):
        return "share"
    return {
        "string": "text", "integer": "whole number", "number": "number", "boolean": "true or false",
    }.get(str(kind), "any")  # fmt: skip


def _default(value: Schema) -> str:
    default = value.get("default")
    if default in (None, "") or isinstance(default, dict | list):
        return "none" if not default else "see there"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _example(value: Schema) -> str:
    found = value.get("examples") or [
        each for part in value.get("anyOf", ()) for each in part.get("examples", ())
    ]
    if not found:
        return ""
    written = yaml.safe_dump(found[0], default_flow_style=True, width=1000, sort_keys=False)
    return f"`{_cell(written.removesuffix(_END))}`"


def _title(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("Spec")).lower()
    return words[:1].upper() + words[1:]


def _anchor(name: str) -> str:
    return _title(name).lower().replace(" ", "-")


def _prose(text: str) -> str:
    """Return a docstring as Markdown: its code in single backquotes."""
    return re.sub(r":\w+:`~?([^`]*)`", r"`\1`", text.replace("``", "`"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
