"""Bodies of requests: read one at a time, however many come at once."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from starlette.requests import Request

from twin.live.http.bodies import BodyLimits, BodyReader


def _request(body: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def test_one_body_is_made_something_of_at_a_time() -> None:
    under_way, most = [0], [0]

    def make(data: bytes) -> int:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        time.sleep(0.02)
        under_way[0] -= 1
        return len(data)

    async def test() -> list[int]:
        bodies = BodyReader(BodyLimits())

        async def one(size: int) -> int:
            async with bodies:
                return await bodies.read(_request(b"x" * size), make)

        return await asyncio.gather(*map(one, range(5)))

    assert asyncio.run(test()) == [0, 1, 2, 3, 4]
    assert most == [1]
