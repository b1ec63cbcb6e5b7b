"""Connections are bounded in all and by address, and probes are answered whatever else is open."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest
from serving import Running, listening

from twin.live.http.bodies import BodyLimits
from twin.live.http.connections import ConnectionLimits, Connections
from twin.live.http.service import LiveLimits

LIMITS = LiveLimits(
    bodies=BodyLimits(seconds=0.3),
    connections=ConnectionLimits(in_all=6, of_one=4, spare=2),
    settled_s=3600,
)


class _Open:
    def __init__(self, idle: bool = True) -> None:
        self.idle, self.ended = idle, False

    def end(self) -> None:
        self.ended = True


def test_one_address_has_its_share_and_a_site_of_ipv6_is_one() -> None:
    places = Connections(ConnectionLimits(in_all=5, of_one=2, spare=9))
    first = _Open()
    assert places.enter(first, "10.0.0.1") == places.enter(_Open(), "::ffff:10.0.0.1") == ""
    said = "2 connections of this address are open already"
    assert places.enter(_Open(), "10.0.0.1") == said
    assert places.enter(_Open(), "2001:db8::1") == places.enter(_Open(), "2001:db8::2%eth0") == ""
    assert places.enter(_Open(), "2001:db8::ffff:0:0:3") == said
    assert places.enter(_Open(), "") == ""
    assert places.enter(_Open(), "10.0.0.9") == "5 connections are open, and no more are taken"
    assert places.refused == {"of_one": 2, "in_all": 1}
    assert len(places) == 8
    places.leave(first)
    places.leave(first)
    assert places.enter(_Open(), "10.0.0.1") == ""


def test_a_spare_place_is_made_by_whoever_asks_nothing_else_by_the_oldest() -> None:
    places = Connections(ConnectionLimits(in_all=0, of_one=1, spare=2))
    asks, silent, third, fourth = _Open(idle=False), _Open(), _Open(idle=False), _Open()
    for each in (asks, silent, third):
        assert places.enter(each, "10.0.0.1")
    assert [each.ended for each in (asks, silent, third)] == [False, True, False]
    places.enter(fourth, "10.0.0.1")
    assert [each.ended for each in (asks, third, fourth)] == [True, False, False]
    assert len(places) == 2


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, int]]:
    with listening(tmp_path_factory.mktemp("state"), limits=LIMITS) as made:
        yield made


@contextmanager
def opened(port: int, source: str, count: int) -> Iterator[list[HTTPConnection]]:
    """Connections from an address of loopback; each has asked something, and is kept."""
    made = [HTTPConnection("127.0.0.1", port, 10, (source, 0)) for _ in range(count)]
    try:
        for each in made:
            each.connect()
        yield made
    finally:
        for each in made:
            each.close()


def asked(port: int, path: str, source: str) -> HTTPResponse:
    with opened(port, source, 1) as (connection,):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.body = answer.read()  # type: ignore[attr-defined]
        return answer


def until_closed(server: Running) -> None:
    while len(server.service.connections):
        time.sleep(0.005)


@pytest.mark.skipif(sys.platform != "linux", reason="loopback has one address elsewhere")
def test_one_address_leaves_room_for_others_and_all_of_them_for_probes(
    served: tuple[Running, int],
) -> None:
    server, port = served
    until_closed(server)
    with opened(port, "127.0.0.1", 4):
        refused = asked(port, "/openapi.json", "127.0.0.1")
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        said = json.loads(refused.body)  # type: ignore[attr-defined]
        assert said["error"] == "4 connections of this address are open already"
        assert refused.headers["connection"] == "close"
        assert asked(port, "/openapi.json", "127.0.0.2").status == 200
        with opened(port, "127.0.0.2", 2):
            full = asked(port, "/openapi.json", "127.0.0.3")
            assert full.status == 503
            assert b"6 connections are open" in full.body  # type: ignore[attr-defined]
            for path in ("/healthz", "/readyz", "/metrics"):
                for source in ("127.0.0.1", "127.0.0.3"):
                    assert asked(port, path, source).status == 200
            # Whoever is silent on spare connections keeps no probe out either.
            with opened(port, "127.0.0.1", 20):
                shown = asked(port, "/metrics", "127.0.0.9")
                assert shown.status == 200
                text = shown.body.decode()  # type: ignore[attr-defined]
    assert 'twin_http_connections_refused_total{limit="of_one"}' in text
    assert 'twin_http_connections_refused_total{limit="in_all"}' in text
    assert "twin_http_connections 8.0" in text
    until_closed(server)
    assert asked(port, "/openapi.json", "127.0.0.1").status == 200


def test_a_body_that_does_not_come_is_given_up_and_others_are_taken_meanwhile(
    served: tuple[Running, int],
) -> None:
    _, port = served

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = b"POST /telemetry HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
        writer.write(head + b"Content-Length: 9000000\r\n\r\ntime,")
        said = await asyncio.wait_for(reader.readuntil(b"}"), 5)
        writer.close()
        return said

    begun = time.perf_counter()
    said = asyncio.run(ask())
    assert 0.25 < time.perf_counter() - begun < 3
    assert said.startswith(b"HTTP/1.1 408 ")
    told = json.loads(said.rpartition(b"\r\n\r\n")[2])
    assert told["error"] == "did not come within 0.3 s"
    assert told["suggestion"] == "send it in smaller parts"


def test_who_still_waits_when_the_twin_stops_is_told_so(
    served: tuple[Running, int], caplog: pytest.LogCaptureFixture
) -> None:
    server, _ = served

    async def ask() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "GET", "path": "/state", "query_string": b"", "state": {},
            "headers": [(b"host", b"localhost")], "raw_path": b"/state", "root_path": "",
        }  # fmt: skip
        while not held.is_set():
            await asyncio.sleep(0.005)
        asking = asyncio.create_task(server.app(scope, receive, send))  # type: ignore[arg-type]
        # Until it waits for the twin's thread, which is held.
        await asyncio.sleep(0.1)
        # As uvicorn does once it has waited long enough.
        asking.cancel()
        await asking
        return sent

    held, go_on = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        held.set()
        go_on.wait(5)

    server.loop.ask(hold)
    sent = asyncio.run(ask())
    go_on.set()
    assert sent[0]["status"] == 503
    assert b"the twin is being stopped" in sent[1]["body"]
    assert not [each for each in caplog.records if each.exc_info]
