"""The JSON Schema of scenarios and sweeps, for editors."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from twin.core.fields import Strict
from twin.core.units import DURATION_SCHEMA, Seconds, format_duration
from twin.events.base import event_kinds
from twin.scenario.spec import ScenarioSpec


class _Schema(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, Seconds) else super().encode_default(dft)


def schema(model: type[Strict]) -> dict[str, Any]:
    """Return the JSON Schema of what a user may write where `model` checks it."""
    document = model.model_json_schema(by_alias=True, schema_generator=_Schema)
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    document["title"] = f"twin {model.__name__.removesuffix('Spec').lower()}"
    # A name may be left out: the file's is taken.
    document["required"] = [key for key in document.get("required", []) if key != "name"]
    if model is ScenarioSpec:
        _list_kinds_of_events(document)
        _allow_short_forms(document)
    return document


def _list_kinds_of_events(document: dict[str, Any]) -> None:
    """List the keys of each kind of event."""
    for kind, event in event_kinds().items():
        block = event.model_json_schema(
            by_alias=True, schema_generator=_Schema, ref_template="#/$defs/{model}"
        )
        document["$defs"] |= block.pop("$defs", {})
        block["required"] = ["kind", *block.get("required", [])]
        block["properties"]["kind"].pop("default", None)
        document["$defs"][event.__name__] = block
        about = (inspect.getdoc(event) or "").partition("\n")[0]
        block["properties"]["kind"] |= {"const": kind, "description": about}
    kinds = [{"$ref": f"#/$defs/{event.__name__}"} for event in event_kinds().values()]
    document["properties"]["events"]["items"] = {"oneOf": kinds}
    document["$defs"].pop("Event", None)


def _allow_short_forms(document: dict[str, Any]) -> None:
    """Add the short forms, which the models expand before they check."""
    short = {"enum": ["shortest_path", "ecmp"], "type": "string"}
    document["properties"]["routing"]["anyOf"].insert(0, short)
    lead = document["$defs"]["LinkSpec"]["properties"]["lead_time"]
    lead["anyOf"] = [DURATION_SCHEMA, {"$ref": lead.pop("$ref")}]
    lead["default"] = lead["default"]["low"]
    item = document["properties"]["policies"]["items"]
    document["properties"]["policies"]["items"] = {"anyOf": [{"type": "string"}, item]}
    for definition in document["$defs"].values():
        for key in ("links", "flows"):
            targets = definition.get("properties", {}).get(key, {})
            if "anyOf" not in targets:
                continue
            targets["anyOf"] = [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
