"""What-ifs in processes of their own: so many at once, each for so long, beside the twin.

A worker is given the twin's state as a snapshot. It is asked one question at a time, at low
priority. Where nobody waits any more, or it takes too long, it is told so and stops soon, with what
it has learnt: the next question finds it there. One that does not stop is ended, and another is
started in its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final

from twin.core.errors import InputError, Problem, RunError
from twin.live.http.errors import HttpError

_LOG: Final = logging.getLogger("twin.live.what_if")
_POLL_S: Final = 0.1
_LESS_URGENT: Final = 10

Task = Callable[[bytes], Any]
"""From a snapshot to an answer; a worker imports it by name, so it is a function of a module."""


@dataclass(frozen=True)
class WhatIfLimits:
    """What all who ask may take together."""

    at_once: int = 1
    """Workers. Beside the twin itself, one is what two cores carry."""
    waiting: int = 3
    """Questions that wait for a worker."""
    each: int = 2
    """Questions of one token that are answered or wait: nobody takes all places."""
    own: int = 4
    """What the twin itself works out or waits for: outlooks and scores, each asked for once. They
    have places of their own, and go first when a worker is free."""
    seconds: float = 120.0
    """How long an answer may take, waiting aside."""
    stopping: float = 20.0
    """How long a worker may take to stop. It first learns what is of use to whoever asks next."""


class WhatIfWorkers:
    """The workers of one server; used from its event loop."""

    def __init__(self, limits: WhatIfLimits) -> None:
        self.limits = limits
        self.outcomes: Counter[str] = Counter()
        self.seconds: Callable[[float], object] = lambda _: None
        self._asked: Counter[str | None] = Counter()
        self._line = _Line(limits.at_once)
        self._idle: list[_Worker] = []
        self._asking: set[asyncio.Task[dict[str, Any]]] = set()

    @property
    def under_way(self) -> int:
        """Questions that are being answered, or wait; the twin's own among them."""
        return self._asked.total()

    def check_room(self, who: str | None) -> None:
        """Raise HttpError where no more is taken: of a token's name, "" without; None: own."""
        limits, own = self.limits, self._asked[None]
        if who is None:
            full, what = own >= limits.own, "as much as the twin works out itself is under way"
        elif who and self._asked[who] >= limits.each:
            full, what = True, f"as many what-ifs as '{who}' may ask at once are under way"
        else:
            full = self.under_way - own >= limits.at_once + limits.waiting
            what = "as many what-ifs as are taken are under way"
        if full:
            self.outcomes["refused"] += 1
            raise HttpError.later(429, what, 5)

    async def answer(self, snapshot: bytes, task: Task, who: str | None) -> Any:
        """Return what a worker answers. Raises HttpError, and InputError for a wrong question."""
        self.check_room(who)
        self._asked[who] += 1
        try:
            await self._line.wait(first=who is None)
            return self._checked(await self._said(snapshot, task))
        finally:
            self._asked[who] -= 1
            # Names that ask no more are forgotten.
            self._asked += Counter()

    async def _said(self, snapshot: bytes, task: Task) -> dict[str, Any]:
        """Return what a worker says, in the place in the line that has come."""
        try:
            worker = self._idle.pop() if self._idle else await asyncio.to_thread(_Worker)
        except BaseException:
            self._line.leave()
            raise
        begun, gone = time.perf_counter(), asyncio.Event()
        asking = asyncio.create_task(self._ask(worker, snapshot, task, gone))
        # It may go on for a while without who asked.
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        try:
            said = await asyncio.wait_for(asyncio.shield(asking), self.limits.seconds)
        except TimeoutError:
            self.outcomes["too_slow"] += 1
            what = f"takes longer than {self.limits.seconds:g} s"
            remedy = "ask for fewer replications, a shorter time or fewer links"
            raise HttpError(503, what, "for", remedy) from None
        except asyncio.CancelledError:
            self.outcomes["given_up"] += 1
            raise
        finally:
            gone.set()
        self.seconds(time.perf_counter() - begun)
        return said

    async def _ask(
        self, worker: _Worker, snapshot: bytes, task: Task, gone: asyncio.Event
    ) -> dict[str, Any]:
        try:
            said = await worker.ask(snapshot, task, gone, self.limits.stopping)
        except (OSError, EOFError):
            # One that does not stop is among them.
            worker.end()
            return {"died": True}
        except BaseException:
            worker.end()
            raise
        else:
            self._idle.append(worker)
            return said
        finally:
            self._line.leave()

    def _checked(self, said: dict[str, Any]) -> Any:
        if "died" in said:
            self.outcomes["died"] += 1
            raise HttpError.later(503, "the process that answers what-ifs ended", 1)
        if "answer" in said:
            self.outcomes["answered"] += 1
            return said["answer"]
        if "problems" in said:
            self.outcomes["wrong"] += 1
            raise InputError(said["problems"])
        if "failure" in said:
            self.outcomes["failed"] += 1
            raise HttpError(422, said["failure"])
        self.outcomes["broken"] += 1
        _LOG.error("a what-if failed:\n%s", said["traceback"])
        raise HttpError(500, "the what-if failed", suggestion="the log of the twin says why")

    def close(self) -> None:
        """End all workers."""
        for asking in self._asking:
            asking.cancel()
        while self._idle:
            self._idle.pop().end()


class _Line:
    """Those who wait for a worker, in order, but for those who go first."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._first: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    async def wait(self, *, first: bool) -> None:
        """Return once a worker is free, and take it."""
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        line = self._first if first else self._others
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            elif turn in line:
                line.remove(turn)
            raise

    def leave(self) -> None:
        """Hand the worker over to the next."""
        for line in (self._first, self._others):
            while line:
                turn = line.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1


class _Worker:
    """One process and the pipe to it."""

    def __init__(self) -> None:
        # A copy of this process would have its threads' locks, held by nobody.
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process: BaseProcess = context.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()
        other.close()

    async def ask(
        self, snapshot: bytes, task: Task, gone: asyncio.Event, stopping_s: float
    ) -> dict[str, Any]:
        """Return what the process says, be it that it has stopped since whoever asked has `gone`.

        Raises OSError or EOFError where it ends, and TimeoutError where it does not stop.
        """
        await asyncio.to_thread(self._pipe.send, (snapshot, task))
        told: float | None = None
        # A thread that waits for the pipe could not be called off.
        while not self._pipe.poll():
            now = time.monotonic()
            if told is None and gone.is_set():
                self._pipe.send(None)
                told = now
            if told is not None and now > told + stopping_s:
                raise TimeoutError
            await asyncio.sleep(_POLL_S)
        said: dict[str, Any] = await asyncio.to_thread(self._pipe.recv)
        return said

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.join(5)
        self._pipe.close()


class GivenUpError(Exception):
    """Nobody waits any more for what a worker is asked."""


_pipes: list[Connection] = []
"""In a worker: its pipe."""


def check_wanted() -> None:
    """Raise GivenUpError in a worker that need not go on; to be called now and then by tasks."""
    if any(pipe.poll() for pipe in _pipes):
        raise GivenUpError


def _serve(pipe: Connection) -> None:
    """Answer questions until the pipe is closed."""
    # Ctrl-C reaches all processes of a terminal; this one ends when its parent does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(_LESS_URGENT)
    _pipes.append(pipe)
    with contextlib.suppress(EOFError, OSError):
        while True:
            asked = pipe.recv()
            # Word that a question is not wanted any more may come after its answer.
            if asked is not None:
                pipe.send(_said(*asked))


def _said(snapshot: bytes, task: Task) -> dict[str, Any]:
    try:
        return {"answer": task(snapshot)}
    except GivenUpError:
        return {"given_up": True}
    except InputError as error:
        return {"problems": [Problem(p.what, p.where, None, p.line, p.suggestion)
                             for p in error.problems]}  # fmt: skip
    except RunError as error:
        return {"failure": str(error)}
    except Exception:
        import traceback

        return {"traceback": traceback.format_exc()}
