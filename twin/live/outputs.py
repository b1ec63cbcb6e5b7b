"""Where allocations go by themselves: to a file, and to a webhook that may be down for a while."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import random
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from twin.core.errors import InputError, Problem
from twin.core.files import write_whole

_LOG: Final = logging.getLogger("twin.live.outputs")
_TIMEOUT_S: Final = 10.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_MOST_WAITING: Final = 288
"""Decisions that wait for a webhook; beyond them the oldest goes, for it is out of date."""

Decision = dict[str, Any]
"""As `/allocations` answers."""


class AllocationsFile:
    """Writes the latest allocations to one file, whole each time: CSV by its name, else JSON.

    It is written by a thread of its own, since a disk may be slow; where it cannot keep up, the
    latest allocations are those that are written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.outcomes: Counter[str] = Counter()
        self._latest: Decision | None = None
        self._writer = ThreadPoolExecutor(1, "allocations")

    def write(self, decision: Decision) -> None:
        """Let the file be replaced. An error is counted and logged, and keeps nothing else up."""
        waits, self._latest = self._latest is not None, decision
        if not waits:
            self._writer.submit(self._replace)

    def close(self) -> None:
        """Write what is still to be written."""
        self._writer.shutdown()

    def _replace(self) -> None:
        decision, self._latest = self._latest, None
        if decision is None:
            return
        as_csv = self._path.suffix.lower() == ".csv"
        text = table_of(decision) if as_csv else json.dumps(decision, indent=1) + "\n"
        try:
            write_whole(self._path, lambda stream: stream.write(text.encode()))
            self.outcomes["written"] += 1
        except OSError as error:
            self.outcomes["failed"] += 1
            _LOG.error("allocations cannot be written: %s", error.strerror)


def table_of(decision: Decision) -> str:
    """Return a decision as CSV, a row for each link."""
    requested, allocated = decision["requested_mbps"], decision["allocated_mbps"]
    shared = [decision["policy"], decision["interval"], decision["time"]]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(
        ["policy", "interval", "time", "link", "requested_mbps", "allocated_mbps", "decided_by"]
    )
    by = decision["decided_by"]
    writer.writerows([*shared, link, requested[link], allocated[link], by] for link in allocated)
    return stream.getvalue()


class Webhook:
    """Posts every decision to one URL, in order, from a thread of its own.

    What is not answered with 2xx is tried again, later and later. The `Idempotency-Key` of a
    decision is always the same, also after a restart, so that a receiver can drop what it has.
    """

    def __init__(self, url: str, *, first_wait_s: float = _FIRST_WAIT_S) -> None:
        """Check the URL. Raises InputError."""
        self.outcomes: Counter[str] = Counter()
        self._url, self._first_wait_s = _checked(url), first_wait_s
        self._shown = urlsplit(url).hostname or "?"
        self._waiting: deque[Decision] = deque()
        self._something = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Decisions that have not been delivered."""
        return len(self._waiting)

    def write(self, decision: Decision) -> None:
        """Let a decision be posted."""
        with self._something:
            if len(self._waiting) >= _MOST_WAITING:
                self._waiting.popleft()
                self.outcomes["dropped"] += 1
            self._waiting.append(decision)
            self._something.notify()

    def close(self, seconds: float = 5.0) -> None:
        """End the thread; what is under way may take `seconds` more."""
        self._stop.set()
        with self._something:
            self._something.notify()
        self._thread.join(seconds)

    def _run(self) -> None:
        import httpx

        # They log every address that they ask, with what secrets it holds.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        # Neither a proxy of the environment nor a redirect decides where allocations go.
        with httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False) as client:
            while (decision := self._next()) is not None:
                self._deliver(client.post, decision)

    def _next(self) -> Decision | None:
        with self._something:
            while not self._waiting and not self._stop.is_set():
                self._something.wait()
            return self._waiting[0] if self._waiting and not self._stop.is_set() else None

    def _deliver(self, post: Callable[..., Any], decision: Decision) -> None:
        """Post one decision until it is taken, or has been dropped for newer ones."""
        body, wait = json.dumps(decision).encode(), self._first_wait_s
        headers = {"Content-Type": "application/json", "Idempotency-Key": key_of(decision)}
        while True:
            why = _refusal(post, self._url, body, headers)
            if why is None:
                self.outcomes["delivered"] += 1
                break
            self.outcomes["failed"] += 1
            _LOG.warning("the webhook at %s: %s; again in %.0f s", self._shown, why, wait)
            # Not all at the same moment, where there are many twins.
            if self._stop.wait(wait * random.uniform(0.8, 1.2)):
                return
            wait = min(2 * wait, _LONGEST_WAIT_S)
            if not self._waiting or self._waiting[0] is not decision:
                return
        with self._something:
            if self._waiting and self._waiting[0] is decision:
                self._waiting.popleft()


def key_of(decision: Decision) -> str:
    """Return what tells a decision from all others, and is the same whenever it is sent."""
    text = json.dumps(decision, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _refusal(
    post: Callable[..., Any], url: str, body: bytes, headers: dict[str, str]
) -> str | None:
    import httpx

    try:
        status = post(url, content=body, headers=headers).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Its text may hold the URL, and so a secret.
        return type(error).__name__
    return None if 200 <= status < 300 else f"status {status}"


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        remedy = "such as https://example.org/allocations"
        raise InputError(Problem("must be an address of http or https", "--webhook", None, None,
                                 remedy))  # fmt: skip
    return url
