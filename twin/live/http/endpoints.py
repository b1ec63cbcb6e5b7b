"""Every path there is, with who may ask and what it says: the routes and their description."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from twin import __version__
from twin.events.base import event_kinds
from twin.live.http.question import WhatIfQuestion
from twin.live.http.tokens import Role
from twin.scenario.schema import schema

Handler = Callable[[Request], Awaitable[Response]]

_JSON: Final = "application/json"
_CAN_FAIL: Final = {
    "400": "The request is wrong; `where` says which part of it.",
    "401": "No token that is known.",
    "403": "The token has another role, or a page of another origin asks.",
    "404": "There is no such path, link or policy.",
    "405": "The path is asked otherwise.",
    "408": "The body did not come in time.",
    "413": "The body is too large, as sent or unpacked.",
    "415": "The type or the encoding of the body is not known.",
    "421": "Without tokens, the twin answers to names of loopback alone.",
    "422": "The twin failed on what was asked, and says how.",
    "429": "Too much at once; `Retry-After` says when to try again.",
    "500": "The twin failed to answer; its log says why.",
    "503": "Not now: it does not decide yet, its disk is full, it or all connections are busy.",
}
"""All statuses other than 2xx. A client meets no other."""


@dataclass(frozen=True)
class Endpoint:
    """One path and method."""

    path: str
    method: str
    role: Role | None
    """Who may ask where there are tokens; None: anybody."""
    handler: Handler
    summary: str
    gives: str = _JSON
    """Content type of the answer."""
    takes: tuple[str, ...] = ()
    """Content types of the body."""
    parameters: tuple[tuple[str, str], ...] = ()
    """Names in the query and what they mean."""


def description(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return the OpenAPI description of the endpoints."""
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "twin serve",
            "version": __version__,
            "description": "A living twin of an operator's network.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "responses": {status: _failure(text) for status, text in _CAN_FAIL.items()},
            "schemas": {"Error": _ERROR, "WhatIf": _question()},
        },
    }


_ERROR: Final = {
    "type": "object",
    "required": ["error", "where", "suggestion"],
    "properties": {
        "error": {"type": "string", "description": "what is wrong"},
        "where": {"type": "string", "description": "which part of the request; may be empty"},
        "suggestion": {"type": "string", "description": "a remedy; may be empty"},
        "problems": {"type": "array", "description": "all of them, where there are several"},
    },
}


def _question() -> dict[str, Any]:
    block = {**schema(WhatIfQuestion), "title": "WhatIf"}
    for key in ("$schema", "$defs"):
        block.pop(key, None)
    kinds = sorted(event_kinds())
    block["properties"]["events"]["items"] = {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": kinds}},
        "description": "as in a scenario; `twin schema` prints the keys of each kind",
    }
    return block


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": endpoint.method.lower() + endpoint.path.replace("/", "_"),
        "responses": {
            "200": {"description": "Done.", "content": {endpoint.gives: {}}},
            **{status: {"$ref": f"#/components/responses/{status}"} for status in _CAN_FAIL},
        },
        "security": [{}, {"bearer": [endpoint.role]}] if endpoint.role else [],
    }
    if endpoint.parameters:
        operation["parameters"] = [
            {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
            for name, text in endpoint.parameters
        ]
    if endpoint.takes:
        body = {"$ref": "#/components/schemas/WhatIf"} if endpoint.takes == (_JSON,) else {}
        content = {kind: {"schema": body} for kind in endpoint.takes}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _failure(text: str) -> dict[str, Any]:
    error = {"$ref": "#/components/schemas/Error"}
    return {"description": text, "content": {_JSON: {"schema": error}}}
