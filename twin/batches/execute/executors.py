"""Where chunks run: in this process, in worker processes, or on a Dask cluster.

Each is a `concurrent.futures.Executor`, so that a caller can bring another one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Final
from weakref import WeakKeyDictionary

from twin.batches.execute import worker
from twin.core.errors import InputError, Problem, RunError

_FIRST_STARTS: Final = 3
"""Times that the first worker is started before it counts as one that cannot start."""
_WAIT_FOR_WORKERS_S: Final = 30
"""Seconds that a Dask scheduler may take to get its first worker."""


class InProcess(Executor):
    """Runs each call at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return a future that is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """Forget what the calls kept in this process."""
        worker.forget()


class WorkerProcesses(Executor):
    """Worker processes that fail independently of each other.

    A ProcessPoolExecutor breaks as a whole when one of its processes is killed. So every worker
    here is a pool of one process, which is replaced when it breaks.
    """

    def __init__(self, count: int) -> None:
        self._pools: list[ProcessPoolExecutor | None] = [None] * count
        self._busy: list[Future[Any] | None] = [None] * count
        self._up: list[Future[int] | None] = [None] * count
        self._up_before: WeakKeyDictionary[Future[Any], Future[int]] = WeakKeyDictionary()

    def began(self, future: Future[Any]) -> bool:
        """Return whether the worker of a call came up, so that the call itself was begun."""
        up = self._up_before[future]
        return up.done() and up.exception() is None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Give a call to a free worker; the caller submits no more calls than there are workers.

        Raises RunError where no worker can start at all.
        """
        if not any(self._pools):
            self._try_one()
        slot = next(i for i, call in enumerate(self._busy) if call is None or call.done())
        with _ignoring_interrupts():
            try:
                future = self._pool(slot).submit(fn, *args, **kwargs)
            except BrokenExecutor:
                self._pools[slot] = None
                future = self._pool(slot).submit(fn, *args, **kwargs)
        self._busy[slot] = future
        up = self._up[slot]
        assert up is not None
        self._up_before[future] = up
        return future

    def _try_one(self) -> None:
        # A worker that cannot start must not be mistaken for one that a run killed, nor one that
        # somebody kills while it starts for one that cannot.
        for _ in range(_FIRST_STARTS):
            with suppress(BrokenExecutor), _ignoring_interrupts():
                self._pool(0).submit(os.getpid).result()
                return
            self._pools[0] = None
        what = "no worker process comes up; a script that starts them does so under"
        raise RunError(f"{what} `if __name__ == '__main__':`")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop all workers, at once where `wait` is false."""
        for pool in self._pools:
            if pool is None:
                continue
            if not wait:
                for process in (pool._processes or {}).values():
                    process.kill()
            pool.shutdown(wait, cancel_futures=cancel_futures)

    def _pool(self, slot: int) -> ProcessPoolExecutor:
        pool = self._pools[slot]
        if pool is None:
            # A forked process would inherit the locks and open files of this one.
            spawn = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=worker.start)
            self._pools[slot] = pool
            # Answered before any other call is begun.
            self._up[slot] = pool.submit(os.getpid)
        return pool


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, which only the parent process handles.

    An interrupt that comes meanwhile waits: ignored here as well, it would be lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if hasattr(signal, "pthread_sigmask"):
        from multiprocessing import resource_tracker

        # It lets interrupts through again when it starts, so that comes first.
        resource_tracker.ensure_running()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def local(workers: int) -> Executor:
    """Return an executor of `workers` processes on this machine; 0 is this process itself."""
    return WorkerProcesses(workers) if workers else InProcess()


@contextmanager
def dask(address: str) -> Iterator[tuple[Executor, int]]:
    """Give an executor on the Dask scheduler at `address`, and how many chunks to submit at a time.

    Raises InputError where Dask is not installed or nothing answers there, and RunError where
    the scheduler has no worker.
    """
    try:
        import distributed
    except ImportError:
        remedy = "install 'twin[dask]'"
        raise InputError(Problem("--dask: Dask is not installed", suggestion=remedy)) from None
    connect: Any = distributed.Client
    try:
        client = connect(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError, TimeoutError):
        what = f"--dask: no scheduler answers at '{address}'"
        remedy = "start one with 'dask scheduler'"
        raise InputError(Problem(what, suggestion=remedy)) from None
    try:
        try:
            client.wait_for_workers(1, timeout=_WAIT_FOR_WORKERS_S)
        except TimeoutError:
            what = f"the Dask scheduler at {address} has no workers; start some with 'dask worker'"
            raise RunError(what) from None
        threads = sum(client.nthreads().values())
        # Dask would answer a pure call from its memory, which also holds failures.
        yield client.get_executor(pure=False), 2 * threads
    finally:
        client.close(timeout=5)


def call_began(executor: Executor, future: Future[Any]) -> bool:
    """Return whether a call whose worker died was begun; True where that is not known."""
    return not isinstance(executor, WorkerProcesses) or executor.began(future)


def worker_died(error: BaseException) -> bool:
    """Return whether a chunk failed because its worker died, rather than with an error of its own.

    Workers ignore Ctrl-C, so that an interrupt in one comes from a policy.
    """
    if isinstance(error, BrokenExecutor | CancelledError | KeyboardInterrupt):
        return True
    # Dask's own exceptions, by name, since it may not be installed.
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"KilledWorker", "FutureCancelledError", "CommClosedError"})
