"""Bodies of requests: of each size one is read at a time, and small ones beside large ones."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.requests import Request

from twin.live.http.bodies import BodyLimits, BodyReader
from twin.live.http.errors import HttpError

LIMITS = BodyLimits(small_bytes=100, small_at_once=2, large_at_once=1, seconds=5)
SMALL, LARGE = b"s" * 100, b"l" * 101


def _request(parts: Sequence[bytes], length: int | None = None, packed: bool = False) -> Request:
    waiting = list(parts)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        part = waiting.pop(0) if waiting else b""
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    headers = [(b"content-length", str(length).encode())] if length is not None else []
    headers += [(b"content-encoding", b"gzip")] if packed else []
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def _read(bodies: BodyReader, make: Any, parts: Sequence[bytes], **how: Any) -> Any:
    size = how.pop("size", len)
    async with bodies.place() as place:
        return await place.read(_request(parts, **how), make, size=size)


def test_one_body_is_made_something_of_at_a_time() -> None:
    under_way, most = [0], [0]

    def make(data: bytes) -> int:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        threading.Event().wait(0.02)
        under_way[0] -= 1
        return len(data)

    async def test() -> list[int]:
        bodies = BodyReader(BodyLimits())
        return await asyncio.gather(*(_read(bodies, make, [b"x" * size]) for size in range(5)))

    assert asyncio.run(test()) == [0, 1, 2, 3, 4]
    assert most == [1]


@pytest.mark.parametrize(
    "large",
    [
        {"parts": [LARGE], "length": 101},
        {"parts": [SMALL, b"1"]},
        {"parts": [gzip.compress(LARGE)], "packed": True},
        {"parts": [SMALL], "size": lambda data: 101},
    ],
    ids=["by its stated length", "by what came", "once unpacked", "by what it would unpack to"],
)
def test_a_small_body_is_read_beside_a_large_one(large: dict[str, Any]) -> None:
    async def test() -> None:
        bodies, reads, go_on = BodyReader(LIMITS), threading.Event(), threading.Event()

        def slowly(data: bytes) -> str:
            reads.set()
            assert go_on.wait(5)
            return "large"

        reading = asyncio.create_task(_read(bodies, slowly, **large))
        assert await asyncio.to_thread(reads.wait, 5)
        # More of them than there are places: each is done before the next comes.
        for _ in range(5):
            assert await _read(bodies, len, [SMALL]) == 100
        with pytest.raises(HttpError, match="1 large bodies are being taken in already") as busy:
            await _read(bodies, len, [LARGE])
        assert (busy.value.status, busy.value.headers) == (429, {"Retry-After": "1"})
        go_on.set()
        assert await reading == "large"
        assert await _read(bodies, len, [LARGE]) == 101

    asyncio.run(test())


def test_places_are_bounded_and_come_back_however_a_body_ends() -> None:
    async def test() -> None:
        bodies = BodyReader(LIMITS)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await _read(bodies, lambda _: 1 / 0, [LARGE])
        async with bodies.place(), bodies.place():
            with pytest.raises(HttpError, match="2 small bodies are being taken in already"):
                async with bodies.place():
                    pass
        assert await _read(bodies, len, [SMALL]) == 100

    asyncio.run(test())
