"""A server in memory: the application over a twin whose thread runs beside the test."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd
import uvicorn
from fed import TICK, opened

from twin.live.http.application import application
from twin.live.http.loop import TwinLoop
from twin.live.http.serve import _config
from twin.live.http.service import LiveLimits, LiveService
from twin.live.http.tokens import ApiTokens
from twin.live.living import LivingTwin

with warnings.catch_warnings():
    # The test client would rather have httpx's successor, which nothing else here needs.
    warnings.filterwarnings("ignore", message="Using `httpx`")
    from starlette.testclient import TestClient

BEGINS = pd.Timestamp("2026-01-03T02:00", tz="UTC").timestamp()
"""When the live of these twins begins."""
LOOPBACK = "http://127.0.0.1:8765"


POLICIES = ["rolling_max", "last_value"]


class Running:
    """A server, the twin in it, and a clock that the test sets."""

    def __init__(
        self, twin: LivingTwin, tokens: ApiTokens | None = None, limits: LiveLimits | None = None
    ) -> None:
        self.twin, self.time = twin, BEGINS
        self.loop = TwinLoop(twin, lambda: self.time, poll_s=0.01)
        # What is worked out ahead is in the way of tests that are not about it.
        self.service = LiveService(self.loop, tokens, limits or LiveLimits(settled_s=3600))
        self.app = application(self.service)
        self.client = TestClient(self.app, base_url=LOOPBACK, raise_server_exceptions=False)

    def close_intervals(self, count: int = 1) -> None:
        """Send the samples of some intervals, and let them close."""
        for _ in range(count):
            k = self.twin.interval
            lines = ["time,link,internet"]
            lines += [f"{BEGINS + TICK * k:.0f},{name},{100 + k}" for name in self.twin.links]
            answer = self.client.post("/telemetry", content="\n".join(lines),
                                      headers={"content-type": "text/csv"})  # fmt: skip
            assert answer.status_code == 200, answer.text
            self.time = BEGINS + TICK * (k + 1)
            for _ in range(1_000):
                if self.loop.present.closed > k:
                    break
                threading.Event().wait(0.005)
            assert self.loop.present.closed == k + 1


@contextmanager
def running(
    folder: Path,
    tokens: ApiTokens | None = None,
    limits: LiveLimits | None = None,
    change: Callable[[LivingTwin], object] = lambda _: None,
) -> Iterator[Running]:
    """Serve a twin with its state in a folder; `change` makes something of it before it runs."""
    with _looping(folder, tokens, limits, change) as made, made.client:
        yield made


@contextmanager
def _looping(
    folder: Path,
    tokens: ApiTokens | None,
    limits: LiveLimits | None,
    change: Callable[[LivingTwin], object] = lambda _: None,
) -> Iterator[Running]:
    """Let the thread of a twin run, which nobody can ask yet."""
    twin = opened(folder, POLICIES)
    change(twin)
    made = Running(twin, tokens, limits)
    thread = threading.Thread(target=made.loop.run)
    with ExitStack() as stack:
        stack.callback(twin.close)
        thread.start()
        stack.callback(thread.join)
        stack.callback(made.loop.stop)
        yield made


@contextmanager
def connected(config: uvicorn.Config) -> Iterator[int]:
    """Serve at a port of this machine, which is returned, while the test asks over real sockets."""
    server = uvicorn.Server(config)
    config.port = 0
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        threading.Event().wait(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def listening(
    folder: Path, tokens: ApiTokens | None = None, limits: LiveLimits | None = None
) -> Iterator[tuple[Running, int]]:
    """Serve a twin as `twin serve` does, at a port that is returned."""
    with _looping(folder, tokens, limits) as made, connected(_config(made.service)) as port:
        yield made, port
