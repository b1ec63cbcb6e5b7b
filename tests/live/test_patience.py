"""Connections that hold a place without use: they are ended, and keep nobody else out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
import uvicorn
from serving import connected
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from twin.live.http.connections import Connections
from twin.live.http.patience import PatientProtocol

HEAD_S = 0.2
SIZE = 30_000_000
"""Bytes of an answer that no socket takes at once."""


class _HastyProtocol(PatientProtocol):
    places = Connections()
    head_s = HEAD_S
    reading_s = HEAD_S


async def _refuse(_: Request) -> Response:
    return PlainTextResponse("no", 401)


async def _slow(_: Request) -> Response:
    await asyncio.sleep(2 * HEAD_S)
    return PlainTextResponse("at last")


async def _large(_: Request) -> Response:
    return PlainTextResponse("x" * SIZE)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    routes = [Route("/refused", _refuse, methods=["POST"]), Route("/slow", _slow)]
    app = Starlette(routes=[*routes, Route("/large", _large)])
    config = uvicorn.Config(
        app, http=_HastyProtocol, log_config=None, access_log=False, timeout_keep_alive=60
    )
    with connected(config) as there:
        yield there


async def _said(port: int, first: bytes, then: bytes = b"") -> tuple[bytes, float]:
    """Return what the server says, and after how long it ends; `then` is sent all the time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    begun, heard = time.perf_counter(), b""
    writer.write(first)
    while time.perf_counter() - begun < 10 * HEAD_S:
        try:
            part = await asyncio.wait_for(reader.read(1000), HEAD_S / 5)
        except TimeoutError:
            writer.write(then)
            continue
        except ConnectionError:
            part = b""
        if not part:
            break
        heard += part
    writer.close()
    return heard, time.perf_counter() - begun


@pytest.mark.parametrize(
    ("first", "then", "status"),
    [
        (b"", b"", b""),
        (b"GET /slow HTTP/1.1\r\n", b"X-A: 1\r\n", b""),
        (b"POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n", b"1", b"401"),
    ],
    ids=["silent", "a head that never ends", "a body that was refused"],
)
def test_ends_what_is_no_request(port: int, first: bytes, then: bytes, status: bytes) -> None:
    heard, seconds = asyncio.run(_said(port, first, then))
    assert status in heard
    assert bool(status) == bool(heard)
    assert 0.5 * HEAD_S < seconds < 6 * HEAD_S


def test_waits_for_an_answer_and_the_next_request(port: int) -> None:
    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        heard = b""
        for _ in range(2):
            writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            heard += await reader.readuntil(b"at last")
            await asyncio.sleep(2 * HEAD_S)
        writer.close()
        return heard

    assert asyncio.run(ask()).count(b"200 OK") == 2


def test_ends_an_answer_that_nobody_reads_and_none_that_is_read_slowly(port: int) -> None:
    async def ask(pause_s: float) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        size, begun = 0, time.perf_counter()
        try:
            while part := await reader.read(2**24):
                size += len(part)
                if time.perf_counter() - begun < 3 * HEAD_S:
                    await asyncio.sleep(pause_s)
        except ConnectionError:
            pass
        writer.close()
        return size

    assert asyncio.run(ask(HEAD_S / 50)) == SIZE
    assert asyncio.run(ask(3 * HEAD_S)) < SIZE
    while _HastyProtocol.places:
        time.sleep(0.01)
