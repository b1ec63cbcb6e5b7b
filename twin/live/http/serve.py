"""Serves a twin until it is told to stop: its loop in this thread, HTTP in another."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

import uvicorn

from twin.core.errors import InputError, Problem
from twin.live.http.application import application
from twin.live.http.loop import TwinLoop
from twin.live.http.patience import PatientProtocol
from twin.live.http.service import LiveService

_LOG: Final = logging.getLogger("twin.live")
_LEAVING_S: Final = 5
"""How long requests that are under way may take once the twin is told to stop."""
_HEAD_BYTES: Final = 32 * 1024
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Address:
    """Where the twin listens."""

    host: str
    port: int
    """0: any that is free."""


def bound(address: Address) -> socket.socket:
    """Return a socket that listens there. Raises InputError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        raise InputError(_unbound(address, error)) from None
    return listening


def _unbound(address: Address, error: OSError | OverflowError) -> Problem:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        remedy = "name another with --port, or 0 for any that is free"
        return Problem(f"{address.port} is in use on {address.host}", "--port", suggestion=remedy)
    if number == errno.EACCES:
        remedy = "name one of 1024 or above"
        return Problem(f"{address.port} may not be used", "--port", suggestion=remedy)
    return Problem(f"'{address.host}' is no address of this machine", "--host")


def url_of(listening: socket.socket) -> str:
    """Return the address of the dashboard."""
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/"


def serve(
    loop: TwinLoop,
    service: LiveService,
    listening: socket.socket,
    started: Callable[[], object] = lambda: None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; `started` is called once requests are answered.

    Requests that are under way are answered first; nothing that was acknowledged is lost, however
    it ends.
    """
    server = uvicorn.Server(_config(service))

    def run() -> None:
        try:
            server.run(sockets=[listening])
        finally:
            # Without HTTP there is no use in going on, whatever ended it.
            loop.stop()

    def leave(*_: int | FrameType | None) -> None:
        # The streams of events would go on for ever.
        service.end_streams()
        server.should_exit = True

    thread = threading.Thread(target=run, name="http", daemon=True)
    with _on_signals(leave):
        thread.start()
        while not server.started and thread.is_alive():
            thread.join(0.01)
        started()
        try:
            loop.run()
        finally:
            leave()
            thread.join(2 * _LEAVING_S)
            listening.close()


def _config(service: LiveService) -> uvicorn.Config:
    class ServedProtocol(PatientProtocol):
        places = service.connections

    return uvicorn.Config(
        application(service),
        loop="asyncio",
        http=ServedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_LEAVING_S,
        h11_max_incomplete_event_size=_HEAD_BYTES,
    )


@contextmanager
def _on_signals(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
