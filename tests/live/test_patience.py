"""Connections on which no request comes: they are ended, and keep nobody else out."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from twin.live.http.patience import PatientProtocol

HEAD_S = 0.3


class _HastyProtocol(PatientProtocol):
    head_s = HEAD_S


async def _refuse(_: Request) -> Response:
    return PlainTextResponse("no", 401)


async def _slow(_: Request) -> Response:
    await asyncio.sleep(2 * HEAD_S)
    return PlainTextResponse("at last")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    app = Starlette(routes=[Route("/refused", _refuse, methods=["POST"]), Route("/slow", _slow)])
    config = uvicorn.Config(
        app, port=0, http=_HastyProtocol, log_config=None, access_log=False, timeout_keep_alive=60
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


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
