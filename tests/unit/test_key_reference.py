"""The meaning of every key that a user may write: said once, in the schema, and shown as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jsonschema

from twin.batches.plan.spec import SweepSpec
from twin.scenario.schema import schema
from twin.scenario.spec import ScenarioSpec

DOCUMENTS = {"scenario": schema(ScenarioSpec), "sweep": schema(SweepSpec)}

KEYS = {
    f"{kind}: {block}.{key}": (document, value)
    for kind, document in DOCUMENTS.items()
    for block, definition in {"": document, **document["$defs"]}.items()
    for key, value in definition.get("properties", {}).items()
}
"""Every key of every block, with its document."""

UNIT = re.compile(
    r"Mbit/s|\bW\b|\bkm\b|bytes|bits|degrees|price|per (Mbit/s|minute|Gbit)"  # a unit
    r"|number|values|replications|how often"  # a count
    r"|over what was lost|of the base demand|half|multiplied"  # a ratio
)


def _forms(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas of which a value meets one, that of no value left out."""
    several = value.get("anyOf") or value.get("oneOf") or [value]
    return [each for each in several if each != {"type": "null"}]


def _examples(value: Mapping[str, Any]) -> list[Any]:
    return [each for part in (value, *_forms(value)) for each in part.get("examples", ())]


def _says_itself(form: Mapping[str, Any]) -> bool:
    """Whether what may be written is listed, or has a table of its own."""
    listed = {"enum", "const", "$ref"} & set(form) or form.get("type") == "boolean"
    return bool(listed or {"$ref", "oneOf"} & set(form.get("items", ())))


def test_every_key_says_what_it_means() -> None:
    assert len(KEYS) >= 279
    assert [name for name, (_, value) in KEYS.items() if not value.get("description")] == []
    for name, (_, value) in KEYS.items():
        meaning = value["description"]
        assert meaning == " ".join(meaning.split()), name
        assert len(meaning.split()) >= 2, name


def test_every_key_has_an_example_or_a_list_of_what_it_takes() -> None:
    bare = [
        name
        for name, (_, value) in KEYS.items()
        if not _examples(value) and not all(map(_says_itself, _forms(value)))
    ]
    assert bare == []


def test_every_example_is_one_that_its_schema_takes() -> None:
    for name, (document, value) in KEYS.items():
        whole = {**value, "$defs": document["$defs"]}
        for example in _examples(value):
            errors = list(jsonschema.Draft202012Validator(whole).iter_errors(example))
            assert errors == [], name


def test_every_number_says_what_it_counts_or_in_which_unit() -> None:
    numbers = {
        name: value["description"]
        for name, (_, value) in KEYS.items()
        if any(form.get("type") in ("number", "integer") for form in _forms(value))
        and not any("%" in form.get("pattern", "") for form in _forms(value))
    }
    assert len(numbers) > 30
    assert {name: said for name, said in numbers.items() if not UNIT.search(said)} == {}
