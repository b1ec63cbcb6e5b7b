"""Workers that answer beside the twin: bounded in number and time, and replaced when they die."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from twin.core.errors import InputError, Problem, RunError
from twin.live.http.answering import WhatIfLimits, WhatIfWorkers, check_wanted
from twin.live.http.errors import HttpError

pytestmark = pytest.mark.long  # a worker takes a second or two to start


def size(snapshot: bytes) -> int:
    return len(snapshot)


def process(_: bytes) -> tuple[int, int]:
    return os.getpid(), os.nice(0)


def sleeps(_: bytes, seconds: float) -> str:
    time.sleep(seconds)
    return "rested"


def dies(_: bytes) -> None:
    os._exit(7)


_asked: list[int] = []


def learns(_: bytes) -> tuple[int, int]:
    """Go on until it is not wanted any more the first time, and remember that."""
    _asked.append(1)
    while len(_asked) == 1:
        check_wanted()
        time.sleep(0.01)
    return os.getpid(), len(_asked)


def wrong(_: bytes) -> None:
    raise InputError(Problem("is no link", ("links", 0), "/etc/secret", 3, "did you mean 'a'?"))


def fails(_: bytes) -> None:
    raise RunError("policy 'p' raised at tick 3")


def breaks(_: bytes) -> None:
    raise KeyError("inside")


def served(
    test: Callable[[WhatIfWorkers], Coroutine[Any, Any, None]], **limits: Any
) -> WhatIfWorkers:
    async def run() -> WhatIfWorkers:
        workers = WhatIfWorkers(WhatIfLimits(**limits))
        try:
            await test(workers)
        finally:
            workers.close()
        return workers

    return asyncio.run(run())


async def refusal(workers: WhatIfWorkers, task: Any) -> HttpError:
    with pytest.raises(HttpError) as refused:
        await workers.answer(b"", task, "")
    return refused.value


def test_a_worker_is_a_process_of_its_own_and_is_kept() -> None:
    async def test(workers: WhatIfWorkers) -> None:
        assert await workers.answer(b"x" * 5_000_000, size, "") == 5_000_000
        first, nice = await workers.answer(b"", process, "")
        assert (await workers.answer(b"", process, ""))[0] == first
        assert first != os.getpid()
        # The twin comes first.
        assert nice == min(os.nice(0) + 10, 19)

    assert served(test).outcomes == {"answered": 3}


def test_what_goes_wrong_in_a_worker_is_told_as_it_should(caplog: Any) -> None:
    async def test(workers: WhatIfWorkers) -> None:
        with pytest.raises(InputError) as refused:
            await workers.answer(b"", wrong, "")
        # No path of the machine leaves it.
        assert str(refused.value) == "3: links.0: is no link; did you mean 'a'?"
        assert (await refusal(workers, fails)).status == 422
        broken = await refusal(workers, breaks)
        assert (broken.status, str(broken)) == (500, "the what-if failed")
        assert "KeyError: 'inside'" in caplog.text
        dead = await refusal(workers, dies)
        assert (dead.status, str(dead)) == (503, "the process that answers what-ifs ended")
        assert await workers.answer(b"12", size, "") == 2

    assert served(test).outcomes == {
        "wrong": 1, "failed": 1, "broken": 1, "died": 1, "answered": 1
    }  # fmt: skip


def test_what_takes_too_long_is_ended_and_others_go_on() -> None:
    async def test(workers: WhatIfWorkers) -> None:
        await workers.answer(b"", size, "")
        begun = time.monotonic()
        slow = await refusal(workers, partial(sleeps, seconds=60))
        assert time.monotonic() - begun < 10
        assert slow.status == 503
        assert str(slow) == "takes longer than 4 s"
        assert await workers.answer(b"1", size, "") == 1

    served(test, seconds=4.0, stopping=0.5)


@pytest.mark.parametrize("seconds", [60.0, 1.0])
def test_a_worker_whose_question_nobody_waits_for_stops_and_is_kept(seconds: float) -> None:
    async def test(workers: WhatIfWorkers) -> None:
        worker, _ = await workers.answer(b"", process, "")
        asked = asyncio.create_task(workers.answer(b"", learns, ""))
        await asyncio.sleep(0.3)
        if seconds > 1:
            asked.cancel()
        with pytest.raises(asyncio.CancelledError if seconds > 1 else HttpError):
            await asked
        begun = time.monotonic()
        assert await workers.answer(b"", learns, "") == (worker, 2)
        assert time.monotonic() - begun < 5

    why = "given_up" if seconds > 1 else "too_slow"
    assert served(test, seconds=seconds).outcomes == {"answered": 2, why: 1}


def test_a_worker_that_does_not_stop_is_ended() -> None:
    async def test(workers: WhatIfWorkers) -> None:
        worker, _ = await workers.answer(b"", process, "")
        asked = asyncio.create_task(workers.answer(b"", partial(sleeps, seconds=60), ""))
        await asyncio.sleep(0.3)
        asked.cancel()
        begun = time.monotonic()
        assert (await workers.answer(b"", process, ""))[0] != worker
        assert time.monotonic() - begun < 20

    served(test, stopping=0.5)


def test_no_more_are_taken_than_may_wait() -> None:
    async def test(workers: WhatIfWorkers) -> None:
        await workers.answer(b"", size, "")
        rest = partial(sleeps, seconds=0.5)
        under_way = [asyncio.create_task(workers.answer(b"", rest, "")) for _ in range(3)]
        await asyncio.sleep(0)
        full = await refusal(workers, size)
        assert (full.status, full.headers["Retry-After"]) == (429, "5")
        assert await asyncio.gather(*under_way) == ["rested"] * 3

    assert served(test, at_once=1, waiting=2).outcomes == {"answered": 4, "refused": 1}


def test_one_token_leaves_places_to_others_and_the_twin_goes_first() -> None:
    told: list[str] = []

    async def test(workers: WhatIfWorkers) -> None:
        await workers.answer(b"", size, None)

        async def ask(who: str | None) -> None:
            await workers.answer(b"", partial(sleeps, seconds=0.2), who)
            told.append(str(who))

        asked = [asyncio.create_task(ask(who)) for who in ("a", "a", "b")]
        await asyncio.sleep(0)
        with pytest.raises(HttpError, match="as many what-ifs as 'a' may ask at once"):
            workers.check_room("a")
        # All places of questions are taken, and none of the twin's own.
        with pytest.raises(HttpError, match="as many what-ifs as are taken"):
            workers.check_room("c")
        asked.append(asyncio.create_task(ask(None)))
        await asyncio.sleep(0)
        with pytest.raises(HttpError, match="as the twin works out itself"):
            workers.check_room(None)
        # Who has gone leaves its place in the line.
        gone = asked.pop(1)
        gone.cancel()
        await asyncio.gather(*asked)
        workers.check_room("a")

    served(test, at_once=1, waiting=2, each=2, own=1)
    assert told == ["a", "None", "b"]
