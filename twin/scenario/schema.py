"""The JSON Schema of scenarios and sweeps, for editors."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from twin.scenario.spec import ScenarioSpec, Strict
from twin.units import Seconds, format_duration


class _Schema(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, Seconds) else super().encode_default(dft)


def schema(model: type[Strict]) -> dict[str, Any]:
    """Return the JSON Schema of what a user may write where `model` checks it."""
    found = model.model_json_schema(by_alias=True, schema_generator=_Schema)
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    found["title"] = f"twin {model.__name__.removesuffix('Spec').lower()}"
    # A name may be left out: the file's is taken.
    found["required"] = [key for key in found.get("required", []) if key != "name"]
    if model is ScenarioSpec:
        _allow_short_forms(found)
    return found


def _allow_short_forms(found: dict[str, Any]) -> None:
    """Add what the models take apart before they check."""
    item = found["properties"]["policies"]["items"]
    found["properties"]["policies"]["items"] = {"anyOf": [{"type": "string"}, item]}
    for definition in found["$defs"].values():
        targets = definition.get("properties", {}).get("links")
        if targets is not None and "anyOf" in targets:
            targets["anyOf"] = [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
