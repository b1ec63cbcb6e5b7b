"""From what a model refuses to what a user reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from twin.core.errors import Loc, Problem, did_you_mean, one_of, show

_TYPES = {
    "string": "text",
    "float": "a number",
    "int": "a whole number",
    "finite": "a finite number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "a block of keys",
    "model": "a block of keys",
    "datetime": "an ISO-8601 time",
}
_LIMITS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def problems_of(
    error: ValidationError,
    prefix: Loc = (),
    known: Mapping[Loc, Sequence[str]] | None = None,
    tags: Sequence[str] = (),
) -> list[Problem]:
    """Return one problem for each thing that a pydantic model refused.

    `known` holds the keys of each block, by its place, for suggestions (``*`` stands for any
    entry); `tags` are the parts of a place that only name a member of a union.
    """
    problems = []
    for detail in error.errors():
        full = tuple(part for part in detail["loc"] if part != "[key]")
        shown = tuple(p for i, p in enumerate(full) if not (p in tags and _is_index(full, i - 1)))
        what, suggestion = _say(detail, full, known or {})
        if "[key]" in detail["loc"]:
            what = "unknown key"
        problems.append(Problem(what, (*prefix, *shown), suggestion=suggestion))
    return problems


def _is_index(loc: Loc, position: int) -> bool:
    return position >= 0 and isinstance(loc[position], int)


def _say(detail: ErrorDetails, loc: Loc, known: Mapping[Loc, Sequence[str]]) -> tuple[str, str]:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        keys = _keys(loc[:-1], known)
        listed = f"known: {', '.join(keys)}" if keys else ""
        return "unknown key", did_you_mean(loc[-1], keys) or listed
    if kind == "missing":
        return "is missing", ""
    if kind == "value_error":
        return str(context["error"]), ""
    if kind == "literal_error":
        choices = [choice.strip("'") for choice in _choices(context["expected"])]
        return f"must be {one_of(choices)}, not {show(value)}", did_you_mean(value, choices)
    return _say_type(kind, value, context), ""


def _say_type(kind: str, value: Any, context: Mapping[str, Any]) -> str:
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"must be {words} {context[key]:g}, not {show(value)}"
    if kind == "too_short":
        return "is empty"
    if kind == "string_pattern_mismatch":
        return (
            f"{show(value)} is not a name: use letters a to z and A to Z, digits, '.', '_' and '-'"
        )
    if kind == "string_too_long":
        return f"is longer than {context['max_length']} characters"
    expected = _TYPES.get(kind.split("_")[0], f"valid ({kind})")
    return f"must be {expected}, not {show(value)}"


def _keys(loc: Loc, known: Mapping[Loc, Sequence[str]]) -> Sequence[str]:
    for place, keys in known.items():
        if len(place) == len(loc) and all(a in ("*", b) for a, b in zip(place, loc, strict=True)):
            return keys
    return ()


def _choices(text: str) -> list[str]:
    return [choice.strip().strip("'") for choice in text.replace(" or ", ", ").split(",")]
