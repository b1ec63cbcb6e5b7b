"""What is sent: telemetry in four formats, and questions what if."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from twin.core.errors import one_of
from twin.live.http.connected import while_connected
from twin.live.http.errors import HttpError
from twin.live.http.plain import encoded
from twin.live.http.queries import Query
from twin.live.http.question import MOST_BYTES, read_question
from twin.live.http.readers import CONTENT_TYPES, PRECISIONS, Reader, Readers, stated_length
from twin.live.http.service import LiveService
from twin.live.http.tasks import what_if

_JSON: Final = "application/json"


class Intake:
    """The answers to POST requests about one twin."""

    def __init__(self, service: LiveService) -> None:
        self._service = service
        self._readers = Readers(service.scenario)

    async def telemetry(self, request: Request) -> Response:
        """Take samples; they are on disk when the answer comes."""
        precision = Query(request, ("precision",)).one_of("precision", PRECISIONS, "unit") or "ns"
        kind = _content_type(request)
        reader = self._readers.of(kind, precision, self._service.loop.now())
        if reader is None:
            known = one_of(CONTENT_TYPES)
            raise HttpError(415, f"is not known: {kind[:60]!r}", "Content-Type", f"use {known}")
        if request.headers.get("content-encoding", "").lower() == "snappy":
            raise HttpError(415, "is for /api/v1/write alone", "Content-Encoding", "use gzip")
        receipt = await self._taken(request, reader)
        return Response(encoded(receipt), media_type=_JSON)

    async def remote_write(self, request: Request) -> Response:
        """Take what Prometheus writes."""
        Query(request)
        if _content_type(request) != "application/x-protobuf":
            what, remedy = "must be application/x-protobuf", "telemetry goes to /telemetry"
            raise HttpError(415, what, "Content-Type", remedy)
        version = request.headers.get("x-prometheus-remote-write-version", "0.1.0")
        if not version.startswith("0.1."):
            what = f"is not known: {version[:20]!r}"
            raise HttpError(415, what, "X-Prometheus-Remote-Write-Version", "version 0.1.0")
        await self._taken(request, self._readers.remote_write, stated_length)
        return Response(status_code=204)

    async def _taken(
        self, request: Request, reader: Reader, size: Callable[[bytes], int] = len
    ) -> dict[str, object]:
        async with self._service.bodies.place() as place:
            samples = await place.read(request, reader, size=size)
            receipt = await self._service.take(samples)
        return receipt.as_dict()

    async def what_if(self, request: Request) -> Response:
        """Answer what would happen, from the present on."""
        Query(request)
        if _content_type(request) != _JSON:
            raise HttpError(415, f"must be {_JSON}", "Content-Type")
        self._service.check_ready()
        who = request.scope.get("token_name", "")
        self._service.workers.check_room(who)
        read = partial(read_question, policies=self._service.policies, links=self._service.links)
        async with self._service.bodies.place() as place:
            question = await place.read(request, read, MOST_BYTES)
        begun = time.perf_counter()
        work = self._service.work_out(lambda key: partial(what_if, key=key, question=question), who)
        answer = await while_connected(request, work)
        return JSONResponse(answer | {"took_s": round(time.perf_counter() - begun, 3)})


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
