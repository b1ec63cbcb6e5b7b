"""Answers that are kept: made once for each interval, and bounded in number and bytes."""

from __future__ import annotations

import asyncio
import math

import pytest

from twin.live.http import cached
from twin.live.http.cached import AnswerCache


def test_an_answer_is_made_once_for_each_version() -> None:
    version, made = [0], [0]

    async def make() -> bytes:
        made[0] += 1
        return b"%d" % made[0]

    async def test() -> None:
        cache = AnswerCache(lambda: version[0])
        assert [await cache.get("a", make, math.inf) for _ in range(3)] == [b"1"] * 3
        version[0] = 1
        assert await cache.get("a", make, math.inf) == b"2"

    asyncio.run(test())


def test_what_is_kept_is_bounded_in_bytes_and_old_answers_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cached, "_MOST_BYTES", 1000)
    version = [0]

    async def make() -> bytes:
        return b"x" * 300

    async def test() -> None:
        cache = AnswerCache(lambda: version[0])
        for key in range(20):
            await cache.get(f"decisions {key}", make, math.inf)
        assert list(cache._answers) == ["decisions 17", "decisions 18", "decisions 19"]
        version[0] = 1
        await cache.get("state", make)
        assert list(cache._answers) == ["state"]

    asyncio.run(test())
