"""What a worker does: it runs a chunk, each run from its packed scenario to its rows."""

from __future__ import annotations

import io
import os
import platform
import signal
import threading
import time
import traceback
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from twin.account.summary import ALL
from twin.api.run import run
from twin.batches.plan.payload import UnpackedPayload, seeded
from twin.batches.plan.spec import METRICS
from twin.core.errors import TwinError, one_line
from twin.results.manifest import versions
from twin.results.result import Result
from twin.scenario.cache import Cache
from twin.scenario.load import Scenario

_POINTS = 64
"""Points that a worker keeps unpacked."""
_ONE_AT_A_TIME = threading.Lock()
_CONTEXTS: dict[str, _WorkerContext] = {}
"""The context of the batch that this worker works for, by the digest of its payload."""


@dataclass(frozen=True, slots=True)
class Task:
    """One run: its id, the number of its point in the chunk, and its seed."""

    run_id: str
    point: int
    seed: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Runs that go to a worker together, with the points that they belong to."""

    points: dict[int, bytes]
    """Packed scenarios by the number of their point."""
    tasks: tuple[Task, ...]
    intervals: bool = False
    """Whether every interval is wanted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run."""

    run_id: str
    rows: list[list[float | int | None]] | None
    """For each policy its metrics, in the order of METRICS; None for a run that failed."""
    error: str = ""
    """Where and why it failed, on one line."""
    traceback: str = ""
    wall_s: float = 0.0
    worker: str = ""
    intervals: bytes | None = None
    """The interval table as a Parquet file, where it was wanted."""


def forget() -> None:
    """Forget what was unpacked in this process."""
    _CONTEXTS.clear()


class PayloadMissingError(Exception):
    """The worker has not unpacked the payload yet: the chunk has to come with it."""


class OtherVersionsError(Exception):
    """The worker has other versions of the packages that decide a run's numbers."""


def run_chunk(
    digest: str, chunk: Chunk, versions_wanted: dict[str, Any], payload: bytes | None
) -> list[Outcome]:
    """Run a chunk of a batch, one run after the other, on one core.

    `digest` is that of the payload; `payload` itself comes with a chunk only where this worker does
    not have it yet. All runs have to be made with `versions_wanted`. Raises PayloadMissingError and
    OtherVersionsError; whatever goes wrong in a run is in its outcome.
    """
    if versions() != versions_wanted:
        raise OtherVersionsError(_differences(versions_wanted))
    with _ONE_AT_A_TIME, threadpool_limits(1):
        if digest not in _CONTEXTS:
            if payload is None:
                raise PayloadMissingError
            _CONTEXTS.clear()
            _CONTEXTS[digest] = _WorkerContext(payload)
        return [_CONTEXTS[digest].outcome(task, chunk) for task in chunk.tasks]


def start() -> None:
    """Prepare a worker process: it ends with its parent, and ignores Ctrl-C."""
    import multiprocessing

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


class _WorkerContext:
    """What a worker keeps while it works for one batch."""

    def __init__(self, payload: bytes) -> None:
        self._unpacked = UnpackedPayload(payload)
        self._cache = Cache()
        self.scenario = lru_cache(_POINTS)(self._unpacked.scenario)

    def outcome(self, task: Task, chunk: Chunk) -> Outcome:
        begin = time.perf_counter()
        facts: dict[str, Any]
        scenario = self.scenario(chunk.points[task.point])
        try:
            result = run(seeded(scenario, task.seed, self._cache))
            facts = {"rows": pooled(result)}
            if chunk.intervals:
                stream = io.BytesIO()
                result.write_intervals(stream)
                facts["intervals"] = stream.getvalue()
        except Exception as error:  # a policy is a user's code, and its failure is a result
            facts = {
                "rows": None,
                "error": _message(error, scenario),
                "traceback": _text(traceback.format_exc()),
            }
        wall_s = round(time.perf_counter() - begin, 6)
        return Outcome(task.run_id, wall_s=wall_s, worker=_worker_name(), **facts)


def pooled(result: Result) -> list[list[float | int | None]]:
    """Return the metrics over all links of each policy, with None where there is no number."""
    pooled = result.summary[result.summary["link"] == ALL]
    columns = [pooled[name].to_list() for name in METRICS]
    return [[_plain(value) for value in row] for row in zip(*columns, strict=True)]


def _plain(value: Any) -> float | int | None:
    if isinstance(value, int | np.integer):
        return int(value)
    return None if value is None or np.isnan(value) else float(value)


def _message(error: Exception, scenario: Scenario) -> str:
    message = str(error) if isinstance(error, TwinError) else f"{type(error).__name__}: {error}"
    # The same batch has the same tables wherever its folder lies.
    return _text(one_line(message)).replace(f"{scenario.folder}{os.sep}", "")


def _text(message: str) -> str:
    """Return what can be written: the name of a file may be no text in UTF-8."""
    return message.encode("utf-8", "backslashreplace").decode("utf-8")


def _worker_name() -> str:
    return f"{platform.node()}:{os.getpid()}"


def _differences(versions_wanted: dict[str, Any]) -> str:
    own = versions()
    differences = [
        f"{name} {own.get(name)} rather than {version}"
        for name, version in versions_wanted.items()
        if own.get(name) != version
    ]
    return f"the worker {_worker_name()} has {', '.join(differences)}"
