"""The Starlette application of one living twin."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from twin.core.errors import did_you_mean, one_of
from twin.live.http.answers import Answers
from twin.live.http.dashboard.page import dashboard
from twin.live.http.endpoints import Endpoint, description
from twin.live.http.errors import HttpError
from twin.live.http.gate import Gate
from twin.live.http.intake import Intake
from twin.live.http.readers import CONTENT_TYPES
from twin.live.http.service import LiveService
from twin.live.http.tokens import Role

_LEAST_PACKED = 1_000
"""Bytes of an answer from which on it is packed."""


def application(service: LiveService) -> Starlette:
    """Return the application of a service."""
    endpoints = _endpoints(service)
    document = description(endpoints)

    async def openapi(_: Request) -> Response:
        return JSONResponse(document)

    endpoints.append(
        Endpoint("/openapi.json", "GET", None, openapi, "This description, as OpenAPI.")
    )
    document["paths"] |= description(endpoints[-1:])["paths"]
    methods: dict[str, list[str]] = defaultdict(list)
    for each in endpoints:
        methods[each.path].append(each.method)

    async def unknown(request: Request, error: Exception) -> Response:
        return _unknown(request, error, methods)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        service.started()
        yield
        service.stopped()

    def observe(path: str, method: str, status: int, seconds: float) -> None:
        known = method in methods.get(path, ()) or (method == "HEAD" and path in methods)
        method = method if known else "other"
        service.measures.answered(path if path in methods else "other", method, status, seconds)

    app = Starlette(
        routes=[Route(each.path, each.handler, methods=[each.method]) for each in endpoints],
        middleware=[
            Middleware(
                Gate,
                roles={each.path: each.role for each in endpoints},
                tokens=service.tokens,
                refused=service.refused,
                observe=observe,
            ),
            Middleware(GZipMiddleware, minimum_size=_LEAST_PACKED, compresslevel=4),
        ],
        exception_handlers={HTTPException: unknown},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def _endpoints(service: LiveService) -> list[Endpoint]:
    answers, intake = Answers(service), Intake(service)
    page = dashboard()

    async def root(_: Request) -> Response:
        headers = {"Content-Security-Policy": page.security_policy}
        return Response(page.text, media_type="text/html; charset=utf-8", headers=headers)

    read, write, json = Role.READ, Role.WRITE, "application/json"
    return [
        Endpoint("/", "GET", None, root, "The dashboard; it holds no data itself.", "text/html"),
        Endpoint("/telemetry", "POST", write, intake.telemetry,
                 "Take samples; they are on disk when this answers.", takes=CONTENT_TYPES,
                 parameters=(("precision", "of line protocol: ns, us, ms or s"),)),
        Endpoint("/api/v1/write", "POST", write, intake.remote_write,
                 "Take samples by Prometheus remote write 1.0.", takes=("application/x-protobuf",)),
        Endpoint("/state", "GET", read, answers.state,
                 "The present state, with what drifts; or a past one.",
                 parameters=(("at", "a past time, ISO-8601"), ("map", "1: with the map"))),
        Endpoint("/allocations", "GET", read, answers.allocations,
                 "What a policy asks for in the coming interval; text/csv gives a table.",
                 parameters=(("policy", "of this twin; default: the acting one"),)),
        Endpoint("/forecast", "GET", read, answers.forecast,
                 "The forecast of a link, with its last intervals.",
                 parameters=(("link", "its name"), ("for", "how far ahead, such as 2h"),
                             ("back", "how far back, such as 24h"),
                             ("wait", "0: with the latest forecast that there is"))),
        Endpoint("/scoreboard", "GET", read, answers.scoreboard,
                 "Every policy over the last day, week and month."),
        Endpoint("/decisions", "GET", read, answers.decisions, "What was decided, and when.",
                 parameters=(("since", "number of the first interval"),)),
        Endpoint("/what-if", "POST", read, intake.what_if,
                 "What would happen from now on, if.", takes=(json,)),
        Endpoint("/metrics", "GET", read, answers.metrics, "Metrics for Prometheus.",
                 "text/plain"),
        Endpoint("/events", "GET", read, answers.events,
                 "Server-sent events: `interval` after each that closed.", "text/event-stream"),
        Endpoint("/healthz", "GET", None, answers.health, "Whether the twin is at work."),
        Endpoint("/readyz", "GET", None, answers.readiness, "Whether the twin decides."),
    ]  # fmt: skip


def _unknown(request: Request, error: Exception, methods: Mapping[str, Sequence[str]]) -> Response:
    """Return the answer to a path that there is not, or that is asked otherwise."""
    path = request.url.path
    if path in methods:
        wanted = methods[path]
        what = f"{path} is not asked by {request.method[:20]}"
        refusal = HttpError(405, what, "method", f"use {one_of(wanted)}",
                            {"Allow": ", ".join(wanted)})  # fmt: skip
        return refusal.response()
    status = error.status_code if isinstance(error, HTTPException) else 404
    hint = did_you_mean(path[:100], methods) or "/openapi.json lists what there is"
    return HttpError(status, "there is nothing here", path[:100], hint).response()
