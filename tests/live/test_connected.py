"""What is worked out for one request ends where whoever asked has gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from twin.core.errors import InputError
from twin.live.http.connected import while_connected


def _request(leaves_after_s: float) -> Request:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(leaves_after_s)
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def test_work_ends_with_its_client() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("given up")

    with pytest.raises(ClientDisconnect):
        asyncio.run(asyncio.wait_for(while_connected(_request(0.02), work()), 5))
    assert ended == ["given up"]


def test_answers_and_errors_come_through() -> None:
    async def answer() -> int:
        return 7

    async def wrong() -> int:
        raise InputError("no such link")

    assert asyncio.run(while_connected(_request(60), answer())) == 7
    with pytest.raises(InputError, match="no such link"):
        asyncio.run(while_connected(_request(60), wrong()))
